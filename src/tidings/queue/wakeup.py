"""Telling idle workers that there is work, without making anyone wait for it."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Waker:
    """Sends NOTIFY in the background. While one is under way further calls share the next, so a busy
    API sends few. A lost one costs a worker's poll interval, never a notification."""

    def __init__(self, notify: Callable[[], Awaitable[None]]) -> None:
        self._notify = notify
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """After the commit that stored the work: not before, and not inside the transaction, for NOTIFY
        takes a lock over all committing transactions."""
        self._wanted.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._notify()
            except Exception as error:  # noqa: BLE001 - whatever it is, the poll behind it finds the work
                log.warning("wakeup.failed", error=type(error).__name__)
