"""Ends what has passed its expiry while it waits for something that may never come: an account that is held back, a
rate limit, a paused batch. Claiming does not find it there."""

import asyncio
import contextlib
from collections.abc import Callable
from uuid import UUID

import structlog

from tidings.delivery.starting import Starter
from tidings.queue import postgres as queue
from tidings.store.database import UNAVAILABLE, Pool, borrow

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_EVERY = 2.0  # seconds
_BETWEEN = 0.1  # while there is more
_REST = 20  # times what a look took: one over many dead rows must not keep the database busy


class Expirer:
    """most: how many are taken at once. In several workers at a time, each ends others."""

    def __init__(
        self,
        pool: Pool,
        starter: Starter,
        *,
        new_lease: Callable[[], UUID],
        lease: float,
        most: int,
    ) -> None:
        self._pool = pool
        self._starter = starter
        self._new_lease = new_lease
        self._lease = lease
        self._most = most
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        self._stopped.set()

    async def run(self) -> None:
        """Until stop(); what is under way is finished first."""
        while not self._stopped.is_set():
            began = asyncio.get_running_loop().time()
            more = False
            try:
                more = await self._end() == self._most
            except UNAVAILABLE as error:
                log.warning("database.unavailable", doing="expiry", error=type(error).__name__)
            except Exception as error:  # noqa: BLE001 - the worker's calls under way are known only here
                log.error("expiry.failed", error=type(error).__name__)  # noqa: TRY400 - the text may show data
            took = asyncio.get_running_loop().time() - began
            pause = _BETWEEN if more else max(_EVERY, took * _REST)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), pause)

    async def _end(self) -> int:
        """How many were taken."""
        async with borrow(self._pool) as connection:
            claimed = await queue.claim_expired(
                connection, lease=self._new_lease(), most=self._most, seconds=self._lease
            )
        if claimed:
            # Were one found not to be over after all, it would keep its place.
            await self._starter.give_back(await self._starter.prepare(claimed))
        return len(claimed)
