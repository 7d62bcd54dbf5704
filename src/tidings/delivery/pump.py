"""The pump: claims work, gets it sent, and settles what came of it, for as long as it runs.

Three loops share what is held. Claiming takes as much as there is room for; calls run in tasks of their own; the
ledger writes all the outcomes that have gathered in one transaction. No database connection is held during a
call.
"""

import asyncio
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog

from tidings.delivery.accounts import Accounts
from tidings.delivery.admission import Admission
from tidings.delivery.attaching import Attacher
from tidings.delivery.calling import Caller, Ready, in_batches
from tidings.delivery.claiming import Claimer
from tidings.delivery.deciding import Decider
from tidings.delivery.expiring import Expirer
from tidings.delivery.gates import Gates
from tidings.delivery.holding import Holdings
from tidings.delivery.ledger import Ledger
from tidings.delivery.limiting import Limits
from tidings.delivery.linking import Links
from tidings.delivery.marking import Marker
from tidings.delivery.preparing import CompiledTemplates
from tidings.delivery.settling import Held, Settlement, Try
from tidings.delivery.starting import Starter
from tidings.delivery.subscribers import Subscribers
from tidings.delivery.suspects import Suspects, told_apart
from tidings.delivery.verdicts import Verdicts
from tidings.delivery.wishes import Wishes
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.duty import Duty
from tidings.domain.fairness import Weights
from tidings.domain.lanes import Lane
from tidings.domain.reasons import Reason
from tidings.domain.retry import Retry, RetryPolicies, Settle
from tidings.metrics import Metrics
from tidings.queue.postgres import Claimed
from tidings.settings import WorkerSettings
from tidings.store.batches import BatchStates
from tidings.store.database import UNAVAILABLE, Pool
from tidings.store.keyring import KeyRing

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# Seconds from one claim to the next: what comes meanwhile is claimed together, for a fraction of a claim each.
# Where the last claim found one at most, there is little to put together, and a long wait makes each only later.
_BETWEEN_CLAIMS, _BETWEEN_CLAIMS_OF_FEW = 0.006, 0.003
# Deliveries that are not critical, where anything critical came of late: preparing more at once would keep the next
# waiting. Who is alone sends the rest in such turns, too, so they are not so short that they cost more than they do.
_SHORT_TURN = {Duty.ALONE: 24, Duty.URGENT: 8, Duty.BACKLOG: 40}
_PAUSE = 0.5  # seconds between tries while the database is away


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
        batches: BatchStates,
        policies: RetryPolicies,
        weights: Weights,
        limits: Limits,
        wishes: Wishes,
        subscribers: Subscribers,
        links: Links,
        marker: Marker,
        settings: WorkerSettings,
        metrics: Metrics,
        new_lease: Callable[[], UUID],
        checkpoint: Callable[[str], None],
        duty: Duty = Duty.ALONE,
    ) -> None:
        self._pool = pool
        self._short_turn = _SHORT_TURN[duty]
        self._settings = settings
        self._checkpoint = checkpoint
        self._claimed_at = 0.0
        self._between = _BETWEEN_CLAIMS
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._busy = (
            False  # the claim loop is at work, and would see what is urgent only at its next round
        )
        self._stopping = False
        self._stuck = False  # there was no place at all
        self._full = False  # there was none for what is not critical
        self._suspects = Suspects(pool)
        self._limits = limits
        self._gates = Gates[Lane](limits.clock)
        self._verdicts = Verdicts(accounts, policies)
        self._claimer = Claimer(
            pool,
            accounts,
            weights=weights,
            lease=settings.lease,
            new_lease=new_lease,
            gates=self._gates,
            clock=asyncio.get_running_loop().time,
        )
        self._ledger = Ledger(
            pool, keyring, metrics, settled=self._settled, now=_now, checkpoint=checkpoint
        )
        self._holdings = Holdings(
            pool,
            lease=settings.lease,
            heartbeat=settings.heartbeat,
            beat=self._cut_overdue,
            clock=_clock,
        )
        self._caller = Caller(
            self._finished,
            self._unsent,
            self._expired,
            metrics,
            _now,
            late=self._late,
            are_held=self._holdings.are_sure,
        )
        decider = Decider(
            accounts=accounts,
            templates=templates,
            batches=batches,
            verdicts=self._verdicts,
            wishes=wishes,
            metrics=metrics,
            links=links,
            marker=marker,
            now=_now,
        )
        admission = Admission(
            limits=limits,
            gates=self._gates,
            accounts=accounts,
            verdicts=self._verdicts,
            metrics=metrics,
        )
        self._attacher = Attacher(pool, keyring, self._verdicts, settings.attachment_memory)
        self._starter = Starter(
            pool=pool,
            keyring=keyring,
            accounts=accounts,
            templates=templates,
            batches=batches,
            wishes=wishes,
            subscribers=subscribers,
            decider=decider,
            admission=admission,
            attacher=self._attacher,
            lease=settings.lease,
            conclude=self._ledger.add,
            hold=self._holdings.hold,
            drop=self._drop,
        )
        self._expirer = Expirer(
            pool,
            self._starter,
            new_lease=new_lease,
            lease=settings.lease,
            most=settings.claim_batch,
        )

    def wake(self, _payload: str = "") -> None:
        """There may be work."""
        self._wake.set()
        self._urgent.set()

    def stop(self) -> None:
        """Claim no more; run() then finishes what is under way and returns."""
        self._stopping = True
        self._expirer.stop()
        self._wake.set()
        self._urgent.set()

    async def run(self) -> None:
        """Work until stop(), in a bounded time after it."""
        async with asyncio.TaskGroup() as loops:
            settling = loops.create_task(self._ledger.run())
            heartbeat = loops.create_task(self._holdings.run())
            urgent = loops.create_task(self._urgent_loop())
            expiring = loops.create_task(self._expirer.run())
            await self._claim_loop()
            await urgent
            await expiring
            await self._caller.drain(self._settings.shutdown_grace)
            self._ledger.close()
            await settling
            heartbeat.cancel()
        await self._put_back()

    async def _put_back(self) -> None:
        """The permits that were not used; without the database they run out by themselves."""
        try:
            await self._limits.close()
        except UNAVAILABLE as error:
            log.warning("database.unavailable", doing="limits", error=type(error).__name__)

    # ------------------------------------------------------------ claiming

    async def _claim_loop(self) -> None:
        while not self._stopping:
            self._wake.clear()
            most, ordinary = self._free_places()
            self._stuck, self._full = not most, not ordinary
            if not most:
                await self._wake.wait()
                continue
            await self._gather()
            try:
                await self._claim(most, ordinary)
                if not self._claimer.hungry:
                    await self._idle()
            except Exception as error:  # noqa: BLE001 - the outcomes of calls under way are known only here
                # What was claimed is claimed again when its lease has run out.
                _log_claim(error)
                await asyncio.sleep(_PAUSE)

    async def _urgent_loop(self) -> None:
        """What is critical need not wait for the claim loop, which may be busy with hundreds of others."""
        while not self._stopping:
            await self._urgent.wait()
            self._urgent.clear()
            free = self._free()
            if not self._busy or not free:
                continue
            try:
                await self._send(await self._claimer.claim_urgent(free))
            except Exception as error:  # noqa: BLE001 - as in the claim loop
                _log_claim(error)
            await asyncio.sleep(_BETWEEN_CLAIMS)

    def _free(self) -> int:
        """Never less than none: two loops claim, and so together can take more than there are."""
        return max(0, self._settings.concurrency - len(self._holdings))

    def _free_places(self) -> tuple[int, int]:
        """How many places a claim may fill in all, and how many of them with what is not critical. So few that a
        query is not worth it count as none, so that batches stay large."""
        limit = min(self._settings.concurrency, self._settings.claim_batch)
        turn = min(limit, self._short_turn) if self._claimer.expects_urgent else limit
        worthwhile = max(1, turn // 8)
        free = self._free()
        kept = max(1, self._settings.concurrency // 10) if self._settings.concurrency > 1 else 0
        others = free - kept
        return min(limit, free), min(turn, others) if others >= worthwhile else 0

    async def _claim(self, most: int, ordinary: int) -> None:
        self._busy = True
        try:
            claimed = await self._claimer.claim(most, ordinary)
            self._between = _BETWEEN_CLAIMS if len(claimed) > 1 else _BETWEEN_CLAIMS_OF_FEW
            await self._send(claimed)
        finally:
            self._busy = False

    async def _send(self, claimed: Sequence[Claimed]) -> None:
        if not claimed:
            return
        self._checkpoint("claimed")
        together, suspects = told_apart(claimed)
        if together:
            await self._start(await self._starter.prepare(together))
        for one in suspects:
            suspect = await self._suspects.take(one, _now())
            try:
                ready = await self._starter.prepare([suspect])
            finally:  # whatever went wrong, the worker lives
                await self._suspects.clear(one)
            await self._start(ready)

    async def _start(self, ready: Sequence[Ready]) -> None:
        ready = await self._starter.admit(ready)
        if self._stopping:
            await self._starter.give_back(ready)
            return
        since = _clock()
        started = await self._starter.start(ready)
        self._checkpoint("started")
        for batch in in_batches(started):
            self._caller.call(batch, since)

    async def _gather(self) -> None:
        """Claim at most so often. A lone notification after a pause is claimed at once; in a stream of
        them each claim finds a few together, which costs a fraction of one claim for each."""
        now = asyncio.get_running_loop().time()
        early = self._claimed_at + self._between - now
        if early > 0:
            await asyncio.sleep(early)
        self._claimed_at = asyncio.get_running_loop().time()

    async def _idle(self) -> None:
        due = await self._claimer.look(only_urgent=self._full)
        wait = self._settings.poll if due is None else min(self._settings.poll, max(due, 0.01))
        try:
            await asyncio.wait_for(self._wake.wait(), wait)
        except TimeoutError:
            return

    # ------------------------------------------------------------ what becomes of it

    def _drop(self, held: Held, *, called: bool = False) -> None:
        self._holdings.drop(held, called=called)
        self._attacher.release(held)

    def _cut_overdue(self) -> None:
        self._caller.cut_overdue()

    def _finished(self, ready: Ready, tried: Try) -> None:
        self._checkpoint("sent")
        self._ledger.add(self._verdicts.after(ready.held, ready.chosen, tried))

    def _unsent(self, held: Held) -> None:
        """Back on the queue, as if it had not been taken; where it was taken over, that stays as it is."""
        again = Retry(_now(), Reason.WORKER_STOPPED)
        self._ledger.add(Settlement(held, again, avoid=held.claim.avoid))

    def _late(self, held: Held) -> None:
        """Its permit ran out before its turn came."""
        self._gates.late(held.claim.lane)
        self._ledger.add(self._verdicts.late(held))

    def _expired(self, held: Held) -> None:
        verdict = Settle(DeliveryStatus.EXPIRED, Reason.EXPIRED)
        self._ledger.add(self._verdicts.ended(held, verdict))

    def _settled(self, batch: Sequence[Settlement], ours: Sequence[Settlement]) -> None:
        for one in batch:
            self._drop(one.held, called=one.tried is not None)
        due_earlier = any(
            isinstance(one.decision, Retry) or one.held.work.routing == "fallback" for one in ours
        )
        has_room = self._stuck or (self._full and self._free_places()[1] > 0)
        if has_room or self._claimer.crowded or due_earlier:  # than the claim loop expects
            self._wake.set()


def _log_claim(error: Exception) -> None:
    if isinstance(error, UNAVAILABLE):
        log.warning("database.unavailable", doing="claim", error=type(error).__name__)
        return
    log.error(
        "claim.failed",
        error=type(error).__name__,
        frames="".join(traceback.format_tb(error.__traceback__)),
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _clock() -> float:
    """Seconds that leases are judged by: whoever sets the time of day changes none of them. Where there is such a clock,
    it goes on while the machine sleeps, as the database's leases do."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
