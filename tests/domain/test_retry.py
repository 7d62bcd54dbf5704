"""The retry decision: bounds, limits, and what the provider asked for."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.reasons import Reason
from tidings.domain.retry import Retry, RetryPolicy, Settle, backoff, decide

START = datetime(2030, 1, 1, tzinfo=UTC)
LONGER = {Reason.ACCOUNT_REFUSED: 60, Reason.CREDENTIALS_REFUSED: 60, Reason.TLS_FAILED: 30}
"""Seconds: what only a person can mend is not tried again sooner, whatever the policy's ceiling."""

policies = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 100),
    base=st.floats(0, 3600),
    cap=st.floats(0, 86_400),
    total=st.floats(1, 31_536_000),
)
reasons = st.sampled_from(Reason)
transients = st.builds(
    Transient,
    reason=reasons,
    retry_after=st.none() | st.floats(0, 1e7),
    detail=st.sampled_from(["", "HTTP 503"]),
)
unknowns = st.builds(Unknown, reason=reasons, detail=st.sampled_from(["", "read"]))
outcomes = st.one_of(
    st.builds(Accepted, reason=reasons), st.builds(Permanent, reason=reasons), transients, unknowns
)
attempts = st.integers(1, 1_000)
jitters = st.floats(0, 1)
elapsed = st.floats(0, 40_000_000).map(lambda seconds: START + timedelta(seconds=seconds))


@given(policies, attempts, jitters)
def test_full_jitter_lies_under_a_growing_ceiling(
    policy: RetryPolicy, attempt: int, jitter: float
) -> None:
    wait = backoff(policy, attempt, jitter)
    ceiling = backoff(policy, attempt, 1)
    assert 0 <= wait <= ceiling <= policy.cap
    assert ceiling <= backoff(policy, attempt + 1, 1)
    assert wait == pytest.approx(jitter * ceiling)


@given(policies, st.integers(1, 20))
def test_the_ceiling_doubles_until_the_cap(policy: RetryPolicy, attempt: int) -> None:
    assume(policy.base * 2.0**attempt <= policy.cap)
    assert backoff(policy, attempt + 1, 1) == pytest.approx(2 * backoff(policy, attempt, 1))


@given(policies, outcomes, attempts, elapsed, jitters, st.booleans(), st.booleans())
def test_never_beyond_the_limits(
    policy: RetryPolicy,
    outcome: Outcome,
    attempt: int,
    now: datetime,
    jitter: float,
    confirms: bool,
    resend: bool,
) -> None:
    decision = decide(
        policy,
        outcome,
        attempt=attempt,
        started_at=START,
        now=now,
        jitter=jitter,
        confirms_delivery=confirms,
        resend_unknown=resend,
    )
    if isinstance(decision, Retry):
        assert isinstance(outcome, Transient | Unknown)
        assert attempt < policy.attempts or decision.free
        assert now <= decision.at <= START + timedelta(seconds=policy.total)
        assert decision.reason is outcome.reason
    else:
        assert decision.status is not DeliveryStatus.PENDING


@given(policies, transients, attempts, elapsed, jitters)
def test_what_the_provider_asked_for_is_a_floor(
    policy: RetryPolicy, outcome: Transient, attempt: int, now: datetime, jitter: float
) -> None:
    decision = decide(policy, outcome, attempt=attempt, started_at=START, now=now, jitter=jitter)
    if isinstance(decision, Retry):
        wait = (decision.at - now).total_seconds()
        floor = outcome.retry_after or 0
        assert wait >= floor - 1e-5
        ceiling = max(backoff(policy, attempt, 1), LONGER.get(outcome.reason, 0))
        assert wait <= floor + ceiling + 1e-5


def settled(outcome: Outcome, **more: object) -> Settle:
    arguments = {"attempt": 1, "started_at": START, "now": START, "jitter": 0.5, **more}
    decision = decide(RetryPolicy(), outcome, **arguments)  # type: ignore[arg-type]
    assert isinstance(decision, Settle)
    return decision


@pytest.mark.parametrize(
    ("confirms", "status"), [(True, DeliveryStatus.DELIVERED), (False, DeliveryStatus.SENT)]
)
def test_accepted(confirms: bool, status: DeliveryStatus) -> None:
    outcome = Accepted("id", Reason.STORED, "250 ok")
    assert settled(outcome, confirms_delivery=confirms) == Settle(status, Reason.STORED, "250 ok")


def test_permanent_ends_at_once() -> None:
    outcome = Permanent(Reason.MAILBOX_NOT_FOUND, detail="550")
    assert settled(outcome) == Settle(DeliveryStatus.FAILED, Reason.MAILBOX_NOT_FOUND, "550")


def test_unknown_is_held_or_sent_again() -> None:
    outcome = Unknown(Reason.TIMED_OUT, "read")
    assert settled(outcome, resend_unknown=False) == Settle(
        DeliveryStatus.UNKNOWN, Reason.TIMED_OUT, "read"
    )
    again = decide(RetryPolicy(), outcome, attempt=1, started_at=START, now=START, jitter=0.5)
    assert again == Retry(START + timedelta(seconds=1), Reason.TIMED_OUT, "read", maybe_taken=True)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Transient(Reason.CONNECTION_FAILED, detail="refused"), DeliveryStatus.FAILED),
        # It may have been taken: nobody may call that failed.
        (Unknown(Reason.CONNECTION_FAILED, detail="refused"), DeliveryStatus.UNKNOWN),
    ],
)
def test_the_last_attempt_says_why(outcome: Outcome, status: DeliveryStatus) -> None:
    assert settled(outcome, attempt=8) == Settle(
        status, Reason.ATTEMPTS_EXHAUSTED, "connection_failed: refused"
    )
    late = START + timedelta(seconds=86_400)
    assert settled(outcome, now=late) == Settle(
        status, Reason.TIME_EXHAUSTED, "connection_failed: refused"
    )
    assert settled(Transient(Reason.TLS_FAILED), attempt=8).detail == "tls_failed"


def test_a_wait_longer_than_what_is_left_ends_it() -> None:
    outcome = Transient(Reason.PROVIDER_THROTTLED, retry_after=90_000)
    assert settled(outcome).reason is Reason.TIME_EXHAUSTED


@given(policies, st.integers(0, 2_000), jitters, st.none() | st.floats(0, 60))
def test_being_too_early_burns_no_attempt_and_is_not_repeated_to_no_end(
    policy: RetryPolicy, deferred: int, jitter: float, asked: float | None
) -> None:
    outcome = Transient(Reason.PROVIDER_THROTTLED, retry_after=asked)
    decision = decide(
        policy,
        outcome,
        attempt=policy.attempts,
        deferred=deferred,
        started_at=START,
        now=START,
        jitter=jitter,
    )
    if isinstance(decision, Retry):
        assert decision.free
        assert deferred < 1_000
        wait = (decision.at - START).total_seconds()
        expected = (asked or 0) + backoff(policy, deferred + 1, jitter)
        assert wait == pytest.approx(expected, abs=1e-5), "it slows down"
