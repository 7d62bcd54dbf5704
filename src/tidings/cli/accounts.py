"""`tidings accounts`: what is configured, how it is, and closing a breaker by hand."""

from typing import Annotated, Any

import typer
from rich.table import Table

from tidings.cli.client import open_api
from tidings.cli.config import load_settings, wrong_settings
from tidings.cli.output import Json, console, moment, print_json, table, text, word
from tidings.providers.accounts import build_accounts, describe
from tidings.providers.catalogue import read_catalogue
from tidings.settings import SettingsError

app = typer.Typer(add_completion=False)

_OWN_COLUMN = frozenset({"name", "provider", "channels"})


@app.callback(invoke_without_command=True)
def accounts(
    context: typer.Context,
    health: Annotated[
        bool, typer.Option("--health", help="Ask the API which are held back, and why.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the configured accounts, and those that Tidings adds by itself. Secrets are masked."""
    if context.invoked_subcommand is not None:
        return
    if health:
        with open_api(load_settings()) as api:
            found = api.get("accounts")["accounts"]
        print_json(*found) if as_json else console().print(_health(found))
        return
    described = _configured()
    if as_json:
        print_json(*described)
    else:
        columns = ("account", "provider", "channels", "values")
        console().print(table(columns, [_row(one) for one in described]))


@app.command()
def reset(name: Annotated[str, typer.Argument(metavar="NAME")], as_json: Json = False) -> None:
    """Close an account's breaker by hand, and lift what slows it down."""
    with open_api(load_settings()) as api:
        answer = api.send("POST", "accounts", name, "reset")
    if as_json:
        print_json(answer)
    else:
        console().print(text(f"The breaker of {name} is closed."))


def _configured() -> list[dict[str, Any]]:
    try:
        manifests = read_catalogue().manifests
        built = build_accounts(load_settings(), manifests)
    except SettingsError as error:
        raise wrong_settings(error) from None
    return [describe(account, manifests[account.provider]) for account in built]


def _health(found: list[dict[str, Any]]) -> Table:
    columns = ("account", "provider", "state", "since", "reason", "next probe", "calls/s")
    rows = [
        (
            one["name"],
            one["provider"],
            word(one["state"]) if one["breaker"] else text("no breaker", "dim"),
            moment(one["since"]),
            _reason(one),
            moment(one["probe_at"]),
            _allowance(one),
        )
        for one in found
    ]
    return table(columns, rows)


def _reason(one: dict[str, Any]) -> str:
    """With what was counted, where the newest event is the one that led to this state."""
    newest = one["events"][0] if one["events"] else None
    if newest is None or newest["state_to"] != one["state"] or not newest["detail"]:
        return one["reason"] or ""
    return f"{newest['reason']}: {newest['detail']}"


def _allowance(one: dict[str, Any]) -> str:
    if one["paused_until"] is not None:
        return f"none until {moment(one['paused_until'])}"
    return "" if one["allowance"] is None else f"{one['allowance']:.1f}"


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
