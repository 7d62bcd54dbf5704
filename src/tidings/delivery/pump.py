"""The pump: claims work, gets it sent, and settles what came of it, for as long as it runs.

Three loops share what is held. Claiming takes as much as there are free places; calls run in tasks of
their own; settling takes all the outcomes that have gathered and writes them in one transaction. No
database connection is held during a call.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from tidings.delivery.calling import Accounts, Caller, OpenAccount
from tidings.delivery.preparing import CompiledTemplates, prepare
from tidings.delivery.reporting import report
from tidings.delivery.settling import Held, Settlement, Try, settle
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.messages import Message
from tidings.domain.outcomes import OUTCOME_WORDS, Unknown
from tidings.domain.reasons import Reason
from tidings.domain.retry import Decision, Retry, RetryPolicy, Settle, decide
from tidings.metrics import Metrics
from tidings.queue import postgres as queue
from tidings.queue.cursor import Cursor
from tidings.queue.postgres import Claimed, Hold
from tidings.settings import WorkerSettings
from tidings.store import deliveries
from tidings.store.database import UNAVAILABLE, Pool, borrow
from tidings.store.keyring import KeyRing

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# Rendering is CPU work: after so many the event loop gets a turn, so that answers are read in time.
_RENDER_SLICE = 16
_BETWEEN_CLAIMS = 0.006  # seconds
_UNREADABLE_WAIT = timedelta(minutes=1)
_ACCOUNT_WAIT = timedelta(seconds=15)


class Pump:
    """checkpoint: called with the name of each point at which a crash would be most telling; tests kill
    the process there."""

    def __init__(
        self,
        *,
        pool: Pool,
        keyring: KeyRing,
        accounts: Accounts,
        templates: CompiledTemplates,
        policy: RetryPolicy,
        settings: WorkerSettings,
        metrics: Metrics,
        new_lease: Callable[[], UUID],
        checkpoint: Callable[[str], None],
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._accounts = accounts
        self._templates = templates
        self._policy = policy
        self._settings = settings
        self._metrics = metrics
        self._new_lease = new_lease
        self._checkpoint = checkpoint
        self._cursor = Cursor()
        self._claimed_at = 0.0
        self._held: set[Hold] = set()
        self._settlements: list[Settlement] = []
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._outcome = asyncio.Event()
        self._ended = False
        self._stopping = False
        self._caller = Caller(self._finished, self._unsent, metrics, _now)

    def wake(self, _payload: str = "") -> None:
        """There may be work."""
        self._wake.set()

    def stop(self) -> None:
        """Claim no more; run() then finishes what is under way and returns."""
        self._stopping = True
        self._wake.set()
        self._room.set()

    async def run(self) -> None:
        """Work until stop(), in a bounded time after it."""
        async with asyncio.TaskGroup() as loops:
            settling = loops.create_task(self._settle_loop())
            heartbeat = loops.create_task(self._heartbeat_loop())
            await self._claim_loop()
            await self._caller.drain(self._settings.shutdown_grace)
            self._ended = True
            self._outcome.set()
            await settling
            heartbeat.cancel()

    # ------------------------------------------------------------ claiming

    async def _claim_loop(self) -> None:
        while not self._stopping:
            self._wake.clear()
            free = self._settings.concurrency - len(self._held)
            if free < self._worthwhile:
                self._room.clear()
                await self._room.wait()
                continue
            limit = min(free, self._settings.claim_batch)
            await self._gather()
            try:
                claimed = await self._claim(limit)
                if claimed:
                    await self._take(claimed)
                if len(claimed) < limit:
                    await self._idle()
            except UNAVAILABLE as error:
                log.warning("database.unavailable", doing="claim", error=type(error).__name__)
                await asyncio.sleep(0.5)

    async def _gather(self) -> None:
        """Claim at most so often. A lone notification after a pause is claimed at once; in a stream of
        them each claim finds a few together, which costs a fraction of one claim for each."""
        now = asyncio.get_running_loop().time()
        early = self._claimed_at + _BETWEEN_CLAIMS - now
        if early > 0:
            await asyncio.sleep(early)
        self._claimed_at = asyncio.get_running_loop().time()

    @property
    def _worthwhile(self) -> int:
        """So many free places are worth a query: an eighth of all, so that batches stay large."""
        return max(1, min(self._settings.concurrency, self._settings.claim_batch) // 8)

    async def _claim(self, limit: int) -> list[Claimed]:
        async with borrow(self._pool) as connection:
            claimed = await queue.claim(
                connection,
                lease=self._new_lease(),
                limit=limit,
                seconds=self._settings.lease,
                since=self._cursor.since(asyncio.get_running_loop().time()),
            )
        self._cursor.advance(claimed, limit)
        if claimed:
            self._checkpoint("claimed")
        return claimed

    async def _idle(self) -> None:
        async with borrow(self._pool) as connection:
            due = await queue.next_due(connection)
        wait = self._settings.poll if due is None else min(self._settings.poll, max(due, 0.01))
        try:
            await asyncio.wait_for(self._wake.wait(), wait)
        except TimeoutError:
            return

    async def _take(self, claimed: Sequence[Claimed]) -> None:
        """Render what was claimed, store that its calls begin, and begin them."""
        ready: list[tuple[Held, OpenAccount, Message]] = []
        try:
            async with borrow(self._pool) as connection:
                loaded = await deliveries.load(
                    connection,
                    [(one.notification_id, one.delivery_id) for one in claimed],
                    self._keyring,
                )
                if orphans := [one.delivery_id for one in claimed if one.delivery_id not in loaded]:
                    log.error("queue.orphans", entries=len(orphans))  # their partition was dropped
                    await queue.remove(connection, claimed[0].lease, orphans)
                await self._templates.load(
                    connection,
                    ((work.template_id, work.template_version) for work in loaded.values()),
                )
            for number, claim in enumerate(one for one in claimed if one.delivery_id in loaded):
                held = Held(claim, loaded[claim.delivery_id])
                self._held.add(claim.hold)
                if (prepared := self._prepare(held)) is not None:
                    ready.append((held, *prepared))
                if number % _RENDER_SLICE == _RENDER_SLICE - 1:
                    await asyncio.sleep(0)
            await self._begin(ready)
        except UNAVAILABLE:
            # Nothing of it was sent. Let go, or the heartbeat would keep the leases for ever.
            for held, _, _ in ready:
                self._drop(held)
            raise

    def _without_account(self, held: Held) -> Decision:
        """Wait: while accounts are being changed, other workers may have it already."""
        now = _now()
        if now > held.work.tries_from + timedelta(seconds=self._policy.total):
            return Settle(DeliveryStatus.FAILED, Reason.NO_ACCOUNT)
        return Retry(now + _ACCOUNT_WAIT, Reason.NO_ACCOUNT)

    def _interrupted(self, held: Held, chosen: OpenAccount | None, started_at: datetime) -> None:
        """A worker died during the call: what it did is not known, so that is what is recorded."""
        outcome = Unknown(Reason.WORKER_LOST)
        tried = Try(
            number=held.claim.attempts + 1,
            account=chosen.account.name if chosen else None,
            outcome=outcome,
            word=OUTCOME_WORDS[Unknown],
            started_at=started_at,
            finished_at=_now(),
        )
        self._conclude(Settlement(held, self._decide(held, chosen, tried), tried))

    def _prepare(self, held: Held) -> tuple[OpenAccount, Message] | None:
        """The message and who takes it; or None, where what is to become of it is concluded already."""
        if held.claim.rescued:
            self._metrics.rescues.inc()
            log.warning("delivery.rescued", delivery_id=str(held.claim.delivery_id))
        chosen = self._accounts.choose(held.work.channel)
        if held.claim.started_at is not None:
            self._interrupted(held, chosen, held.claim.started_at)
            return None
        if held.work.unreadable:
            log.error("delivery.unreadable", delivery_id=str(held.claim.delivery_id))
            self._conclude(Settlement(held, Retry(_now() + _UNREADABLE_WAIT, Reason.UNREADABLE)))
            return None
        if chosen is None:
            self._conclude(Settlement(held, self._without_account(held)))
            return None
        compiled = self._templates.of(held.work.template_id, held.work.template_version)
        prepared = prepare(held.work, compiled, attempt=held.claim.attempts + 1, now=_now())
        if isinstance(prepared, Settle):
            self._conclude(Settlement(held, prepared))
            return None
        return chosen, prepared

    async def _begin(self, ready: Sequence[tuple[Held, OpenAccount, Message]]) -> None:
        if not ready:
            return
        if self._stopping:
            await self._give_back([held for held, _, _ in ready])
            return
        async with borrow(self._pool) as connection:
            mine = await queue.start(
                connection,
                ready[0][0].claim.lease,  # all were claimed together
                [message.delivery_id for _, _, message in ready],
                self._settings.lease,
            )
        self._checkpoint("started")
        batches: dict[str, tuple[OpenAccount, list[tuple[Held, Message]]]] = {}
        for held, chosen, message in ready:
            if message.delivery_id not in mine:
                self._drop(held)  # cancelled meanwhile, or taken over
            elif chosen.manifest.batch_size == 1:
                self._caller.call(chosen, [(held, message)])
            else:
                batches.setdefault(chosen.account.name, (chosen, []))[1].append((held, message))
        for chosen, batch in batches.values():
            for first in range(0, len(batch), chosen.manifest.batch_size):
                self._caller.call(chosen, batch[first : first + chosen.manifest.batch_size])

    async def _give_back(self, held: Sequence[Held]) -> None:
        async with borrow(self._pool) as connection:
            await queue.give_back(
                connection, held[0].claim.lease, [one.claim.delivery_id for one in held]
            )
        for one in held:
            self._drop(one)

    # ------------------------------------------------------------ settling

    def _finished(self, held: Held, chosen: OpenAccount, tried: Try) -> None:
        self._checkpoint("sent")
        self._conclude(Settlement(held, self._decide(held, chosen, tried), tried))

    def _unsent(self, held: Held) -> None:
        """Back on the queue, as if it had not been taken."""
        self._conclude(Settlement(held, Retry(_now(), Reason.WORKER_STOPPED)))

    def _decide(self, held: Held, chosen: OpenAccount | None, tried: Try) -> Decision:
        idempotent = chosen is not None and chosen.manifest.idempotent
        return decide(
            self._policy,
            tried.outcome,
            attempt=tried.number,
            started_at=held.work.tries_from,
            now=tried.finished_at,
            jitter=random.random(),  # noqa: S311 - spreads retries, keeps no secret
            confirms_delivery=chosen is not None and chosen.account.confirms_delivery,
            resend_unknown=idempotent or held.work.on_unknown == "resend",
        )

    def _conclude(self, settlement: Settlement) -> None:
        self._settlements.append(settlement)
        self._outcome.set()

    async def _settle_loop(self) -> None:
        while True:
            await self._outcome.wait()
            self._outcome.clear()
            while self._settlements:
                batch, self._settlements = self._settlements, []
                await self._settle(batch)
            if self._ended:
                return

    async def _settle(self, batch: list[Settlement]) -> None:
        """Write a batch; over a restart of the database too, for the outcomes are known only here."""
        while True:
            try:
                ours = await settle(self._pool, batch, self._keyring, _now(), self._checkpoint)
                break
            except UNAVAILABLE as error:
                log.warning("database.unavailable", doing="settle", error=type(error).__name__)
                await asyncio.sleep(0.5)
        for one in batch:
            self._drop(one.held)
        if any(
            isinstance(one.decision, Retry) or one.held.work.routing == "fallback" for one in ours
        ):
            self._wake.set()  # something may be due earlier than the claim loop expects
        report(self._metrics, batch, ours)

    def _drop(self, held: Held) -> None:
        self._held.discard(held.claim.hold)
        if self._settings.concurrency - len(self._held) >= self._worthwhile:
            self._room.set()

    async def _heartbeat_loop(self) -> None:
        while True:
            await asyncio.sleep(self._settings.heartbeat)
            self._caller.cut_overdue()
            held = list(self._held)
            if not held:
                continue
            try:
                async with borrow(self._pool) as connection:
                    await queue.renew(connection, held, self._settings.lease)
            except UNAVAILABLE as error:
                log.warning("database.unavailable", doing="heartbeat", error=type(error).__name__)


def _now() -> datetime:
    return datetime.now(UTC)
