"""Whether and when to try again: a pure function that returns a decision."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.reasons import Reason


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """attempts: calls at the most; base, cap: seconds; total: seconds from acceptance on."""

    attempts: int = 8
    base: float = 2.0
    cap: float = 900.0
    total: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again at this time; the reason is that of the attempt before."""

    at: datetime
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Settle:
    """It ends here."""

    status: DeliveryStatus
    reason: Reason
    detail: str = ""


Decision = Retry | Settle


def backoff(policy: RetryPolicy, attempt: int, jitter: float) -> float:
    """Seconds to wait after the attempt-th call: full jitter over an exponentially growing ceiling.

    jitter: a uniform number from 0 to 1. See "Exponential Backoff And Jitter",
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    # The exponent is bounded so that a large attempt number cannot overflow a float.
    ceiling = min(policy.cap, policy.base * 2.0 ** min(attempt - 1, 60))
    return ceiling * jitter


def decide(
    policy: RetryPolicy,
    outcome: Outcome,
    *,
    attempt: int,
    started_at: datetime,
    now: datetime,
    jitter: float,
    confirms_delivery: bool = False,
    resend_unknown: bool = True,
) -> Decision:
    """What follows from the attempt-th call's outcome.

    started_at: when trying began (acceptance, or the scheduled time). resend_unknown: whether a
    message that may have been taken is sent again; otherwise it is left for a person.
    """
    match outcome:
        case Accepted(reason=reason, detail=detail):
            status = DeliveryStatus.DELIVERED if confirms_delivery else DeliveryStatus.SENT
            return Settle(status, reason, detail)
        case Permanent(reason=reason, detail=detail):
            return Settle(DeliveryStatus.FAILED, reason, detail)
        case Unknown(reason=reason, detail=detail) if not resend_unknown:
            return Settle(DeliveryStatus.UNKNOWN, reason, detail)
    wait = backoff(policy, attempt, jitter)
    if isinstance(outcome, Transient) and outcome.retry_after is not None:
        # The provider's word counts as a floor; jitter on top keeps the crowd from returning at once.
        # Longer than all the time there is needs no exact number, and could overflow a date.
        wait += min(outcome.retry_after, policy.total + 1)
    end = Settle(
        # What may have been taken never ends as "failed": nobody knows that.
        DeliveryStatus.UNKNOWN if isinstance(outcome, Unknown) else DeliveryStatus.FAILED,
        Reason.ATTEMPTS_EXHAUSTED,
        _because(outcome),
    )
    if attempt >= policy.attempts:
        return end
    at = now + timedelta(seconds=wait)
    if at > started_at + timedelta(seconds=policy.total):
        return Settle(end.status, Reason.TIME_EXHAUSTED, end.detail)
    return Retry(at, outcome.reason, outcome.detail)


def _because(outcome: Outcome) -> str:
    return f"{outcome.reason}: {outcome.detail}" if outcome.detail else str(outcome.reason)
