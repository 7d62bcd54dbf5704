"""`tidings layout`: layouts, partials and the brand, between a folder and the API."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from tidings.cli import shared_folder
from tidings.cli.client import Api, ProblemError, open_api
from tidings.cli.config import load_settings
from tidings.cli.errors import CommandError
from tidings.cli.output import Json, console, print_json, table, word
from tidings.cli.shared_folder import Piece
from tidings.cli.template_folder import FolderError
from tidings.domain.shared import BRAND

app = typer.Typer(add_completion=False, no_args_is_help=True)

_PAGE = 200
_OF_PIECE = frozenset({400, 413})
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder that holds them.")]


@app.callback()
def _layout() -> None:
    """What templates share: layouts, partials and the brand, kept in a folder.

    The folder has brand.json, layouts/ID.html or .mjml, and partials/ID.txt. A template keeps what it was
    stored with; `POST /templates/{id}/refresh` gives it the newest.
    """


@app.command()
def push(directory: Folder, as_json: Json = False) -> None:
    """Store what differs from the server's: the brand, then partials, then layouts."""
    try:
        pieces = shared_folder.read(directory)
    except FolderError as error:
        raise CommandError("\n".join(map(str, error.mistakes))) from None
    if not pieces:
        raise CommandError(f"{directory} has no brand.json, layouts or partials.")
    with open_api(load_settings()) as api:
        pushed = [_push(api, piece) for piece in pieces]
    if as_json:
        print_json(*pushed)
    else:
        rows = [(one["kind"], one["id"], word(one["result"])) for one in pushed]
        console().print(table(("kind", "id", "result"), rows))
        for one in pushed:
            for problem in one["problems"]:
                typer.secho(problem, fg="red", err=True)
    if any(one["result"] == "refused" for one in pushed):
        raise typer.Exit(1)


@app.command()
def pull(directory: Folder, as_json: Json = False) -> None:
    """Write what the server has into the folder; other files stay."""
    with open_api(load_settings()) as api:
        files = list(_files(api))
    for name, text in files:
        path = directory / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        except OSError as error:
            raise CommandError(f"Cannot write {path}: {error.strerror}.") from None
    if as_json:
        print_json(*({"file": name} for name, _ in files))
    else:
        rows = [(name,) for name, _ in files]
        console().print(table(("file",), rows) if rows else "Nothing is shared.")


def _push(api: Api, piece: Piece) -> dict[str, Any]:
    problems: list[str] = []
    try:
        known = _known(api, piece)
        if known is not None and all(known[key] == piece.document[key] for key in piece.document):
            result = "unchanged"
        else:
            api.put(*_address(piece), document=piece.document)
            result = "created" if known is None else "updated"
    except ProblemError as problem:
        if problem.status not in _OF_PIECE:
            raise
        result = "refused"
        problems = [f"{piece.file}: {said}" for _, said in problem.errors]
        problems = problems or [f"{piece.file}: {problem.message}"]
    return {"kind": piece.kind, "id": piece.id, "result": result, "problems": problems}


def _address(piece: Piece) -> tuple[str, ...]:
    return (BRAND,) if piece.kind == "brand" else (f"{piece.kind}s", piece.id)


def _known(api: Api, piece: Piece) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = api.get(*_address(piece))
    except ProblemError as problem:
        if problem.status == 404:
            return None
        raise
    return answer if answer["version"] else None


def _files(api: Api) -> Iterator[tuple[str, str]]:
    brand = api.get(BRAND)
    if brand["version"]:
        text = orjson.dumps(brand["values"], option=orjson.OPT_INDENT_2).decode()
        yield "brand.json", f"{text}\n"
    for one in _all(api, "partials"):
        yield f"partials/{one['id']}.txt", f"{one['text']}\n"
    for one in _all(api, "layouts"):
        kind = "html" if one["html"] is not None else "mjml"
        yield f"layouts/{one['id']}.{kind}", one[kind]


def _all(api: Api, kind: str) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = api.get(kind, cursor=cursor, limit=_PAGE)
        yield from page[kind]
        cursor = page["next_cursor"]
        if cursor is None:
            return
