"""What a push would do to the layouts, partials and the brand of the server."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tidings.cli import shared_folder
from tidings.cli.client import Api
from tidings.cli.shared_folder import FOLDERS, Piece
from tidings.cli.source_files import FolderError
from tidings.cli.template_step import Action, Step
from tidings.domain.shared import BRAND, SharedKind

_PAGE = 200
_ORDER = ("brand", *FOLDERS.values())
Key = tuple[SharedKind, str]
Pieces = Mapping[Key, Piece]


def on_server(api: Api) -> Pieces:
    """The newest version of each: the brand, then partials, then layouts."""
    return {(one.kind, one.id): one for one in _all(api)}


def steps_of(files: Iterable[Path], there: Pieces) -> list[Step]:
    """One for each piece, in the order in which they can be stored."""
    in_order = sorted(files, key=lambda one: _ORDER.index(shared_folder.key(one)[0]))
    return [_step(path, there) for path in in_order]


def removals(files: Iterable[Path], there: Pieces) -> list[Step]:
    """Of what the server has and the files have not: layouts, then the partials that may be in them, then the brand."""
    kept = set(map(shared_folder.key, files))
    return [
        Step(piece.kind, piece.id, "remove", _files(piece), version=piece.version)
        for key, piece in reversed(list(there.items()))
        if key not in kept
    ]


def _step(path: Path, pieces: Pieces) -> Step:
    key = shared_folder.key(path)
    try:
        piece = shared_folder.read(path)
    except FolderError as error:
        return Step(*key, "refused", source=path, mistakes=tuple(error.mistakes))
    after = _files(piece)
    there = pieces.get(key)
    if there is None:
        return Step(*key, "create", after=after, document=piece.document, source=path)
    action: Action = "unchanged" if there.document == piece.document else "update"
    return Step(*key, action, _files(there), after, piece.document, path, there.version)


def _files(piece: Piece) -> Mapping[str, str]:
    name, text = piece.file()
    return {name: text}


def _all(api: Api) -> Iterator[Piece]:
    brand = api.get(BRAND)
    if brand["version"]:
        yield Piece("brand", BRAND, {"values": brand["values"]}, brand["version"])
    for address, kind in FOLDERS.items():
        for answer in _listed(api, address):
            document = {
                name: answer[name]
                for name in ("text", "html", "mjml")
                if answer.get(name) is not None
            }
            yield Piece(kind, answer["id"], document, answer["version"])


def _listed(api: Api, address: str) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = api.get(address, cursor=cursor, limit=_PAGE)
        yield from page[address]
        cursor = page["next_cursor"]
        if cursor is None:
            return
