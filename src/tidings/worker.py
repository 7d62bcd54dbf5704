"""The process that runs delivery and upkeep."""

import asyncio
from dataclasses import dataclass

import structlog

from tidings.delivery.accounts import Accounts
from tidings.delivery.pump import Pump
from tidings.queue.postgres import WAKE_CHANNEL
from tidings.settings import RetentionSettings
from tidings.store import idempotency, outbox, upkeep
from tidings.store.database import UNAVAILABLE, Pool, borrow
from tidings.store.listener import Listener

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_UPKEEP_EVERY = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Worker:
    """A pump with what it needs around it. reserve: it is not woken for each notification, but looks now
    and then, and works on for as long as it finds more than it can carry: a second process costs nothing
    while one is enough, and doubles the rate when there is a backlog."""

    pump: Pump
    accounts: Accounts
    pool: Pool
    dsn: str
    retention: RetentionSettings
    reserve: bool = False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish what is under way."""
        heard = {} if self.reserve else {WAKE_CHANNEL: self.pump.wake}
        listener = Listener(self.dsn, heard)
        try:
            async with asyncio.TaskGroup() as tasks:
                beside = [tasks.create_task(listener.run()), tasks.create_task(self._upkeep())]
                stopping = tasks.create_task(self._stop_when(stop))
                log.info("worker.started")
                await self.pump.run()
                for task in (*beside, stopping):
                    task.cancel()
        finally:
            await self.accounts.close()
            await self.pool.close()
        log.info("worker.stopped")

    async def _stop_when(self, stop: asyncio.Event) -> None:
        await stop.wait()
        log.info("worker.stopping")
        self.pump.stop()

    async def _upkeep(self) -> None:
        """What needs doing now and then; every worker does it, and it does not matter who is first."""
        while True:
            try:
                async with borrow(self.pool) as connection:
                    await upkeep.ensure_partitions(connection)
                    await idempotency.forget(connection, self.retention.idempotency)
                    await outbox.trim(connection, self.retention.outbox)
            except UNAVAILABLE as error:
                log.warning("database.unavailable", doing="upkeep", error=type(error).__name__)
            await asyncio.sleep(_UPKEEP_EVERY)
