"""What a worker holds: leases, renewed by heartbeat, and the places of accounts that go with them."""

import asyncio
from collections.abc import Callable

import structlog

from tidings.delivery.accounts import OpenAccount
from tidings.delivery.settling import Held
from tidings.queue import postgres as queue
from tidings.queue.postgres import Hold
from tidings.store.database import UNAVAILABLE, Pool, borrow

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Holdings:
    """lease, heartbeat: seconds. beat: called at each heartbeat. clock: seconds of a clock that nobody sets, and that goes
    on while the process stands still."""

    def __init__(
        self,
        pool: Pool,
        *,
        lease: float,
        heartbeat: float,
        beat: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._heartbeat = heartbeat
        self._beat = beat
        self._clock = clock
        self._held: dict[Hold, OpenAccount | None] = {}
        self._renewed_at = self._unbroken_since = clock()

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, held: Held, opened: OpenAccount | None) -> None:
        """opened: the account of which it takes a place."""
        self._held[held.claim.hold] = opened
        if opened is not None:
            opened.places.hold()

    def drop(self, held: Held, *, called: bool = False) -> None:
        """Its lease is not renewed any more. called: a call was made for it."""
        opened = self._held.pop(held.claim.hold, None)
        if opened is not None:
            opened.places.let_go(called=called)

    def are_sure(self, since: float) -> bool:
        """Whether leases taken or renewed then are surely held now. They may not be when the process stood still, or
        the database was away, for longer than a lease: then others may have taken over."""
        last = max(since, self._renewed_at)
        return since >= self._unbroken_since and self._clock() - last < self._lease

    async def run(self) -> None:
        """Renew until cancelled."""
        self._renewed_at = self._clock()  # nothing was held before
        while True:
            await asyncio.sleep(self._heartbeat)
            self._beat()
            try:
                await self._renew()
            except UNAVAILABLE as error:
                log.warning("database.unavailable", doing="heartbeat", error=type(error).__name__)
            except Exception as error:  # noqa: BLE001 - the outcomes of calls under way are known only here
                log.error("heartbeat.failed", error=type(error).__name__)  # noqa: TRY400 - the text may show data

    async def _renew(self) -> None:
        began = self._clock()
        if began - self._renewed_at >= self._lease:
            self._unbroken_since = began
        if held := list(self._held):
            async with borrow(self._pool) as connection:
                await queue.renew(connection, held, self._lease)
        self._renewed_at = began
