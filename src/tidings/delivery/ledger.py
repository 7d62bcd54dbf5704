"""The worker's ledger: gathers what became of deliveries, and writes it in batches."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from tidings.delivery.reporting import report
from tidings.delivery.settling import Settlement, settle
from tidings.metrics import Metrics
from tidings.store.database import UNAVAILABLE, Pool
from tidings.store.keyring import KeyRing

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_PAUSE = 0.5  # seconds between tries while the database is away


class Ledger:
    """settled: called with each batch that is done with, and with those of it that were still ours."""

    def __init__(
        self,
        pool: Pool,
        keyring: KeyRing,
        metrics: Metrics,
        *,
        settled: Callable[[Sequence[Settlement], Sequence[Settlement]], None],
        now: Callable[[], datetime],
        checkpoint: Callable[[str], None],
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._metrics = metrics
        self._settled = settled
        self._now = now
        self._checkpoint = checkpoint
        self._waiting: list[Settlement] = []
        self._more = asyncio.Event()
        self._closed = False

    def add(self, settlement: Settlement) -> None:
        self._waiting.append(settlement)
        self._more.set()

    def close(self) -> None:
        """No more will come: run() returns when all is written."""
        self._closed = True
        self._more.set()

    async def run(self) -> None:
        while not (self._closed and not self._waiting):
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                batch, self._waiting = self._waiting, []
                ours = await self._write(batch)
                self._settled(batch, ours)
                report(self._metrics, batch, ours)

    async def _write(self, batch: list[Settlement]) -> list[Settlement]:
        """Write a batch; over a restart of the database too, for the outcomes are known only here. A row that
        the database refuses must not take the others with it: halve until it is alone. Then what the provider said is
        left out, for that is what is not ours: without an outcome on record, the message would be sent again."""
        while True:
            try:
                return await settle(self._pool, batch, self._keyring, self._now(), self._checkpoint)
            except UNAVAILABLE as error:
                log.warning("database.unavailable", doing="settle", error=type(error).__name__)
                await asyncio.sleep(_PAUSE)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are right
                if len(batch) > 1:
                    middle = len(batch) // 2
                    return await self._write(batch[:middle]) + await self._write(batch[middle:])
                log.error(  # noqa: TRY400 - its text may hold what was to be written
                    "delivery.not_settled",
                    delivery_id=str(batch[0].held.claim.delivery_id),
                    error=type(error).__name__,
                )
                if (bare := batch[0].without_words()) == batch[0]:
                    return []
                batch = [bare]
