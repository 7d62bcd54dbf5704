"""The database of a command or of the supervisor: the configured one, or the embedded server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import structlog

from tidings.bootstrap.places import embedded_directory
from tidings.settings import Settings
from tidings.store.database import UNAVAILABLE
from tidings.store.embedded import EmbeddedServer, EmbeddedServerError

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
    presence = _Presence(server, url)
    await presence.enter()
    keeping = asyncio.create_task(presence.keep())
    try:
        yield url
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        if await presence.leave():
            await asyncio.to_thread(server.stop)


class _Presence:
    """A connection that says that the embedded server is in use, and sees when it dies."""

    def __init__(self, server: EmbeddedServer, url: str) -> None:
        self._server = server
        self._url = url
        self._ended = asyncio.Event()

    async def enter(self) -> None:
        self._ended = ended = asyncio.Event()
        self._connection = await asyncpg.connect(
            self._url, server_settings={"application_name": _PRESENCE}
        )
        self._connection.add_termination_listener(lambda _: ended.set())

    async def keep(self) -> None:
        """Start the server again when it was killed, as the kernel does when memory is short."""
        while True:
            await self._ended.wait()
            log.error("database.died", directory=str(self._server.directory))
            try:
                await asyncio.to_thread(self._server.start)
                await self.enter()
                log.info("database.restarted")
            except (EmbeddedServerError, *UNAVAILABLE) as error:
                log.error("database.not_restarted", error=type(error).__name__)  # noqa: TRY400
                await asyncio.sleep(2)

    async def leave(self) -> bool:
        """Whether nobody else is left."""
        alone = await _alone(self._connection)
        self._connection.terminate()
        return alone


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
