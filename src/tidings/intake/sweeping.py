"""What is done with many rows, in the background: soon after it was asked for, and after a crash."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable

import structlog

from tidings.store.database import UNAVAILABLE, Connection, Pool, borrow

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_LOOK_EVERY = 30.0  # seconds: for sweeps whose process died
_AFTER_TROUBLE = 1.0

Step = Callable[[Connection], Awaitable[bool]]
"""Does one page of what is stored to be done; False when nothing is."""


class Sweeper:
    """Does the sweeps that are stored, a page at a time, until none is left; then waits for the next."""

    def __init__(self, pool: Pool, *steps: Step) -> None:
        self._pool = pool
        self._steps = steps
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """After the commit that stored a sweep."""
        self._wanted.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._wanted.clear()
            wait = _LOOK_EVERY
            try:
                await self._finish()
            except UNAVAILABLE as error:
                log.warning("database.unavailable", doing="sweep", error=type(error).__name__)
                wait = _AFTER_TROUBLE
            except Exception as error:  # noqa: BLE001 - a sweep that fails must not end the process that accepts
                log.error(  # noqa: TRY400 - frames only: the text of an error may hold content
                    "sweep.failed",
                    error=type(error).__name__,
                    frames="".join(traceback.format_tb(error.__traceback__)),
                )
            try:
                await asyncio.wait_for(self._wanted.wait(), wait)
            except TimeoutError:
                continue

    async def _finish(self) -> None:
        for step in self._steps:
            left = True
            while left:
                # A connection for each page: a long sweep must not keep one from those who accept.
                async with borrow(self._pool) as connection:
                    left = await step(connection)
