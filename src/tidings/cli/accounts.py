"""`tidings accounts`."""

from typing import Any

import typer

from tidings.cli.config import load_settings, wrong_settings
from tidings.cli.output import Json, console, print_json, table
from tidings.providers.accounts import build_accounts, describe
from tidings.providers.catalogue import MANIFESTS
from tidings.settings import SettingsError

app = typer.Typer(add_completion=False)

_OWN_COLUMN = frozenset({"name", "provider", "channels"})


@app.command()
def accounts(as_json: Json = False) -> None:
    """Show the configured accounts, and those that Tidings adds by itself. Secrets are masked."""
    try:
        built = build_accounts(load_settings(), MANIFESTS)
    except SettingsError as error:
        raise wrong_settings(error) from None
    described = [describe(account, MANIFESTS[account.provider]) for account in built]
    if as_json:
        print_json(*described)
    else:
        columns = ("account", "provider", "channels", "values")
        console().print(table(columns, [_row(one) for one in described]))


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    values = "\n".join(
        f"{name} = {_written(value)}"
        for name, value in one.items()
        if name not in _OWN_COLUMN and value not in (None, "", [])
    )
    return one["name"], one["provider"], ", ".join(one["channels"]), values


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
