"""JSON documents: what can be kept and handed on without changing it."""

import math

from tidings.domain.messages import JSON

MAX_DEPTH = 100
"""Objects and lists inside each other, at the most; readers elsewhere stop at about 128."""

_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
_NUL = "the character U+0000 cannot be stored here"


def check_text(text: str) -> str:
    """The text itself. Raises ValueError for U+0000, which PostgreSQL's text and jsonb do not hold."""
    if "\0" in text:
        raise ValueError(_NUL)
    return text


def check_document(document: JSON, *, nul: bool = True, depth: int = MAX_DEPTH) -> None:
    """Refuse what JSON allows and could only be kept changed.

    nul: whether texts may hold U+0000. Raises ValueError for integers over 64 bits, for numbers that
    are not finite, and for nesting over `depth`.
    """
    if isinstance(document, str):
        if not nul:
            check_text(document)
    elif isinstance(document, int):
        if not _SMALLEST <= document <= _LARGEST:
            raise ValueError("integers must fit 64 bits; send longer ones as strings")
    elif isinstance(document, float):
        if not math.isfinite(document):
            raise ValueError("numbers must be finite")
    elif document is not None:
        _check_inside(document, nul=nul, depth=depth)


def _check_inside(document: list[JSON] | dict[str, JSON], *, nul: bool, depth: int) -> None:
    if depth == 0:
        raise ValueError(f"nesting must not exceed {MAX_DEPTH}")
    if isinstance(document, list):
        for item in document:
            check_document(item, nul=nul, depth=depth - 1)
        return
    for key, member in document.items():
        if not nul:
            check_text(key)
        check_document(member, nul=nul, depth=depth - 1)
