"""A database connection for a command."""

import contextlib
from collections.abc import AsyncIterator

from tidings import logs
from tidings.bootstrap.database import database
from tidings.settings import Settings
from tidings.store.database import Connection, Pool, open_pool


@contextlib.asynccontextmanager
async def connected(settings: Settings, *, hot: bool = False) -> AsyncIterator[Connection]:
    """One connection, to the configured or the embedded database, which is started if need be. hot: for
    batch work over arrays."""
    async with connected_pool(settings, hot=hot) as (pool, _), pool.acquire() as connection:
        yield connection


@contextlib.asynccontextmanager
async def connected_pool(
    settings: Settings, *, hot: bool = False
) -> AsyncIterator[tuple[Pool, str]]:
    """A small pool, and the URL that it connects to."""
    # A command speaks for itself; only what goes wrong below it is logged.
    logs.configure(format=settings.log.format, level="warning", process="command")
    async with database(settings) as dsn:
        pool = await open_pool(dsn, size=2, name="command", hot=hot)
        try:
            yield pool, dsn
        finally:
            await pool.close()
