"""How many were refused, and why."""

from collections.abc import Mapping

from pydantic import BaseModel

from tidings.api.problems import Code

_CODES = {code.code: code for code in Code}


class Refusals(BaseModel):
    """How many were, or would be, refused with this problem."""

    code: str
    title: str
    count: int


def refusals_of(counts: Mapping[str, int]) -> list[Refusals]:
    """By the code of the problem; the most frequent first."""
    return [
        Refusals(code=code, title=_CODES[code].title, count=count)
        for code, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    ]
