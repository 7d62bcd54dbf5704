"""LISTEN: hears NOTIFY for as long as the process lives, over restarts of the server."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import asyncpg
import structlog

from tidings.store.database import UNAVAILABLE

log: structlog.stdlib.BoundLogger = structlog.get_logger()

CHANGES = "tidings_changes"
"""Where the triggers of the schema tell what changed: `TABLE:ID`."""

_ASK_EVERY = 10.0  # seconds

Hear = Callable[[str], None]


class Listener:
    """Calls `hear[channel](payload)` for each notification, and `hear[channel]("")` after every
    (re)connection, since what was said in between was missed."""

    def __init__(self, dsn: str, hear: Mapping[str, Hear]) -> None:
        self._dsn = dsn
        self._hear = hear
        self.connected = asyncio.Event()

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except UNAVAILABLE as error:
                log.warning("listener.disconnected", error=type(error).__name__)
            except Exception as error:  # noqa: BLE001 - what is missed is polled for, and calls under way go on
                log.error("listener.failed", error=type(error).__name__)  # noqa: TRY400 - the text may show data
            finally:
                self.connected.clear()
            await asyncio.sleep(0.5)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(
            self._dsn, timeout=5, server_settings={"application_name": "tidings listener"}
        )
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        try:
            for channel in self._hear:
                await connection.add_listener(channel, self._heard)
            for hear in self._hear.values():
                hear("")
            self.connected.set()
            while not ended.is_set():
                await self._alive(connection, ended)
        finally:
            connection.terminate()

    async def _alive(
        self, connection: "asyncpg.Connection[asyncpg.Record]", ended: asyncio.Event
    ) -> None:
        """A connection that a firewall forgot says nothing when it is dead, so ask it now and then."""
        try:
            await asyncio.wait_for(ended.wait(), _ASK_EVERY)
        except TimeoutError:
            await connection.fetchval("SELECT 1", timeout=5)

    def _heard(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        self._hear[channel](str(payload))
