"""`tidings template`: templates between a folder and the API."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from tidings.cli import template_folder
from tidings.cli.client import Api, ProblemError, open_api
from tidings.cli.config import load_settings
from tidings.cli.errors import CommandError
from tidings.cli.output import Json, console, moment, print_json, table, word
from tidings.cli.template_folder import FolderError, Mistake, Template

app = typer.Typer(add_completion=False, no_args_is_help=True)

_PAGE = 200
# A problem with the request as a whole is the template's only where the API looked at the template.
_OF_TEMPLATE = frozenset({400, 413})


@app.callback()
def _template() -> None:
    """Templates: kept as folders, e.g. in git, and pushed when they changed.

    A folder per template, named by its id, with a template.toml (name, category, on_unknown) and a
    file for each part: email.subject.txt, email.html, email.text.txt, sms.txt, push.toml, in_app.toml,
    webhook.json, chat.txt. `tidings template pull` writes examples of your own.
    """


@dataclass(frozen=True, slots=True)
class _Pushed:
    """result: created, updated, unchanged or refused."""

    id: str
    result: str
    version: int | None = None
    mistakes: tuple[Mistake, ...] = ()

    def document(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "result": self.result,
            "version": self.version,
            "problems": [
                {"file": str(one.file), "line": one.line or None, "message": one.message}
                for one in self.mistakes
            ],
        }


@app.command()
def push(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH", exists=True, help="Folders, or files inside them."),
    ],
    as_json: Json = False,
) -> None:
    """Create or update templates on the server, where their content differs.

    PATH is a template's folder, the folder around several, or any file of one. What is wrong is told
    with file and line, and nothing of that template is stored; the others are.
    """
    try:
        folders = template_folder.find(paths)
    except FolderError as error:
        raise CommandError("\n".join(map(str, error.mistakes))) from None
    with open_api(load_settings()) as api:
        pushed = [_push(api, folder) for folder in folders]
    if as_json:
        print_json(*(one.document() for one in pushed))
    else:
        rows = [(one.id, word(one.result), one.version and f"v{one.version}") for one in pushed]
        console().print(table(("template", "result", "version"), rows))
        for one in pushed:
            for mistake in one.mistakes:
                typer.secho(str(mistake), fg="red", err=True)
    if any(one.result == "refused" for one in pushed):
        raise typer.Exit(1)


@app.command()
def pull(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder around them.")],
    only: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Only these.")] = None,
    as_json: Json = False,
) -> None:
    """Write templates of the server into folders, one for each; what was there is replaced."""
    with open_api(load_settings()) as api:
        answers = [api.get("templates", one) for one in only] if only else list(_all(api))
    results = [_pull(directory / answer["id"], answer) for answer in answers]
    pulled = list(zip(answers, results, strict=True))
    if as_json:
        print_json(
            *(
                {"id": one["id"], "result": result, "version": one["version"]}
                for one, result in pulled
            )
        )
        return
    rows = [(one["id"], word(result), f"v{one['version']}") for one, result in pulled]
    console().print(table(("template", "result", "version"), rows) if rows else "No templates.")


@app.command("list")
def listed(as_json: Json = False) -> None:
    """List the current versions; with --json, their content too."""
    with open_api(load_settings()) as api:
        answers = list(_all(api))
    if as_json:
        print_json(*answers)
        return
    rows = [
        (
            answer["id"],
            f"v{answer['version']}",
            answer["name"],
            answer["category"],
            ", ".join(answer["content"]),
            moment(answer["created_at"]),
        )
        for answer in answers
    ]
    columns = ("template", "version", "name", "category", "channels", "since")
    console().print(table(columns, rows) if rows else "No templates.")


def _all(api: Api) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = api.get("templates", cursor=cursor, limit=_PAGE)
        yield from page["templates"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _push(api: Api, folder: Path) -> _Pushed:
    try:
        template = template_folder.read(folder)
    except FolderError as error:
        return _Pushed(folder.resolve().name, "refused", mistakes=tuple(error.mistakes))
    try:
        known = _known(api, template.id)
        if known is not None and Template.of_answer(known) == template:
            return _Pushed(template.id, "unchanged", known["version"])
        if known is None:
            document = {"id": template.id, **template.document()}
            answer = api.post("templates", document=document)
        else:
            answer = api.put("templates", template.id, document=template.document())
    except ProblemError as problem:
        if problem.status not in _OF_TEMPLATE:
            raise
        return _Pushed(template.id, "refused", mistakes=_mistakes(folder, problem))
    return _Pushed(template.id, "created" if known is None else "updated", answer["version"])


def _known(api: Api, template_id: str) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = api.get("templates", template_id)
    except ProblemError as problem:
        if problem.status == 404:
            return None
        raise
    return answer


def _mistakes(folder: Path, problem: ProblemError) -> tuple[Mistake, ...]:
    found = tuple(template_folder.locate(folder, path, said) for path, said in problem.errors)
    return found or (Mistake(folder, 0, problem.message),)


def _pull(folder: Path, answer: dict[str, Any]) -> str:
    template = Template.of_answer(answer)
    result = "updated" if (folder / template_folder.MAIN).exists() else "created"
    try:
        if result == "updated" and template_folder.read(folder) == template:
            return "unchanged"
    except FolderError:
        result = "updated"  # what is there is broken, and is replaced
    try:
        template_folder.write(folder, template)
    except OSError as error:
        raise CommandError(f"Cannot write {folder}: {error.strerror}.") from None
    return result
