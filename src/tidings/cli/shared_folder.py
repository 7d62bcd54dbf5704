"""What templates share, as files beside their folders.

    templates/
      brand.json                what templates see as `brand`
      layouts/main.html         a layout by its id, .html or .mjml
      partials/words.txt        a partial by its id
      welcome_email/            a template

A partial's last line feed belongs to the file and not to the text.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidings.cli.source_files import FolderError, Mistake, parse_object, read_text
from tidings.cli.template_files import MAIN, json_text
from tidings.domain.shared import BRAND, Shared, SharedKind, SharedVersion, shared_of

_BRAND = "brand.json"
FOLDERS: Mapping[str, SharedKind] = {"partials": "partial", "layouts": "layout"}
_SUFFIXES: Mapping[SharedKind, Mapping[str, str]] = {
    "partial": {".txt": "text"},
    "layout": {".html": "html", ".mjml": "mjml"},
    "brand": {},
}


@dataclass(frozen=True, slots=True)
class Piece:
    """One layout, partial or brand. document: as the API takes it. version: of the server; 0 in a folder."""

    kind: SharedKind
    id: str
    document: Mapping[str, Any]
    version: int = 0

    @property
    def name(self) -> str:
        """As the API names it among what a template uses."""
        return f"{self.kind}/{self.id}"

    def file(self) -> tuple[str, str]:
        """Its file's name, from the folder around, and text."""
        [(field, value)] = self.document.items()
        if self.kind == "brand":
            return _BRAND, json_text(value)
        suffix = next(one for one, name in _SUFFIXES[self.kind].items() if name == field)
        text = f"{value}\n" if self.kind == "partial" else str(value)
        return f"{self.kind}s/{self.id}{suffix}", text


def files(folder: Path) -> Iterator[Path]:
    """Those of the brand, then of partials, then of layouts, also such as read() refuses."""
    if (folder / _BRAND).is_file():
        yield folder / _BRAND
    for name in FOLDERS:
        yield from inside(folder / name)


def inside(folder: Path) -> Iterator[Path]:
    """Of one kind. README files and hidden ones do not matter, and a folder with a template.toml is a template,
    whatever its name."""
    if folder.is_dir() and not (folder / MAIN).exists():
        for path in sorted(folder.iterdir()):
            if not path.name.startswith((".", "README")):
                yield path


def is_shared(path: Path) -> bool:
    """Whether it is, by its place, such a file."""
    return path.name == _BRAND or path.absolute().parent.name in FOLDERS


def key(path: Path) -> tuple[SharedKind, str]:
    """The kind and the id of what the file has."""
    if path.name == _BRAND and path.absolute().parent.name not in FOLDERS:
        return "brand", BRAND
    return FOLDERS[path.absolute().parent.name], path.stem


def read(path: Path) -> Piece:
    """Raises FolderError."""
    kind, shared_id = key(path)
    if kind == "brand":
        return Piece(kind, shared_id, {"values": parse_object(path, read_text(path))})
    field = _SUFFIXES[kind].get(path.suffix)
    if field is None or not path.is_file():
        names = " or ".join(f"ID{suffix}" for suffix in _SUFFIXES[kind])
        raise FolderError([Mistake(path, 0, f"is no {kind}; those are files {names}")])
    text = read_text(path)
    return Piece(kind, shared_id, {field: text.removesuffix("\n") if kind == "partial" else text})


def shared(pieces: Iterable[Piece]) -> Shared:
    """As a template is stored with it."""
    return shared_of(
        SharedVersion(one.kind, one.id, 1, one.document.get("values", one.document))
        for one in pieces
    )


def is_known(path: Path) -> bool:
    """Whether read() takes a file of this name."""
    kind, _ = key(path)
    return kind == "brand" or (path.suffix in _SUFFIXES[kind] and path.is_file())


def write(path: Path, piece: Piece) -> None:
    """Make the file say exactly this, and no other say it: a layout of HTML may have been one of MJML. Raises
    OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if piece.kind != "brand":
        for suffix in _SUFFIXES[piece.kind]:
            if suffix != path.suffix:
                path.with_name(f"{piece.id}{suffix}").unlink(missing_ok=True)
    if not _says(path, piece):
        _, text = piece.file()
        path.write_bytes(text.encode())


def _says(path: Path, piece: Piece) -> bool:
    """A brand in other words, or a partial without its last line feed, is left as it is."""
    try:
        return path.is_file() and read(path).document == piece.document
    except FolderError:
        return False
