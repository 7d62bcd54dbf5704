"""From what was claimed to calls: load, prepare, and store that the calls begin, in one batch each."""

import asyncio
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from tidings.delivery.accounts import Accounts, OpenAccount
from tidings.delivery.calling import Leave, Ready, give_back
from tidings.delivery.gates import Gates
from tidings.delivery.limiting import Limits, Permit, Skip, Wait
from tidings.delivery.linking import Links
from tidings.delivery.marking import Marker
from tidings.delivery.preparing import CompiledTemplates, prepare
from tidings.delivery.routing_facts import facts_of
from tidings.delivery.settling import Held, Settlement, Try
from tidings.delivery.subscribers import Subscribers
from tidings.delivery.verdicts import Verdicts
from tidings.delivery.wishes import Wishes
from tidings.domain.categories import CAP
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.events import CATEGORY
from tidings.domain.explanations import Mark
from tidings.domain.lanes import Lane
from tidings.domain.outcomes import OUTCOME_WORDS, Unknown
from tidings.domain.planning import unwanted
from tidings.domain.preferences import Choice
from tidings.domain.priorities import Priority
from tidings.domain.reasons import Reason
from tidings.domain.retry import Retry, Settle
from tidings.domain.send_times import Deferral
from tidings.domain.suppressions import blocked
from tidings.metrics import Metrics
from tidings.queue import postgres as queue
from tidings.queue.postgres import Claimed
from tidings.store import batches as batch_store
from tidings.store import deliveries, link_targets
from tidings.store.batches import BatchStates
from tidings.store.database import Connection, Pool, borrow
from tidings.store.deliveries import Work
from tidings.store.keyring import KeyRing
from tidings.store.link_targets import Targets

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# Rendering is CPU work: after so many the event loop gets a turn, so that answers are read in time.
_RENDER_SLICE = 16
_TURNS = 3  # accounts at their limits, after which a delivery waits for the one that it came to
_AFTER_ERROR = timedelta(minutes=1)


class Starter:
    """hold, drop: told of what the worker holds from now on, and of what it let go."""

    def __init__(
        self,
        *,
        pool: Pool,
        keyring: KeyRing,
        accounts: Accounts,
        templates: CompiledTemplates,
        batches: BatchStates,
        verdicts: Verdicts,
        wishes: Wishes,
        subscribers: Subscribers,
        metrics: Metrics,
        limits: Limits,
        gates: Gates[Lane],
        links: Links,
        marker: Marker,
        lease: float,
        conclude: Callable[[Settlement], None],
        hold: Callable[[Held, OpenAccount | None], None],
        drop: Callable[[Held], None],
        now: Callable[[], datetime],
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._accounts = accounts
        self._templates = templates
        self._batches = batches
        self._verdicts = verdicts
        self._wishes = wishes
        self._subscribers = subscribers
        self._metrics = metrics
        self._limits = limits
        self._gates = gates
        self._links = links
        self._marker = marker
        self._lease = lease
        self._conclude = conclude
        self._hold = hold
        self._drop = drop
        self._now = now

    async def prepare(self, claimed: Sequence[Claimed]) -> list[Ready]:
        """What can be sent; what cannot is concluded. Before an error from the database nothing is held."""
        works = await self._load(claimed)
        for parked in await self._park(claimed, works):
            del works[parked]
        return await self._prepare_all(
            Held(one, self._templates.signed(works[one.delivery_id]))
            for one in claimed
            if one.delivery_id in works
        )

    async def _prepare_all(self, held: Iterable[Held]) -> list[Ready]:
        ready: list[Ready] = []
        try:
            for number, one_held in enumerate(held):
                if (one := self._prepare(one_held)) is not None:
                    ready.append(one)
                if number % _RENDER_SLICE == _RENDER_SLICE - 1:
                    await asyncio.sleep(0)
        except BaseException:
            self._let_go(ready)
            raise
        return ready

    async def admit(self, ready: Sequence[Ready], turns: int = _TURNS) -> list[Ready]:
        """Those that the rate limits let pass. What a limit of its whole lane refuses goes back to its place in the
        line, and the lane's gate is shut; the others go to another account that has room, up to so many times, wait for
        a time of their own, or are skipped."""
        if not ready or not self._limits.applies:
            return list(ready)
        try:
            grants = await self._limits.take(
                [(one.held, one.chosen.account.name) for one in ready],
                self._elsewhere(ready) if turns else (),
            )
        except BaseException:
            self._let_go(ready)
            raise
        admitted: list[Ready] = []
        laned: list[Ready] = []
        over: list[Ready] = []
        shut: dict[Lane, float] = {}
        used_up: dict[str, float] = {}
        for one, grant in zip(ready, grants, strict=True):
            if isinstance(grant, Wait | Skip):
                outcome = "skip" if isinstance(grant, Skip) else "wait"
                self._metrics.rate_limited.labels(grant.limit, outcome).inc()
            if grant is None or isinstance(grant, Permit):
                admitted.append(replace(one, permit=grant))
            elif isinstance(grant, Wait) and grant.elsewhere:
                over.append(one)
                used_up[one.chosen.account.name] = grant.at
            elif isinstance(grant, Wait) and grant.lane:
                laned.append(one)
                lane = one.held.claim.lane
                shut[lane] = max(grant.at, shut.get(lane, grant.at))
            else:
                self._turn_away(one, grant)
        self._gates.learn(Counter(one.held.claim.lane for one in admitted), shut)
        passed = Counter(one.chosen.account.name for one in admitted)
        self._accounts.overflow.learn(passed, used_up)
        # Their account is at its limit, and is not chosen where another one can be.
        self._let_go(over)
        try:
            await self.give_back(laned)
            again = await self._prepare_all(one.held for one in over)
            return admitted + await self.admit(again, turns - 1)
        except BaseException:
            self._let_go(admitted)
            raise

    def _elsewhere(self, ready: Sequence[Ready]) -> set[UUID]:
        """Those of them that another account could send."""
        return {
            one.message.delivery_id
            for one in ready
            if self._accounts.is_other(
                one.held.work.channel,
                facts_of(one.held.work),
                pinned=one.held.claim.account,
                avoid=one.held.claim.avoid,
                than=one.chosen.account.name,
            )
        }

    def _turn_away(self, one: Ready, grant: Wait | Skip) -> None:
        give_back(one)
        try:
            verdict = self._refused(one.held, grant)
        except Exception as error:  # noqa: BLE001 - or it would be held for ever
            verdict = self._after_error(one.held, error)
        self._conclude(verdict)

    def _refused(self, held: Held, grant: Wait | Skip) -> Settlement:
        """What follows from a limit that has no room for it."""
        capped = grant.limit.startswith(CAP)
        if isinstance(grant, Skip):
            reason = Reason.FREQUENCY_CAPPED if capped else Reason.RATE_LIMIT_SKIPPED
            skipped = Settle(DeliveryStatus.SKIPPED, reason, grant.limit)
            return self._verdicts.ended(held, skipped)
        if capped:
            return self._verdicts.deferred(held, Reason.FREQUENCY_CAPPED, grant.until)
        return self._verdicts.limited(held, grant.until, grant.limit)

    async def start(self, ready: Sequence[Ready]) -> list[Ready]:
        """Store that these calls begin; those that are still ours. Nothing of it may be called before."""
        if not ready:
            return []
        try:
            async with borrow(self._pool) as connection:
                await self._store_targets(connection, ready)
                mine = await queue.start(
                    connection,
                    ready[0].held.claim.lease,  # all were claimed together
                    {one.message.delivery_id: one.chosen.account.name for one in ready},
                    self._lease,
                )
        except BaseException:
            # Nothing of it was sent. Let go, or the heartbeat would keep the leases for ever.
            self._let_go(ready)
            raise
        # cancelled meanwhile, or taken over
        self._let_go([one for one in ready if one.message.delivery_id not in mine])
        return [one for one in ready if one.message.delivery_id in mine]

    async def _store_targets(self, connection: Connection, ready: Sequence[Ready]) -> None:
        """Before anybody can follow a link. Most batches have none."""
        targets = [
            Targets(one.message.delivery_id, one.held.claim.lease, one.targets)
            for one in ready
            if one.targets
        ]
        if targets:
            await link_targets.add(connection, targets, self._keyring)

    async def give_back(self, ready: Sequence[Ready]) -> None:
        """Back on the queue at their places, as if they had not been claimed."""
        self._let_go(ready)
        if ready:
            claims = [one.held.claim for one in ready]
            async with borrow(self._pool) as connection:
                await queue.give_back(connection, claims[0].lease, claims)

    def _let_go(self, ready: Sequence[Ready]) -> None:
        for one in ready:
            give_back(one)
            self._drop(one.held)

    async def _load(self, claimed: Sequence[Claimed]) -> dict[UUID, Work]:
        async with borrow(self._pool) as connection:
            works = await deliveries.load(
                connection,
                [(one.notification_id, one.delivery_id) for one in claimed],
                self._keyring,
            )
            if orphans := [one.delivery_id for one in claimed if one.delivery_id not in works]:
                log.error("queue.orphans", entries=len(orphans))  # their partition was dropped
                await queue.remove(connection, claimed[0].lease, orphans)
            await self._batches.refresh(connection)
            await self._wishes.refresh(connection)
            await self._subscribers.refresh(connection)
            await self._templates.load(
                connection,
                (
                    (work.template_id, work.template_version)
                    for work in works.values()
                    if work.category != CATEGORY
                ),
            )
        return works

    async def _park(self, claimed: Sequence[Claimed], works: Mapping[UUID, Work]) -> Sequence[UUID]:
        """Lay aside what belongs to paused batches; which deliveries. A call that was under way is recorded first."""
        paused = [
            (one.delivery_id, batch_id)
            for one in claimed
            if one.started_at is None
            and one.delivery_id in works
            and not self._is_over(one, works[one.delivery_id])
            and (batch_id := works[one.delivery_id].batch_id) is not None
            and self._batches.is_paused(batch_id)
        ]
        if not paused:
            return ()
        async with borrow(self._pool) as connection:
            return await batch_store.park(connection, claimed[0].lease, paused)

    def _prepare(self, held: Held) -> Ready | None:
        """An error with one delivery concerns that one alone: it waits, and fails when its time is over."""
        try:
            verdict = self._verdict(held)
        except Exception as error:  # noqa: BLE001 - the others of its batch are to be sent
            verdict = self._after_error(held, error)
        if isinstance(verdict, Settlement):
            self._hold(held, None)
            self._conclude(verdict)
            return None
        self._hold(held, verdict.chosen)
        self._accounts.overflow.choose(verdict.chosen.account.name)
        return verdict

    def _after_error(self, held: Held, error: Exception) -> Settlement:
        _log_error(held, error)
        try:
            return self._verdicts.postponed(held, Reason.INTERNAL_ERROR)
        except Exception as again:  # noqa: BLE001 - the policies may be what fails
            _log_error(held, again)
            later = Retry(self._now() + _AFTER_ERROR, Reason.INTERNAL_ERROR)
            return Settlement(held, later, avoid=held.claim.avoid)

    def _verdict(self, held: Held) -> Ready | Settlement:
        claim, work = held.claim, held.work
        if claim.rescued:
            self._metrics.rescues.inc()
            log.warning("delivery.rescued", delivery_id=str(claim.delivery_id))
        if claim.started_at is not None:
            return self._interrupted(held, claim.started_at)
        if (end := self._overtaken(claim, work)) is not None:
            return self._verdicts.ended(held, end)
        if work.unreadable:
            log.error("delivery.unreadable", delivery_id=str(claim.delivery_id))
            return self._verdicts.postponed(held, Reason.UNREADABLE)
        mandatory = self._wishes.mandatory(work.category)
        if blocked(work.blocks, work.category, mandatory=mandatory):
            suppressed = Settle(DeliveryStatus.SUPPRESSED, Reason.ADDRESS_SUPPRESSED)
            return self._verdicts.ended(held, suppressed)
        return self._unwished(held) or self._ready(held)

    def _overtaken(self, claim: Claimed, work: Work) -> Settle | None:
        """Where it is not to be sent any more, whatever it says and to whomever."""
        if self._batches.is_cancelled(work.batch_id):
            return Settle(DeliveryStatus.CANCELLED, Reason.CANCELLED)
        if work.replaced:
            return Settle(DeliveryStatus.CANCELLED, Reason.COLLAPSED)
        if self._is_over(claim, work):
            return Settle(DeliveryStatus.EXPIRED, Reason.EXPIRED)
        return None

    def _is_over(self, claim: Claimed, work: Work) -> bool:
        """Whether its expiry has passed, by this clock or by the database's, which found it due."""
        return work.expires_at is not None and work.expires_at <= max(self._now(), claim.due_at)

    def _unwished(self, held: Held) -> Settlement | None:
        """Where the recipient does not want it, or not now."""
        match self._wishes.verdict(held.work, held.claim):
            case Deferral(reason=reason, until=until) if until is not None:
                return self._verdicts.deferred(held, reason, until)
            case Deferral(reason=reason):
                return self._verdicts.ended(held, Settle(DeliveryStatus.SKIPPED, reason))
            case Choice(rule=rule):
                skipped = Settle(DeliveryStatus.SKIPPED, unwanted(rule))
                return self._verdicts.ended(held, skipped, Mark(rule, self._now()))
            case None:
                return None

    def _ready(self, held: Held) -> Ready | Settlement:
        claim, work = held.claim, held.work
        chosen = self._accounts.choose(
            work.channel,
            facts_of(work),
            pinned=claim.account,
            avoid=claim.avoid,
            urgent=claim.priority is Priority.CRITICAL,
        )
        if chosen.opened is None or chosen.choice is None:
            return self._verdicts.in_line(held, chosen)
        compiled = self._templates.of(work.template_id, work.template_version)
        now = self._now()
        urls = self._links.of(work, now, mandatory=self._wishes.mandatory(work.category))
        message = prepare(
            work,
            compiled,
            attempt=claim.attempts + 1,
            now=now,
            urls=urls,
            sender=_permitted(chosen.opened, work),
            priority=claim.priority,
        )
        if isinstance(message, Settle):
            return self._verdicts.ended(held, message)
        choice = self._templates.tracking(work.template_id, work.template_version)
        message, targets = self._marker.mark(message, self._marker.of(choice, work))
        name = chosen.opened.account.name
        if (health := self._accounts.watch(name)) is None:
            return Ready(held, chosen.opened, chosen.choice, message, targets=targets)
        if (permit := health.take(name)) is None:
            return self._verdicts.postponed(held, Reason.ACCOUNTS_HELD_BACK)
        leave = Leave(health, permit)
        return Ready(held, chosen.opened, chosen.choice, message, leave, targets=targets)

    def _interrupted(self, held: Held, started_at: datetime) -> Settlement:
        """A worker died during the call: what it did is not known, so that is what is recorded."""
        called = self._accounts.named(held.claim.account)
        tried = Try(
            number=held.claim.attempts + 1,
            account=held.claim.account,
            choice=None,
            outcome=Unknown(Reason.WORKER_LOST),
            word=OUTCOME_WORDS[Unknown],
            started_at=started_at,
            finished_at=self._now(),
        )
        return self._verdicts.after(held, called, tried)


def _permitted(opened: OpenAccount, work: Work) -> str | None:
    """Who the template says that it is from, where the account may send it from there."""
    sender = work.sender
    return sender.text if sender and opened.account.permits(sender.domain) else None


def _log_error(held: Held, error: Exception) -> None:
    """The frames only: the text of an error may hold content."""
    log.error(
        "delivery.internal_error",
        delivery_id=str(held.claim.delivery_id),
        error=type(error).__name__,
        frames="".join(traceback.format_tb(error.__traceback__)),
    )
