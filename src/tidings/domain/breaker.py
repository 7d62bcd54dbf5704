"""The circuit breaker of an account: when it is held back, and how it comes back.

closed -> open when too many calls failed; open -> half_open when its time is over and someone has work for
it; half_open -> closed when all probes went well, or -> open when one did not. Times are Unix seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from tidings.domain.outcomes import Outcome, Permanent, Transient, Unknown
from tidings.domain.reasons import Reason

_MOST_ROUNDS = 4
_JITTER = 0.1
_SUSTAINED = 6  # windows closed, after which earlier openings are forgotten
_PATIENCE = 5.0  # seconds beyond slow_after until a probe that nobody reported is granted again


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Cause(StrEnum):
    """Why a breaker changed."""

    FAILING = "failing"
    SLOW = "slow"
    PROBING = "probing"
    PROBES_GOOD = "probes_good"
    PROBE_FAILED = "probe_failed"
    RESET = "reset"


class Verdict(StrEnum):
    """What an outcome says about the account. throttled: nothing about its health, only about its pace."""

    OK = "ok"
    FAILED = "failed"
    THROTTLED = "throttled"


class Counts(NamedTuple):
    """Calls that ended well, failed, or took too long; each call is in one of them."""

    ok: int = 0
    failed: int = 0
    slow: int = 0

    @property
    def bad(self) -> int:
        return self.failed + self.slow

    @property
    def all(self) -> int:
        return self.ok + self.failed + self.slow

    def plus(self, other: "Counts") -> "Counts":
        return Counts(self.ok + other.ok, self.failed + other.failed, self.slow + other.slow)


NONE = Counts()


class Second(NamedTuple):
    """at: whole Unix seconds."""

    at: int
    counts: Counts


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """window, slow_after, open_seconds, open_cap: seconds. failure_rate: from 0 to 1."""

    window: int = 10
    failure_rate: float = 0.2
    minimum_calls: int = 10
    slow_after: float = 3
    open_seconds: float = 5
    open_cap: float = 60
    probes: int = 3


@dataclass(frozen=True, slots=True)
class Breaker:
    """strikes: openings without sustained health since. trial: names a round of probes, so that the result of
    an earlier one is not taken for it; granted, good: probes of this round; rounds: passed since it is half-open.
    """

    state: State = State.CLOSED
    since: float = 0.0
    cause: Cause | None = None
    window: tuple[Second, ...] = ()
    strikes: int = 0
    probe_at: float | None = None
    trial: int = 0
    granted: int = 0
    good: int = 0
    rounds: int = 0
    lapse_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """A change of state; detail: machine facts, such as "12 of 40 failed, 3 slow"."""

    state_from: State
    state_to: State
    cause: Cause
    detail: str = ""


Observed = tuple[Breaker, Change | None]

_ACCOUNT_FAILS = frozenset(
    {
        Reason.CREDENTIALS_REFUSED,
        Reason.CONNECTION_FAILED,
        Reason.TLS_FAILED,
        Reason.PROVIDER_UNAVAILABLE,
        Reason.MALFORMED_ANSWER,
    }
)


def verdict_of(outcome: Outcome) -> Verdict:
    """A refusal that concerns the message alone shows that the provider works."""
    match outcome:
        case Transient(reason=Reason.PROVIDER_THROTTLED):
            return Verdict.THROTTLED
        case Unknown():
            return Verdict.FAILED
        case Transient(reason=reason) | Permanent(reason=reason) if reason in _ACCOUNT_FAILS:
            return Verdict.FAILED
        case _:
            return Verdict.OK


def observe(
    breaker: Breaker, counts: Counts, now: float, policy: BreakerPolicy, uniform: float
) -> Observed:
    """Add what was counted since the last look; a closed breaker may open by it. uniform: a random number from 0
    to 1."""
    if breaker.state is not State.CLOSED:
        return breaker, None  # calls that began before it opened; probes are judged apart
    breaker = replace(breaker, window=_added(breaker.window, counts, now, policy.window))
    total = _sum(one.counts for one in breaker.window)
    if total.all < policy.minimum_calls or total.bad < policy.failure_rate * total.all:
        return breaker, None
    cause = Cause.SLOW if total.slow > total.failed else Cause.FAILING
    detail = f"{total.failed} of {total.all} failed, {total.slow} slow"
    return _opened(_forgiven(breaker, now, policy), cause, detail, now, policy, uniform)


def ask(
    breaker: Breaker, wanted: int, now: float, policy: BreakerPolicy
) -> tuple[Breaker, int, Change | None]:
    """Ask for that many probes; how many are granted. The first to ask in time opens the half."""
    change = None
    if wanted <= 0 or breaker.state is State.CLOSED:
        return breaker, 0, None
    if breaker.state is State.OPEN:
        if breaker.probe_at is not None and now < breaker.probe_at:
            return breaker, 0, None
        change = Change(State.OPEN, State.HALF_OPEN, Cause.PROBING)
        breaker = replace(
            breaker,
            state=State.HALF_OPEN,
            since=now,
            cause=Cause.PROBING,
            probe_at=None,
            trial=breaker.trial + 1,
            granted=0,
            good=0,
            rounds=0,
        )
    elif now >= breaker.lapse_at:
        # Whoever had them died, or had nothing to send after all: these are granted anew.
        breaker = replace(breaker, granted=breaker.good)
    granted = min(wanted, policy.probes - breaker.granted)
    if granted <= 0:
        return breaker, 0, change
    lapse_at = now + policy.slow_after + _PATIENCE
    return replace(breaker, granted=breaker.granted + granted, lapse_at=lapse_at), granted, change


def probed(
    breaker: Breaker,
    trial: int,
    good: int,
    bad: int,
    now: float,
    policy: BreakerPolicy,
    uniform: float,
) -> Observed:
    """Results of probes. Each opening without sustained health since asks for one more round of good ones, for
    an account that fails a third of its calls passes one round often enough."""
    if breaker.state is not State.HALF_OPEN or trial != breaker.trial:
        return breaker, None
    if bad:
        return _opened(breaker, Cause.PROBE_FAILED, f"{bad} bad", now, policy, uniform)
    breaker = replace(breaker, good=min(breaker.good + good, breaker.granted))
    if breaker.good < policy.probes:
        return breaker, None
    rounds = breaker.rounds + 1
    if rounds < min(breaker.strikes, _MOST_ROUNDS):
        again = replace(breaker, trial=trial + 1, granted=0, good=0, rounds=rounds)
        return again, None
    detail = f"{rounds * policy.probes} good"
    return _closed(breaker, Cause.PROBES_GOOD, detail, now)


def reset(breaker: Breaker, now: float, by: str) -> Observed:
    """Closed by hand; what was is forgotten. by: whose hand."""
    closed, change = _closed(breaker, Cause.RESET, f"by {by}", now)
    return replace(closed, strikes=0), change


def _added(
    window: tuple[Second, ...], counts: Counts, now: float, seconds: int
) -> tuple[Second, ...]:
    at = int(now)
    # A clock that was set back must not keep what is later for long.
    kept = {one.at: one.counts for one in window if at - seconds < one.at <= at}
    if counts.all:
        kept[at] = kept.get(at, Counts()).plus(counts)
    return tuple(Second(*one) for one in sorted(kept.items()))


def _sum(counted: Iterable[Counts]) -> Counts:
    total = Counts()
    for one in counted:
        total = total.plus(one)
    return total


def _forgiven(breaker: Breaker, now: float, policy: BreakerPolicy) -> Breaker:
    healthy = now - breaker.since >= _SUSTAINED * policy.window
    return replace(breaker, strikes=0) if healthy else breaker


def _opened(
    breaker: Breaker, cause: Cause, detail: str, now: float, policy: BreakerPolicy, uniform: float
) -> Observed:
    strikes = breaker.strikes + 1
    longest = min(policy.open_cap, policy.open_seconds * 2.0 ** min(strikes - 1, 30))
    opened = Breaker(
        state=State.OPEN,
        since=now,
        cause=cause,
        strikes=strikes,
        probe_at=now + longest * (1 - _JITTER + 2 * _JITTER * uniform),
        trial=breaker.trial,
    )
    return opened, Change(breaker.state, State.OPEN, cause, detail)


def _closed(breaker: Breaker, cause: Cause, detail: str, now: float) -> Observed:
    closed = Breaker(since=now, cause=cause, strikes=breaker.strikes, trial=breaker.trial)
    return closed, Change(breaker.state, State.CLOSED, cause, detail)
