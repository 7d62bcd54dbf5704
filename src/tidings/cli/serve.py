"""`tidings serve`."""

import sys

import typer
import uvloop

from tidings import __version__, supervisor
from tidings.bootstrap.places import development_key_file
from tidings.cli.config import load_settings
from tidings.cli.errors import CommandError
from tidings.cli.nursed import nursed
from tidings.settings import Settings, config_file
from tidings.store.embedded import EmbeddedServerError

app = typer.Typer(add_completion=False)


@app.command()
def serve() -> None:
    """Run everything: database, API and workers, as processes under one supervisor.

    Without a configured database it runs a PostgreSQL of its own. Ctrl+C or SIGTERM stops it in good
    order; what was accepted is kept, and goes on at the next start.
    """
    settings = load_settings()
    if settings.development and sys.stdout.isatty():
        _greet(settings)
    try:
        status = uvloop.run(supervisor.serve(settings, "tidings.cli.nursery", nursed))
    except EmbeddedServerError as error:
        raise CommandError(str(error)) from None
    raise typer.Exit(status)


def _greet(settings: Settings) -> None:
    url = f"http://{settings.api.host}:{settings.api.port}"
    typer.secho(f"\n  Tidings {__version__}", bold=True, nl=False)
    typer.echo("  for development; Ctrl+C stops it\n")
    for name, value in (
        ("API", url),
        ("Documentation", f"{url}/docs"),
        ("API key", f"in {development_key_file(settings)}"),
        ("Settings", str(config_file()) if config_file().is_file() else "defaults"),
        ("Accounts", _accounts(settings)),
    ):
        typer.secho(f"  {name:<15}", dim=True, nl=False)
        typer.echo(value)
    typer.echo()


def _accounts(settings: Settings) -> str:
    """As they are declared: to check them takes every provider, which this process does not load."""
    named = [f"{name} ({account.provider})" for name, account in settings.accounts.items()]
    kept = "`tidings outbox` shows what no account delivers"
    return f"{', '.join(named)}; {kept}" if named else f"none; {kept}"
