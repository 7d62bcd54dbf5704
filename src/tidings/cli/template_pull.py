"""`tidings template pull`: from the server into a folder."""

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tidings.cli import shared_folder, shared_plan, template_folder, template_plan
from tidings.cli.client import Api, open_api
from tidings.cli.config import load_settings
from tidings.cli.errors import CommandError
from tidings.cli.output import Json, console, print_json, table, text, word
from tidings.cli.shared_folder import Piece
from tidings.cli.source_files import FolderError
from tidings.cli.template_document import Template
from tidings.cli.template_files import MAIN
from tidings.cli.template_step import Kind

_DONE = {"create": "created", "update": "updated", "delete": "deleted"}


@dataclass(frozen=True, slots=True)
class Fetch:
    """What is done to the files of one template, layout, partial or brand. path: its folder or file. content: None
    where it is deleted."""

    kind: Kind
    id: str
    action: Literal["create", "update", "unchanged", "delete"]
    path: Path
    content: Template | Piece | None = None
    version: int | None = None

    def files(self) -> list[Path]:
        """Those there are that may be deleted."""
        return template_folder.known(self.path) if self.kind == "template" else [self.path]

    def document(self, result: str) -> dict[str, Any]:
        return {"kind": self.kind, "id": self.id, "result": result, "version": self.version}


def pull(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder around them.")],
    only: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Only these.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete the files of what the server does not have.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
    as_json: Json = False,
) -> None:
    """Write templates of the server into folders, one for each, and what they share beside them.

    What was there is replaced. Other files stay; with --prune those of templates that are archived or not known, and of
    layouts, partials and brand that are not there, are deleted, after you were asked. With ID only these templates are
    written, without what they share.
    """
    if prune and only:
        raise CommandError("--prune looks at all that the server has.", "Leave out the IDs.")
    with open_api(load_settings()) as api:
        fetches = list(_planned(api, directory, only or ()))
    if prune:
        fetches += _gone(directory, fetches)
    doomed = [file for one in fetches if one.action == "delete" for file in one.files()]
    if not as_json:
        for file in doomed:
            console().print(text(f"delete {file}", "red"), soft_wrap=True)
    if plan or not (yes or not doomed or _agreed(doomed, as_json=as_json)):
        _report(fetches, [one.action for one in fetches], as_json=as_json)
        return
    for fetch in fetches:
        _carry_out(fetch)
    _report(fetches, [_DONE.get(one.action, one.action) for one in fetches], as_json=as_json)


COMMANDS = {"pull": pull}


def _agreed(doomed: Sequence[Path], *, as_json: bool) -> bool:
    if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandError(
            f"--prune would delete {len(doomed)} files, and nobody can be asked.",
            "--plan shows what would be done; --yes deletes them.",
        )
    return typer.confirm(f"Delete {len(doomed)} files?")


def _planned(api: Api, directory: Path, only: Collection[str]) -> Iterator[Fetch]:
    fetches = [_of_template(directory, one) for one in template_plan.named(api, only)]
    pieces = [] if only else list(shared_plan.on_server(api).values())
    for name in shared_folder.FOLDERS:
        shared = any(f"{one.kind}s" == name for one in pieces)
        template = any(one.id == name for one in fetches)
        there = directory / name
        if (template and (shared or any(shared_folder.inside(there)))) or (
            shared and (there / MAIN).exists()
        ):
            raise CommandError(
                f"{there} cannot be both a template and the folder of {name}.",
                "Give the IDs of templates, and pull that one into a folder of its own.",
            )
    yield from (_of_piece(directory, one) for one in pieces)
    yield from fetches


def _of_template(directory: Path, answer: Mapping[str, Any]) -> Fetch:
    template = Template.of_answer(answer)
    folder = directory / template.id
    action: Literal["create", "update", "unchanged"] = "create"
    if (folder / MAIN).exists():
        try:
            action = "unchanged" if template_folder.read(folder) == template else "update"
        except FolderError:
            action = "update"  # what is there is broken, and is replaced
    return Fetch("template", template.id, action, folder, template, answer["version"])


def _of_piece(directory: Path, piece: Piece) -> Fetch:
    name, _ = piece.file()
    path = directory / name
    action: Literal["create", "update", "unchanged"] = "create"
    if there := _files_of(directory, piece):
        try:
            same = [shared_folder.read(one).document for one in there] == [piece.document]
            action = "unchanged" if same else "update"
        except FolderError:
            action = "update"
    return Fetch(piece.kind, piece.id, action, path, piece, piece.version)


def _files_of(directory: Path, piece: Piece) -> list[Path]:
    """One, or two where a layout is there as HTML and as MJML."""
    return [
        path
        for path in shared_folder.files(directory)
        if shared_folder.is_known(path) and shared_folder.key(path) == (piece.kind, piece.id)
    ]


def _gone(directory: Path, fetches: Iterable[Fetch]) -> list[Fetch]:
    """What the folder has and the server has not. Files that are none of ours are not looked at."""
    there = {(one.kind, one.id) for one in fetches}
    found = [
        Fetch("template", path.parent.name, "delete", path.parent)
        for path in sorted(directory.glob(f"*/{MAIN}"))
    ]
    found += [
        Fetch(*shared_folder.key(path), "delete", path)
        for path in shared_folder.files(directory)
        if shared_folder.is_known(path)
    ]
    return [one for one in found if (one.kind, one.id) not in there]


def _carry_out(fetch: Fetch) -> None:
    try:
        match fetch.content:
            case _ if fetch.action == "unchanged":
                return
            case Template() as template:
                template_folder.write(fetch.path, template)
            case Piece() as piece:
                shared_folder.write(fetch.path, piece)
            case None if fetch.kind == "template":
                template_folder.remove(fetch.path)
            case None:
                fetch.path.unlink()
    except OSError as error:
        raise CommandError(
            f"Cannot write {fetch.path}: {error.strerror}.",
            "What was written before it stays; the same pull goes on.",
        ) from None


def _report(fetches: Sequence[Fetch], results: Sequence[str], *, as_json: bool) -> None:
    pairs = list(zip(fetches, results, strict=True))
    if as_json:
        print_json(*(one.document(result) for one, result in pairs))
        return
    rows = [
        (one.kind, one.id, word(result), one.version and f"v{one.version}") for one, result in pairs
    ]
    columns = ("kind", "id", "result", "version")
    console().print(table(columns, rows) if rows else "The server has no templates.")
    for one, result in pairs:
        if result == "deleted" and one.kind == "template" and one.path.exists():
            names = ", ".join(sorted(path.name for path in one.path.iterdir()))
            typer.secho(f"{one.path} stays, with files of yours: {names}", fg="yellow", err=True)
