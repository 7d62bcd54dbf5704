"""`tidings callbacks`: what vendors reported and could not be read, listed and read once more."""

from typing import Annotated
from uuid import UUID

import typer

from tidings.cli.client import open_api
from tidings.cli.config import load_settings
from tidings.cli.output import Json, console, moment, print_json, table
from tidings.cli.topic import pages

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Vendors' callbacks that could not be read."
)

_PATH = "unread-callbacks"

Ids = Annotated[list[UUID] | None, typer.Argument(metavar="ID…", help="Of callbacks.")]
Account = Annotated[str | None, typer.Option("--account", help="Only of this account.")]


@app.command("list")
def listing(
    account: Account = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """List callbacks that could not be read, with why; the newest first."""
    with open_api(load_settings()) as api:
        found = list(pages(api, "callbacks", _PATH, most=limit, account=account))
    if as_json:
        print_json(*found)
        return
    rows = [
        (one["callback_id"], moment(one["received_at"]), one["account"], one["problem"])
        for one in found
    ]
    columns = ("callback", "received", "account", "problem")
    console().print(table(columns, rows) if rows else "Every callback was read.")


@app.command()
def retry(ids: Ids = None, account: Account = None, as_json: Json = False) -> None:
    """Read them once more: those named, else all of the account, else all."""
    document = {
        **({"ids": [str(one) for one in ids]} if ids else {}),
        **({"account": account} if account else {}),
    }
    with open_api(load_settings()) as api:
        answer = api.post(_PATH, "retry", document=document)
    print_json(answer) if as_json else typer.echo(f"{answer['retried']} are read once more.")
