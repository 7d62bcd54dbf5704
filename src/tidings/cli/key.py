"""`tidings key`: API keys."""

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from tidings.cli.config import load_settings
from tidings.cli.connected import connected
from tidings.cli.errors import CommandError
from tidings.cli.explained import explained
from tidings.cli.output import Json, console, moment, print_json, table, word
from tidings.settings import Settings
from tidings.store import api_keys
from tidings.store.api_keys import ApiKey, Role

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def _key() -> None:
    """API keys: who may call, and what they may do."""


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="To recognise the key by.")],
    role: Annotated[
        Role,
        typer.Option(
            help="sender: sends and follows; editor: templates; viewer: reads; admin: everything."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Make a key. It is shown once, now: only its hash is stored."""
    if not name.strip() or not name.isprintable() or len(name) > 255:
        raise typer.BadParameter("a name has 1 to 255 printable characters", param_hint="NAME")
    secret = api_keys.new_secret()
    settings = load_settings()
    with explained():
        made = asyncio.run(_create(settings, name, role, secret))
    if as_json:
        print_json({**_document(made), "key": secret})
        return
    typer.echo(secret)
    typer.secho(
        f"This is the only time that the key of {name!r} ({role}) is shown.", dim=True, err=True
    )


@app.command("list")
def listed(as_json: Json = False) -> None:
    """List the keys, without their secrets."""
    settings = load_settings()
    with explained():
        keys = asyncio.run(_listed(settings))
    if as_json:
        print_json(*map(_document, keys))
        return
    rows = [
        (
            key.id,
            key.name,
            key.role,
            f"{key.hint}…",
            moment(key.created_at.isoformat()),
            word("ok")
            if key.revoked_at is None
            else f"revoked {moment(key.revoked_at.isoformat())}",
        )
        for key in keys
    ]
    columns = ("id", "name", "role", "begins with", "created", "state")
    console().print(table(columns, rows) if rows else "No keys.")


@app.command()
def revoke(key_id: Annotated[UUID, typer.Argument(metavar="ID")]) -> None:
    """Revoke a key; running processes refuse it from then on."""
    settings = load_settings()
    with explained():
        revoked = asyncio.run(_revoke(settings, key_id))
    if not revoked:
        raise CommandError("No valid key has this id.", "`tidings key list` lists them.")
    typer.echo("Revoked.")


async def _create(settings: Settings, name: str, role: Role, secret: str) -> ApiKey:
    async with connected(settings) as connection:
        return await api_keys.create(connection, name, role, secret)


async def _listed(settings: Settings) -> list[ApiKey]:
    async with connected(settings) as connection:
        return await api_keys.listed(connection)


async def _revoke(settings: Settings, key_id: UUID) -> bool:
    async with connected(settings) as connection:
        return await api_keys.revoke(connection, key_id)


def _document(key: ApiKey) -> dict[str, object]:
    return {
        "id": str(key.id),
        "name": key.name,
        "role": key.role,
        "hint": key.hint,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }
