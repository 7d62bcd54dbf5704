"""`tidings template`: templates between a folder and the API."""

from typing import Annotated

import typer

from tidings.cli import shared_plan, template_plan, template_pull, template_push, template_versions
from tidings.cli.client import open_api
from tidings.cli.config import load_settings
from tidings.cli.output import Json, console, moment, print_json, table

app = typer.Typer(add_completion=False, no_args_is_help=True)
for _commands in (template_push.COMMANDS, template_pull.COMMANDS, template_versions.COMMANDS):
    for _name, _command in _commands.items():
        app.command(_name)(_command)


@app.callback()
def _template() -> None:
    """Templates and what they share: kept as folders, e.g. in git, and pushed when they changed.

    A folder per template, named by its id, with a template.toml (name, category, on_unknown) and a
    file for each part: email.subject.txt, email.html (or .md, .mjml), email.text.txt, sms.txt,
    push.toml, in_app.toml, webhook.json, chat.txt; variables.json says what data it takes, and
    sample.json has an example. Beside these folders, brand.json, layouts/ID.html (or .mjml) and
    partials/ID.txt have what templates share. `tidings template pull` writes examples of your own.
    """


@app.command("list")
def listed(
    archived: Annotated[
        bool, typer.Option("--archived", help="Those that are archived, instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the current versions; with --json, their content too."""
    with open_api(load_settings()) as api:
        answers = list(template_plan.every(api, archived=archived))
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


@app.command("shared")
def shared(as_json: Json = False) -> None:
    """List the brand, partials and layouts, and how many templates use each."""
    with open_api(load_settings()) as api:
        pieces = shared_plan.on_server(api).values()
        users = template_plan.users_of(template_plan.every(api))
    if as_json:
        print_json(
            *(
                {
                    "kind": one.kind,
                    "id": one.id,
                    "version": one.version,
                    "used_by": users.get(one.name, []),
                }
                for one in pieces
            )
        )
        return
    rows = [(one.kind, one.id, f"v{one.version}", len(users.get(one.name, []))) for one in pieces]
    columns = ("kind", "id", "version", "templates")
    console().print(table(columns, rows) if rows else "Nothing is shared.")
