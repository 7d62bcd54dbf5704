"""`tidings migrate`."""

import asyncio
from typing import Annotated

import typer

from tidings.bootstrap.database import database
from tidings.cli.config import load_settings
from tidings.cli.explained import explained
from tidings.settings import Settings
from tidings.store import migrate as migration

app = typer.Typer(add_completion=False)


@app.command()
def migrate(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing.")] = False,
) -> None:
    """Bring the database's schema up to date. Safe to run from several places at once."""
    settings = load_settings()
    with explained():
        revision = asyncio.run(_run(settings))
    if not quiet:
        typer.echo(f"The schema is up to date: revision {revision}.")


async def _run(settings: Settings) -> str:
    async with database(settings) as dsn:
        return await migration.migrate(dsn)
