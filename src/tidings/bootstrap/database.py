"""The database of a command or of the supervisor: the configured one, or the embedded server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tidings.bootstrap.places import embedded_directory
from tidings.settings import Settings
from tidings.store.embedded import EmbeddedServer


@contextlib.asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """The URL of the database, running. An embedded server that was not running before is stopped
    again at the end; one that was, belongs to somebody else and stays."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    server = EmbeddedServer(embedded_directory(settings))
    ours = not server.running()
    url = await asyncio.to_thread(server.start)
    try:
        await server.ensure_database()
        yield url
    finally:
        if ours:
            await asyncio.to_thread(server.stop)
