"""The process that runs delivery and upkeep."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass

import structlog

from tidings.delivery.accounts import Accounts
from tidings.delivery.health import Health
from tidings.delivery.pump import Pump
from tidings.metrics import Metrics
from tidings.settings import RetentionSettings
from tidings.store import (
    batch_sweeps,
    batches,
    endpoints,
    feeds,
    idempotency,
    limits,
    once,
    outbox,
    retention,
    upkeep,
)
from tidings.store.database import UNAVAILABLE, Connection, Pool, borrow
from tidings.store.listener import Hear, Listener

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_UPKEEP_EVERY = 60.0  # seconds
_RETENTION_EVERY = 3600.0

Task = Callable[[Connection], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Worker:
    """A pump with what it needs around it. hears: what is done with each notification, by channel. beside: what
    else runs until it is cancelled."""

    pump: Pump
    accounts: Accounts
    health: Health
    pool: Pool
    dsn: str
    retention: RetentionSettings
    hears: Mapping[str, Hear]
    metrics: Metrics
    beside: Sequence[Callable[[], Coroutine[None, None, None]]] = ()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish what is under way."""
        listener = Listener(self.dsn, self.hears)
        try:
            async with asyncio.TaskGroup() as tasks:
                beside = [
                    tasks.create_task(listener.run()),
                    tasks.create_task(self.health.run()),
                    tasks.create_task(self._upkeep()),
                    tasks.create_task(self._retention()),
                    *(tasks.create_task(one()) for one in self.beside),
                ]
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
            for doing, task in self._tasks().items():
                await self._do(doing, task)
            await asyncio.sleep(_UPKEEP_EVERY)

    async def _retention(self) -> None:
        """What is kept for long enough is forgotten, by one worker of all at a time."""
        while True:
            await self._do("retention", self._forget)
            await asyncio.sleep(_RETENTION_EVERY)

    async def _forget(self, connection: Connection) -> None:
        async with upkeep.elected(connection, "retention") as mine:
            if not mine:
                return
            async for one in retention.forget(connection, self.retention):
                self.metrics.partitions_dropped.labels(one.table).inc(one.partitions)
                self.metrics.rows_forgotten.labels(one.table).inc(one.rows)

    def _tasks(self) -> Mapping[str, Task]:
        keep = self.retention
        return {
            "partitions": upkeep.ensure_partitions,
            "idempotency_keys": lambda connection: idempotency.forget(connection, keep.idempotency),
            "stream_keys": lambda connection: batches.forget_keys(connection, keep.idempotency),
            "once": once.forget,
            "limits": limits.forget,
            "batch_sweeps": lambda connection: batch_sweeps.finish(connection, self.pump.wake),
            "endpoints": self._disable_endpoints,
            "feed_changes": lambda connection: feeds.forget_changes(connection, keep.feed_changes),
            "outbox": lambda connection: outbox.trim(connection, keep.outbox),
        }

    async def _disable_endpoints(self, connection: Connection) -> None:
        for one in await endpoints.disable(connection):
            self.metrics.endpoints_disabled.labels(one.account).inc()
            log.warning(
                "endpoint.disabled",
                account=one.account,
                channel=str(one.channel),
                reason=one.reason,
                since=one.since.isoformat(),
                failures=one.failures,
            )

    async def _do(self, doing: str, task: Task) -> None:
        """Each by itself: one that fails keeps none of the others, nor the next round, from being done."""
        try:
            async with borrow(self.pool) as connection:
                await task(connection)
        except UNAVAILABLE as error:
            log.warning("database.unavailable", doing=doing, error=type(error).__name__)
        except Exception as error:  # noqa: BLE001 - the outcomes of calls under way are known only here
            log.error("upkeep.failed", doing=doing, error=type(error).__name__)  # noqa: TRY400 - the text may show data
