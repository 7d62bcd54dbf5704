"""The health of accounts, as one worker sees it: what it counts, what all of them agreed on, and what follows."""

import asyncio
import math
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from tidings.delivery.sightings import Sightings
from tidings.domain.breaker import BreakerPolicy, Change, Counts, State, Verdict, verdict_of
from tidings.domain.outcomes import Outcome, Transient
from tidings.domain.pacing import Bucket
from tidings.metrics import Metrics
from tidings.store import account_health
from tidings.store.account_health import Report, Shared, Told
from tidings.store.database import UNAVAILABLE, Pool, borrow
from tidings.store.rounds import until

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_TICK = 1.0  # seconds
_BETWEEN = 0.05  # seconds, however much there is to tell
_SLOW_ANYWAY = 3.0  # seconds, where an account has no breaker


@dataclass(eq=False, slots=True)
class Permit:
    """Leave for one call. trial: the round of probes that the call belongs to, 0 for none."""

    account: str
    trial: int = 0
    started_at: float = 0.0
    counted: bool = False


@dataclass(slots=True)
class _Local:
    """What this worker knows of an account. Times are of its own clock."""

    seen: Sightings = field(default_factory=Sightings)
    state: State = State.CLOSED
    trial: int = 0
    permits: int = 0
    probe_at: float = 0.0
    paused_until: float = 0.0
    rate: float | None = None
    bucket: Bucket = field(default_factory=Bucket)


class Health:
    """policies: by account; one without has no breaker, but is slowed down all the same. freed: called when an
    account that was held back may be called again. clock: monotonic seconds."""

    def __init__(
        self,
        pool: Pool,
        policies: Mapping[str, BreakerPolicy],
        *,
        worker: str,
        metrics: Metrics,
        clock: Callable[[], float],
        uniform: Callable[[], float],
        freed: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._policies = policies
        self._worker = worker
        self._metrics = metrics
        self._clock = clock
        self._uniform = uniform
        self._freed = freed
        self._locals: dict[str, _Local] = {}
        self._under_way: dict[str, dict[Permit, None]] = {}
        self._soon = asyncio.Event()
        self._stale = True

    # ------------------------------------------------------------ before a call

    def may_call(self, account: str) -> bool:
        """Whether a call may be made now. Takes nothing: asking is free."""
        local = self._local(account)
        now = self._clock()
        if now < local.paused_until:
            return False
        if local.state is State.CLOSED:
            return local.rate is None or local.bucket.has(local.rate, now)
        if local.permits:
            return True
        if now >= local.probe_at:
            if not local.seen.wanted:
                self._soon.set()
            local.seen.wanted += 1
        return False

    def room(self, account: str) -> float:
        """How many calls may be made now, infinity for no limit. Takes nothing: asking is free."""
        if not self.may_call(account):
            return 0
        local = self._local(account)
        if local.state is not State.CLOSED:
            return local.permits
        return math.inf if local.rate is None else int(local.bucket.tokens)

    def take(self, account: str) -> Permit | None:
        """Leave to call the account once, for one delivery; None when it is held back."""
        if not self.may_call(account):
            return None
        local = self._local(account)
        if local.state is not State.CLOSED:
            local.permits -= 1
            return Permit(account, local.trial)
        if local.rate is not None:
            local.bucket.take(local.rate, self._clock())
        return Permit(account)

    def give_back(self, permit: Permit) -> None:
        """It was not used: there was no call."""
        local = self._local(permit.account)
        if permit.trial and permit.trial == local.trial and local.state is State.HALF_OPEN:
            local.permits += 1
        elif not permit.trial:
            local.bucket.tokens += 1

    def blocked_until(self, account: str) -> datetime | None:
        """Until when it is surely held back; None when it is not. With a probe under way, the end of a tick."""
        local = self._local(account)
        now = self._clock()
        until = max(local.paused_until, local.probe_at if local.state is State.OPEN else 0.0)
        if until <= now:
            if local.state is State.CLOSED or local.permits:
                return None
            until = now + _TICK
        return datetime.now(UTC) + timedelta(seconds=until - now)

    def allowance(self, account: str) -> float | None:
        """Calls per second that this worker may make; None for no limit."""
        return self._local(account).rate

    # ------------------------------------------------------------ during and after a call

    def started(self, account: str, permit: Permit | None = None) -> Permit:
        """A call begins, with the permit that was taken for it, or one that is made for it."""
        permit = permit or self.take(account) or Permit(account)
        permit.started_at = self._clock()
        self._under_way.setdefault(account, {})[permit] = None
        return permit

    def ended(self, permit: Permit, outcome: Outcome, seconds: float | None = None) -> None:
        """seconds: how long the call took, where the caller knows better."""
        self._under_way.get(permit.account, {}).pop(permit, None)
        verdict = verdict_of(outcome)
        if verdict is Verdict.THROTTLED:
            self._throttled(permit, outcome)
            return
        took = self._clock() - permit.started_at if seconds is None else seconds
        if verdict is Verdict.OK and took < self._slow_after(permit.account):
            self._count(permit, Counts(ok=1))
        elif verdict is Verdict.OK:
            self._count(permit, Counts(slow=1))
        else:
            self._count(permit, Counts(failed=1))

    def _throttled(self, permit: Permit, outcome: Outcome) -> None:
        local = self._local(permit.account)
        local.seen.throttled = True
        after = outcome.retry_after if isinstance(outcome, Transient) else None
        if after is not None and after > 0:
            local.seen.retry_after = max(after, local.seen.retry_after or 0)
            local.paused_until = max(local.paused_until, self._clock() + after)
        if permit.trial and not permit.counted:
            permit.counted = True
            local.seen.add_probe(permit.trial, good=True)  # it answers: slowing down is not failing
        self._soon.set()

    def _count(self, permit: Permit, counts: Counts) -> None:
        if permit.counted:
            return
        permit.counted = True
        seen = self._local(permit.account).seen
        if permit.trial:
            seen.add_probe(permit.trial, good=counts.ok > 0)
            self._soon.set()
        else:
            seen.counts = seen.counts.plus(counts)

    def _slow_after(self, account: str) -> float:
        policy = self._policies.get(account)
        return policy.slow_after if policy else _SLOW_ANYWAY

    def _count_slow(self) -> None:
        """Calls under way that take too long count before they end."""
        now = self._clock()
        for account, permits in self._under_way.items():
            overdue = now - self._slow_after(account)
            for permit in list(permits):
                if permit.started_at > overdue:
                    break  # the others began later
                del permits[permit]
                self._count(permit, Counts(slow=1))

    # ------------------------------------------------------------ with the others

    def change_heard(self, _payload: str = "") -> None:
        """Another worker, or a person, changed something."""
        self._stale = True
        self._soon.set()

    async def run(self) -> None:
        """Report and listen until cancelled; goes on when the database is away, and after any other error, which is
        logged and shown as a metric."""
        while True:
            try:
                await self.tick()
                self._metrics.health_failing.set(0)
            except UNAVAILABLE as error:
                log.warning("database.unavailable", doing="health", error=type(error).__name__)
                await asyncio.sleep(_TICK)
            except Exception as error:  # noqa: BLE001 - sending goes on with what is known, and this is seen
                self._metrics.health_failing.set(1)
                log.error(  # noqa: TRY400 - frames only, as everywhere
                    "health.failed",
                    error=type(error).__name__,
                    frames="".join(traceback.format_tb(error.__traceback__)),
                )
                await asyncio.sleep(_TICK)
            await self._wait()

    async def tick(self) -> None:
        """Tell what was seen and learn what all agreed on; nothing while there is nothing to tell or to wait for."""
        self._count_slow()
        reports = self._reports()
        stale, self._stale = self._stale, False  # what is heard from here on asks for another look
        try:
            if reports:
                async with borrow(self._pool) as connection:
                    told = await account_health.report(
                        connection, self._worker, reports, self._policies, self._uniform
                    )
                self._learn_all(told)
            elif stale or any(_unsettled(local) for local in self._locals.values()):
                async with borrow(self._pool) as connection:
                    self._learn_all(Told(await account_health.read(connection), {}, ()))
        except BaseException:
            self._stale = True
            for report in reports:
                self._local(report.account).seen.unreported(report)
            raise

    async def _wait(self) -> None:
        await asyncio.sleep(_BETWEEN)
        await until(self._soon, _TICK - _BETWEEN)
        self._soon.clear()

    def _reports(self) -> list[Report]:
        reports = []
        for account, local in self._locals.items():
            seen, local.seen = local.seen, Sightings()
            if (report := seen.report(account)) is not None:
                reports.append(report)
        return reports

    def _learn_all(self, told: Told) -> None:
        for shared in told.shared:
            self._learn(shared, told.permits.get(shared.account, 0))
        for account, change in told.changes:
            self._tell(account, change)

    def _learn(self, shared: Shared, permits: int) -> None:
        local, now, breaker = self._local(shared.account), self._clock(), shared.breaker
        was_held = local.state is not State.CLOSED and not local.permits
        if breaker.trial != local.trial or breaker.state is not State.HALF_OPEN:
            local.permits = 0
        local.state, local.trial = breaker.state, breaker.trial
        local.permits += permits
        local.probe_at = now + ((breaker.probe_at or shared.now) - shared.now)
        local.paused_until = now + max(0.0, shared.pace.paused_until - shared.now)
        rate = shared.pace.rate
        local.rate = None if rate is None else rate / shared.sharers
        self._show(shared.account, breaker.state)
        if was_held and (local.permits or local.state is State.CLOSED):
            self._freed()

    def _show(self, account: str, state: State) -> None:
        for one in State:
            self._metrics.account_state.labels(account, one.value).set(one is state)

    def _tell(self, account: str, change: Change) -> None:
        self._metrics.account_changes.labels(
            account, change.state_to.value, change.cause.value
        ).inc()
        log.warning(
            "account.changed",
            account=account,
            state=change.state_to.value,
            reason=change.cause.value,
            detail=change.detail,
        )

    def _local(self, account: str) -> _Local:
        local = self._locals.get(account)
        if local is None:
            local = self._locals[account] = _Local()
        return local


def _unsettled(local: _Local) -> bool:
    return local.state is not State.CLOSED or local.rate is not None
