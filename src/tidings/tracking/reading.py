"""Reading what was called back with: callbacks become receipts, and receipts move deliveries, all in one
transaction; so a crash loses none and counts none twice."""

import asyncio
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from tidings.domain.callbacks import Callbacks, UnreadableCallback
from tidings.domain.receipts import Receipt, ReceiptType
from tidings.metrics import Metrics
from tidings.store import callbacks, landings, receipts
from tidings.store.callbacks import StoredCallback
from tidings.store.database import UNAVAILABLE, Connection, Pool, borrow
from tidings.store.keyring import KeyRing
from tidings.store.landings import Moved
from tidings.store.receipts import Stored
from tidings.store.rounds import keep_at

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_AT_ONCE = 100  # callbacks of one transaction; one may hold hundreds of events
_EARLY_AT_ONCE = 500
_REST = 0.5  # of the time that reading some took
_LOOK_EVERY = 5.0  # seconds: for callbacks whose process died
_LOOK_AGAIN = 0.5  # while receipts wait for the end of a call

Act = Callable[[Connection, Stored], Awaitable[None]]
"""Does what follows from new receipts, in their transaction."""
Follow = Callable[[Connection, Sequence[Moved]], Awaitable[None]]
"""Moves the channels behind, with routing "fallback", in the same transaction."""


@dataclass(frozen=True, slots=True)
class _Done:
    """found: by account. problems: of callbacks that could not be read. moved: deliveries."""

    found: Sequence[tuple[str, Receipt]]
    stored: Stored
    problems: Mapping[UUID, str]
    moved: Sequence[Moved]


class Reader:
    """Any number of processes may run it. sources: by account."""

    def __init__(
        self,
        *,
        pool: Pool,
        keyring: KeyRing,
        sources: Mapping[str, Callbacks],
        act: Act,
        follow: Follow,
        metrics: Metrics,
        moved: Callable[[], None],
        checkpoint: Callable[[str], None],
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._sources = sources
        self._act = act
        self._follow = follow
        self._metrics = metrics
        self._moved = moved
        self._checkpoint = checkpoint
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        self._wanted.set()

    async def run(self) -> None:
        """Work until cancelled."""
        await keep_at("receipts", self._work, self._wanted)

    async def _work(self) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while await self.step():
            # A burst is read in two thirds of the time at the most, so that those who send are not held up by it.
            await asyncio.sleep((loop.time() - began) * _REST)
            began = loop.time()
        return _LOOK_AGAIN if await self._look_again() else _LOOK_EVERY

    async def step(self) -> bool:
        """Read some; False when there were none. One whose receipts cannot be stored keeps no other unread."""
        try:
            async with borrow(self._pool) as connection, connection.transaction():
                taken = await callbacks.take(connection, _AT_ONCE, self._keyring)
                if not taken:
                    return False
                done = await self._stored(connection, taken)
                self._checkpoint("receipts.reading")
        except UNAVAILABLE:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are read
            _log_failure(error)
            return await self._read_one_by_one()
        self._checkpoint("receipts.read")
        self._tell(done)
        return True

    async def _read_one_by_one(self) -> bool:
        for _ in range(_AT_ONCE):
            if not await self._read_one():
                return False
        return True

    async def _read_one(self) -> bool:
        """By itself, and set aside if that fails; False when there is none."""
        async with borrow(self._pool) as connection, connection.transaction():
            taken = await callbacks.take(connection, 1, self._keyring)
            if not taken:
                return False
            try:
                async with connection.transaction():
                    done = await self._stored(connection, taken)
            except UNAVAILABLE:
                raise
            except Exception as error:  # noqa: BLE001 - told as its problem; it can be read again
                problem = f"storing what it says failed: {type(error).__name__}"
                done = _Done([], Stored([], [], 0), {taken[0].id: problem}, [])
                await callbacks.finish(connection, [], done.problems)
        self._tell(done)
        return True

    async def _stored(self, connection: Connection, taken: Sequence[StoredCallback]) -> "_Done":
        """Within a transaction: what they say, and all that follows."""
        found, problems = self._read(taken)
        stored = await receipts.store(connection, found, self._keyring)
        moved = await landings.apply(connection, [one.delivery_id for one in stored.known])
        await self._follow(connection, moved)
        await self._act(connection, stored)
        read = [one.id for one in taken if one.id not in problems]
        await callbacks.finish(connection, read, problems)
        return _Done(found, stored, problems, moved)

    async def _look_again(self) -> bool:
        """At those that waited for the end of a call; whether any still does."""
        async with borrow(self._pool) as connection:
            if not await landings.any_early(connection):
                return False
            async with connection.transaction():
                ready = await landings.early(connection, _EARLY_AT_ONCE)
                moved = await landings.apply(connection, ready) if ready else []
                await self._follow(connection, moved)
            waiting = await landings.any_early(connection, taken=True)
        if moved:
            self._moved()
        return waiting

    def _read(
        self, taken: Sequence[StoredCallback]
    ) -> tuple[list[tuple[str, Receipt]], dict[UUID, str]]:
        found: list[tuple[str, Receipt]] = []
        problems: dict[UUID, str] = {}
        for one in taken:
            source = self._sources.get(one.account)
            if one.raw is None:
                problems[one.id] = "it cannot be opened with this key ring"
            elif source is None:
                problems[one.id] = "its account is not in the settings any more"
            else:
                try:
                    found += [(one.account, receipt) for receipt in source.receipts(one.raw)]
                except UnreadableCallback as error:
                    found += [(one.account, receipt) for receipt in error.receipts]
                    problems[one.id] = str(error)
                except Exception as error:  # noqa: BLE001 - one that breaks its reader must not keep the others unread
                    problems[one.id] = f"reading it failed: {type(error).__name__}"
        return found, problems

    def _tell(self, done: "_Done") -> None:
        if done.moved:
            self._moved()
        for (account, kind), count in Counter((name, one.type) for name, one in done.found).items():
            self._metrics.receipts.labels(account, kind).inc(count)
        strangers = [one for _, one in done.stored.stray if one.type is not ReceiptType.INBOUND]
        self._metrics.stray_receipts.inc(len(strangers))
        for callback_id, problem in done.problems.items():
            log.error("callback.unreadable", callback_id=str(callback_id), problem=problem)
        for one in done.stored.known:
            for receipt in one.fresh:
                log.info(
                    "receipt",
                    delivery_id=str(one.delivery_id),
                    type=str(receipt.type),
                    bounce=receipt.bounce and str(receipt.bounce),
                )


def _log_failure(error: Exception) -> None:
    """Frames only: the text of an error may hold content."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("receipts.failed", error=type(error).__name__, frames=frames)
