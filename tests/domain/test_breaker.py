"""The breaker and the pace, whatever is counted and however time passes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tidings.domain import breaker as breakers
from tidings.domain import pacing
from tidings.domain.breaker import (
    Breaker,
    BreakerPolicy,
    Cause,
    Change,
    Counts,
    State,
    Verdict,
    verdict_of,
)
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.pacing import Bucket, Pace
from tidings.domain.reasons import Reason

POLICY = BreakerPolicy()
PARTS = st.floats(0, 1)


class Breaking(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000.0
        self.breaker = Breaker()
        self.out: dict[int, int] = {}  # probes granted and not reported, by round
        self.lapsed = False
        self.passed = 0  # good probes since it is half-open

    def see(self, before: Breaker, change: Change | None) -> None:
        if change is None:
            assert self.breaker.state is before.state
            return
        assert (change.state_from, change.state_to) == (before.state, self.breaker.state)
        assert self.breaker.since == self.now
        if change.state_to is State.CLOSED and change.cause is not Cause.RESET:
            assert before.state is State.HALF_OPEN, "closed only by probes"
            assert self.passed >= POLICY.probes
        if change.state_to is State.HALF_OPEN:
            assert before.probe_at is not None
            assert self.now >= before.probe_at
            self.passed = 0
        if change.state_to is State.OPEN:
            assert self.breaker.probe_at is not None
            assert self.breaker.probe_at - self.now <= POLICY.open_cap * 1.1 + 1e-6

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(ok=st.integers(0, 50), failed=st.integers(0, 20), slow=st.integers(0, 20), uniform=PARTS)
    def counted(self, ok: int, failed: int, slow: int, uniform: float) -> None:
        before = self.breaker
        counts = Counts(ok, failed, slow)
        self.breaker, change = breakers.observe(before, counts, self.now, POLICY, uniform)
        self.see(before, change)
        if change:
            assert failed + slow or any(one.counts.bad for one in before.window)

    @rule(wanted=st.integers(0, 10))
    def asked(self, wanted: int) -> None:
        before = self.breaker
        self.breaker, granted, change = breakers.ask(before, wanted, self.now, POLICY)
        self.see(before, change)
        assert 0 <= granted <= min(wanted, POLICY.probes)
        if granted:
            lapsed = before.state is State.HALF_OPEN and self.now >= before.lapse_at
            if lapsed:
                self.out[self.breaker.trial] = 0
            out = self.out.get(self.breaker.trial, 0) + granted
            self.out[self.breaker.trial] = out
            assert out + before.good * (before.trial == self.breaker.trial) <= POLICY.probes

    @precondition(lambda self: self.out.get(self.breaker.trial))
    @rule(good=st.booleans(), uniform=PARTS)
    def reported(self, good: bool, uniform: float) -> None:
        before = self.breaker
        self.out[before.trial] -= 1
        self.passed += good
        self.breaker, change = breakers.probed(
            before, before.trial, int(good), int(not good), self.now, POLICY, uniform
        )
        self.see(before, change)
        if not good and before.state is State.HALF_OPEN:
            assert self.breaker.state is State.OPEN

    @rule(bad=st.integers(0, 3), uniform=PARTS)
    def reported_too_late(self, bad: int, uniform: float) -> None:
        late = self.breaker.trial - 1
        after = breakers.probed(self.breaker, late, 3, bad, self.now, POLICY, uniform)
        assert after == (self.breaker, None)

    @rule()
    def reset(self) -> None:
        before = self.breaker
        self.breaker, change = breakers.reset(before, self.now, "a person")
        assert change is not None
        assert change.detail == "by a person"
        self.see(before, change)
        assert self.breaker.strikes == 0

    @invariant()
    def holds(self) -> None:
        assert 0 <= self.breaker.good <= self.breaker.granted <= POLICY.probes
        assert (self.breaker.probe_at is not None) is (self.breaker.state is State.OPEN)
        assert len(self.breaker.window) <= POLICY.window


TestBreaking = Breaking.TestCase


def opened(now: float = 100.0, strikes: int = 0) -> Breaker:
    start = replace(Breaker(), since=now, strikes=strikes)
    breaker, change = breakers.observe(start, Counts(7, 3), now, POLICY, 0.5)
    assert change is not None
    return breaker


def test_it_opens_at_the_rate_and_not_below_and_not_for_few_calls() -> None:
    for counts, state in (
        (Counts(8, 2), State.OPEN),
        (Counts(8, 0, 2), State.OPEN),
        (Counts(81, 19), State.CLOSED),
        (Counts(0, 9), State.CLOSED),
    ):
        assert breakers.observe(Breaker(), counts, 100, POLICY, 0)[0].state is state


def test_the_wait_doubles_and_is_forgotten_after_sustained_health() -> None:
    waits = [(opened(strikes=n).probe_at or 0) - 100 for n in range(6)]
    assert waits == [5, 10, 20, 40, 60, 60]
    healthy = replace(Breaker(), since=0, strikes=4)
    assert breakers.observe(healthy, Counts(0, 10), 1000, POLICY, 0.5)[0].probe_at == 1005


def test_a_relapse_asks_for_more_rounds_of_probes() -> None:
    breaker, rounds = opened(strikes=2), 0
    while breaker.state is not State.CLOSED:
        breaker, granted, _ = breakers.ask(breaker, 9, 1000, POLICY)
        assert granted == 3
        breaker, _ = breakers.probed(breaker, breaker.trial, 3, 0, 1000, POLICY, 0)
        rounds += 1
    assert rounds == 3


def test_probes_of_a_worker_that_died_are_granted_again() -> None:
    breaker, granted, _ = breakers.ask(opened(), 3, 200, POLICY)
    assert granted == 3
    assert breakers.ask(breaker, 3, 207, POLICY)[1] == 0
    assert breakers.ask(breaker, 3, 208, POLICY)[1] == 3


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (Accepted(), Verdict.OK),
        (Permanent(Reason.ADDRESS_INVALID), Verdict.OK),
        (Permanent(Reason.CONTENT_REJECTED), Verdict.OK),
        (Permanent(Reason.CREDENTIALS_REFUSED), Verdict.FAILED),
        (Transient(Reason.CREDENTIALS_REFUSED), Verdict.FAILED),
        (Transient(Reason.PROVIDER_UNAVAILABLE), Verdict.FAILED),
        (Unknown(Reason.TIMED_OUT), Verdict.FAILED),
        (Transient(Reason.PROVIDER_THROTTLED), Verdict.THROTTLED),
    ],
)
def test_what_an_outcome_says_of_the_account(outcome: Outcome, verdict: Verdict) -> None:
    assert verdict_of(outcome) is verdict


@given(
    measured=st.floats(0, 1e5),
    steps=st.lists(
        st.tuples(st.floats(0, 30), st.none() | st.floats(0, 1e6), st.booleans()), max_size=40
    ),
)
def test_the_pace_stays_in_its_bounds_and_recovers(
    measured: float, steps: list[tuple[float, float | None, bool]]
) -> None:
    now, pace = 1000.0, pacing.throttled(Pace(), None, measured, 1000.0)
    for seconds, retry_after, again in steps:
        now += seconds
        before = pacing.grown(pace, now)
        assert before.rate is None or pace.rate is None or before.rate >= pace.rate
        pace = pacing.throttled(before, retry_after, measured, now) if again else before
        assert pace.paused_until <= now + 3600 or pace.paused_until == before.paused_until
        if pace.rate is not None:
            assert 0.1 <= pace.rate <= 2 * pace.normal
            assert not again or before.rate is None or pace.rate <= before.rate
    assert pacing.grown(pace, max(now, pace.paused_until) + 41).rate is None


@given(rate=st.floats(0.1, 1000), steps=st.lists(st.floats(0, 5), max_size=100))
def test_a_bucket_never_gives_more_than_its_rate(rate: float, steps: list[float]) -> None:
    bucket, now, taken = Bucket(1.0, 0.0), 0.0, 0
    for seconds in steps:
        now += seconds
        taken += bucket.take(rate, now)
    assert taken <= max(1.0, rate) + rate * now + 1e-6
