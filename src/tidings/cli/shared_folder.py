"""What templates share, as a folder.

    shared/
      brand.json                what templates see as `brand`
      layouts/main.html         a layout by its id, .html or .mjml
      partials/words.txt        a partial by its id

A partial's last line feed belongs to the file and not to the text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic_core

from tidings.cli.template_folder import FolderError, Mistake
from tidings.domain.shared import BRAND, Shared, SharedKind, SharedVersion, shared_of

_LAYOUTS = {".html": "html", ".mjml": "mjml"}


@dataclass(frozen=True, slots=True)
class Piece:
    """One layout, partial or brand. document: as the API takes it."""

    kind: SharedKind
    id: str
    file: Path
    document: dict[str, Any]


def read(folder: Path) -> list[Piece]:
    """The brand, then the partials, then the layouts. Raises FolderError, also for two files of one layout: each push
    would store one in the other's place."""
    pieces = list(_pieces(folder))
    files: dict[tuple[str, str], Path] = {}
    for one in pieces:
        other = files.setdefault((one.kind, one.id), one.file)
        if other != one.file:
            said = f"is the {one.kind} {one.id}, as {other.name} is: keep one of them"
            raise FolderError([Mistake(one.file, 0, said)])
    return pieces


def shared(pieces: list[Piece]) -> Shared:
    """As a template is stored with it."""
    return shared_of(
        SharedVersion(one.kind, one.id, 1, one.document.get("values", one.document))
        for one in pieces
    )


def _pieces(folder: Path) -> Iterator[Piece]:
    brand = folder / "brand.json"
    if brand.is_file():
        yield Piece("brand", BRAND, brand, {"values": _json(brand)})
    for path in sorted(folder.glob("partials/*.txt")):
        yield Piece("partial", path.stem, path, {"text": _text(path).removesuffix("\n")})
    for path in sorted(folder.glob("layouts/*")):
        if (kind := _LAYOUTS.get(path.suffix)) is not None:
            yield Piece("layout", path.stem, path, {kind: _text(path)})


def _json(path: Path) -> Any:
    try:
        value = pydantic_core.from_json(_text(path), allow_inf_nan=False)
    except ValueError as error:
        raise FolderError([Mistake(path, 0, f"not JSON: {error}")]) from None
    if not isinstance(value, dict):
        raise FolderError([Mistake(path, 0, "not a JSON object")])
    return value


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise FolderError([Mistake(path, 0, "not UTF-8")]) from None
    except OSError as error:
        raise FolderError([Mistake(path, 0, error.strerror or "cannot be read")]) from None
