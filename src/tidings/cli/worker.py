"""`tidings worker`."""

import contextlib
import os
from collections.abc import Iterator
from typing import Annotated

import typer
import uvloop
from prometheus_client import CollectorRegistry, start_http_server

from tidings.bootstrap.database import database
from tidings.bootstrap.exposition import MULTIPROCESS
from tidings.bootstrap.foundation import lay
from tidings.bootstrap.worker import open_worker
from tidings.cli.collecting import collect_seldom
from tidings.cli.config import load_settings
from tidings.cli.errors import CommandError
from tidings.cli.explained import explained
from tidings.cli.leaving import leave
from tidings.cli.signals import Supervised, stopping
from tidings.domain.duty import Duty
from tidings.settings import Settings

app = typer.Typer(add_completion=False)

# For who works on backlogs: where processors are short, the API and the first worker, who see to what is
# urgent, go before it.
_GIVES_WAY = 5


@app.command()
def worker(
    supervised: Supervised = False,
    duty: Annotated[Duty, typer.Option(hidden=True)] = Duty.ALONE,
) -> None:
    """Run one worker process: it delivers, retries, and looks after the database."""
    settings = load_settings()
    collect_seldom()
    if duty is Duty.BACKLOG:
        os.nice(_GIVES_WAY)
    with explained():
        uvloop.run(_run(settings, supervised, duty))
    leave(0)


async def _run(settings: Settings, supervised: bool, duty: Duty) -> None:
    stop = stopping(supervised=supervised)
    registry = CollectorRegistry()
    async with database(settings) as dsn:
        opened = await open_worker(lay(settings, dsn, "worker"), registry, duty=duty)
        with _metrics(settings, registry):
            await opened.run(stop)


@contextlib.contextmanager
def _metrics(settings: Settings, registry: CollectorRegistry) -> Iterator[None]:
    """A worker alone answers Prometheus itself; under a supervisor the API does it for all."""
    port = settings.worker.metrics_port
    if not port or MULTIPROCESS in os.environ:
        yield
        return
    try:
        server, thread = start_http_server(port, addr=settings.api.host, registry=registry)
    except OSError as error:
        raise CommandError(
            f"Cannot listen on {settings.api.host}:{port} for metrics: {error.strerror}.",
            "TIDINGS_WORKER__METRICS_PORT chooses another port.",
        ) from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
