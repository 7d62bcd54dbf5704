"""`tidings api`."""

import typer
import uvloop

from tidings.bootstrap.api import bind, run_api
from tidings.bootstrap.database import database
from tidings.bootstrap.foundation import lay
from tidings.cli.collecting import collect_seldom
from tidings.cli.config import load_settings
from tidings.cli.errors import CommandError
from tidings.cli.explained import explained
from tidings.cli.signals import Supervised, stopping
from tidings.settings import Settings

app = typer.Typer(add_completion=False)


@app.command()
def api(supervised: Supervised = False) -> None:
    """Run one API process. Several may share a port, and a database with any number of workers."""
    settings = load_settings()
    collect_seldom()
    with explained():
        uvloop.run(_run(settings, supervised))


async def _run(settings: Settings, supervised: bool) -> None:
    stop = stopping(supervised=supervised)
    try:
        listening = bind(settings.api.host, settings.api.port, shared=settings.api.processes > 1)
    except OSError as error:
        where = f"{settings.api.host}:{settings.api.port}"
        raise CommandError(
            f"Cannot listen on {where}: {error.strerror}.",
            "Another program may use the port; TIDINGS_API__PORT chooses another one.",
        ) from None
    with listening:
        async with database(settings) as dsn:
            await run_api(lay(settings, dsn, "api"), stop, listening=listening)
