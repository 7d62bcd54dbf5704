"""The database of a command or of the supervisor: the configured one, or the embedded server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import structlog

from tidings.bootstrap.places import embedded_directory
from tidings.settings import Settings
from tidings.store.database import UNAVAILABLE
from tidings.store.embedded import EmbeddedServer

log: structlog.stdlib.BoundLogger = structlog.get_logger()


_PRESENCE = "tidings presence"


@contextlib.asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """The URL of the database, running. The embedded server is stopped again by whoever leaves it last:
    each user keeps a connection open for as long as it needs the server, so that the others see it."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    server = EmbeddedServer(embedded_directory(settings))
    url = await asyncio.to_thread(server.start)
    await server.ensure_database()
    presence = await asyncpg.connect(url, server_settings={"application_name": _PRESENCE})
    try:
        yield url
    finally:
        alone = await _alone(presence)
        presence.terminate()
        if alone:
            await asyncio.to_thread(server.stop)


async def _alone(presence: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """Whether nobody else uses the server. One that does not answer is to be stopped, or is already."""
    try:
        others: int = await presence.fetchval(
            """SELECT count(*) FROM pg_stat_activity
               WHERE application_name = $1 AND pid <> pg_backend_pid()""",
            _PRESENCE,
            timeout=5,
        )
    except UNAVAILABLE as error:
        log.warning("database.unavailable", doing="leave", error=type(error).__name__)
        return True
    return others == 0
