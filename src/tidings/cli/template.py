"""`tidings template`: templates between a folder and the API."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tidings.cli import template_folder, template_plan, template_versions
from tidings.cli.client import open_api
from tidings.cli.config import load_settings
from tidings.cli.errors import CommandError
from tidings.cli.output import Json, console, moment, print_json, table, text, word
from tidings.cli.template_folder import FolderError, Template
from tidings.cli.template_plan import Step

app = typer.Typer(add_completion=False, no_args_is_help=True)
for _name, _command in template_versions.COMMANDS.items():
    app.command(_name)(_command)

_COLOURS = {"+++": "bold", "---": "bold", "@@": "cyan", "+": "green", "-": "red"}


@app.callback()
def _template() -> None:
    """Templates: kept as folders, e.g. in git, and pushed when they changed.

    A folder per template, named by its id, with a template.toml (name, category, on_unknown) and a
    file for each part: email.subject.txt, email.html (or .md, .mjml), email.text.txt, sms.txt,
    push.toml, in_app.toml, webhook.json, chat.txt; variables.json says what data it takes, and
    sample.json has an example. `tidings template pull` writes examples of your own.
    """


@app.command()
def push(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH", exists=True, help="Folders, or files inside them."),
    ],
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    draft: Annotated[
        bool, typer.Option("--draft", help="Store versions that are not used until published.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Archive the templates that are not in these folders.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Create or update templates on the server, where their content differs.

    PATH is a template's folder, the folder around several, or any file of one. What would be done is shown
    first; on a terminal you are asked before it is. What is wrong is told with file and line, and nothing of that
    template is stored; the others are. A second push has nothing to do.
    """
    folders = _folders(paths)
    with open_api(load_settings()) as api:
        steps = template_plan.planned(api, folders, draft=draft, prune=prune)
        if not as_json:
            _show_plan(steps)
        if plan or not (yes or as_json or _agreed(steps)):
            _report(steps, as_json=as_json, words={})
            return
        done = [template_plan.apply(api, one, draft=draft) if one.changes else one for one in steps]
    _report(done, as_json=as_json, words=template_plan.DONE)


@app.command()
def diff(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[PATH]", help="Folders to be compared with the server."),
    ] = None,
    template_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Two versions of this one instead.")
    ] = None,
    before: Annotated[
        int | None, typer.Option(help="With --id: the older; the published one if not given.")
    ] = None,
    after: Annotated[
        int | None, typer.Option(help="With --id: the newer; the latest if not given.")
    ] = None,
) -> None:
    """Show what differs between folders and the server, or between two versions."""
    if (path is None) == (template_id is None):
        raise CommandError("Give either a PATH or --id.")
    with open_api(load_settings()) as api:
        if path is not None:
            steps = template_plan.planned(api, _folders([path]), draft=False, prune=False)
            _show_plan(steps)
            _report(steps, as_json=False, words={})
            return
        state = api.get("templates", template_id or "", "versions")
        old = before or state["current_version"] or state["latest_version"]
        new = after or state["latest_version"]
        versions = [
            Template.of_answer(api.get("templates", template_id or "", version=one))
            for one in (old, new)
        ]
    _print_diff(template_plan.diff(versions[0], versions[1], f"v{old}", f"v{new}"))


@app.command()
def pull(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder around them.")],
    only: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Only these.")] = None,
    as_json: Json = False,
) -> None:
    """Write templates of the server into folders, one for each; what was there is replaced."""
    with open_api(load_settings()) as api:
        answers = (
            [api.get("templates", one) for one in only] if only else list(template_plan.every(api))
        )
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
        answers = list(template_plan.every(api))
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


def _folders(paths: list[Path]) -> list[Path]:
    try:
        return template_folder.find(paths)
    except FolderError as error:
        raise CommandError("\n".join(map(str, error.mistakes))) from None


def _show_plan(steps: Sequence[Step]) -> None:
    for step in steps:
        if step.action in {"update", "create", "archive"}:
            typer.secho(f"{step.action} {step.id}", bold=True)
        if step.action == "update":
            _print_diff(template_plan.diff(step.before, step.after, "server", "folder"))


def _print_diff(lines: Iterable[str]) -> None:
    for line in lines:
        style = next((one for start, one in _COLOURS.items() if line.startswith(start)), "")
        console().print(text(line, style), soft_wrap=True)


def _agreed(steps: Sequence[Step]) -> bool:
    """Where nobody can be asked, in a script, the push itself says so."""
    to_do = template_plan.summary(steps)
    if not to_do or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    return typer.confirm(f"{to_do}. Do it?")


def _report(steps: Sequence[Step], *, as_json: bool, words: Mapping[str, str]) -> None:
    """words: what each action is called when it is done; without them, what it would be."""
    results = [(one, words.get(one.action, one.action)) for one in steps]
    if as_json:
        print_json(*(one.document(result) for one, result in results))
    else:
        rows = [
            (one.id, word(result), one.version and f"v{one.version}") for one, result in results
        ]
        console().print(table(("template", "result", "version"), rows))
        if not any(one.changes for one in steps):
            typer.echo("Nothing to do." if not words else "Nothing was to be done.")
    for one in () if as_json else steps:
        for warning in one.warnings:
            typer.secho(f"warning: {one.id}: {warning}", fg="yellow", err=True)
        for mistake in one.mistakes:
            typer.secho(str(mistake), fg="red", err=True)
    if any(one.action == "refused" for one in steps):
        raise typer.Exit(1)


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
