"""Attributing conversions: each is put down to a message, some time after it was told, so that a click that is still to be judged
counts for it, in whatever order the two came."""

import asyncio
from datetime import timedelta

from tidings.settings import TrackingSettings
from tidings.store import conversions
from tidings.store.database import Pool, borrow
from tidings.store.rounds import keep_at

_AT_ONCE = 500
_AGAIN = 1.0  # seconds, while some wait
_LOOK_EVERY = 15.0  # seconds: for those that another process was told
_MARGIN = 2.0  # seconds beyond the time that judging takes


def wait_of(settings: TrackingSettings) -> timedelta:
    """For how long a conversion waits: what came before it is judged by then."""
    return timedelta(seconds=settings.judged_after + _MARGIN)


class Attributor:
    """Any number of processes may run it."""

    def __init__(self, pool: Pool, settings: TrackingSettings) -> None:
        self._pool = pool
        self._window = timedelta(seconds=settings.conversion_window)
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """Something was told."""
        self._wanted.set()

    async def run(self) -> None:
        """Work until cancelled."""
        await keep_at("conversions", self._round, self._wanted)

    async def _round(self) -> float:
        while await self.step():
            continue
        async with borrow(self._pool) as connection:
            return _AGAIN if await conversions.waiting(connection) else _LOOK_EVERY

    async def step(self) -> bool:
        """Some; False when none was due."""
        async with borrow(self._pool) as connection, connection.transaction():
            return await conversions.attribute(connection, _AT_ONCE, self._window) > 0
