"""Whether and when to try again: a pure function that returns a decision."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.priorities import Priority
from tidings.domain.reasons import Reason
from tidings.domain.records import record


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """attempts: calls at the most; base, cap: seconds; total: seconds from acceptance on."""

    attempts: int = 8
    base: float = 2.0
    cap: float = 900.0
    total: float = 86_400.0


Changes = Mapping[str, Any]
"""Fields of a policy that differ from the general one."""


@record
class Retry:
    """Try again at this time; the reason is that of the attempt before. maybe_taken: an attempt may have sent
    it already. free: this attempt is not counted: nothing was wrong but the time. anew: the time for trying begins
    then."""

    at: datetime
    reason: Reason
    detail: str = ""
    maybe_taken: bool = False
    free: bool = False
    anew: bool = False


@record
class Settle:
    """It ends here."""

    status: DeliveryStatus
    reason: Reason
    detail: str = ""


Decision = Retry | Settle

# Seconds: the least ceiling of a wait for what only a person can mend.
_AT_LEAST = {
    Reason.ACCOUNT_REFUSED: 60.0,
    Reason.CREDENTIALS_REFUSED: 60.0,
    Reason.TLS_FAILED: 30.0,
}

_MOST_DEFERRED = 1_000  # a provider that says "later" to no end is one that fails


@dataclass(frozen=True, slots=True)
class RetryPolicies:
    """The general policy, and what differs by priority, by channel and by account; the latter goes first."""

    general: RetryPolicy = RetryPolicy()
    priorities: Mapping[Priority, Changes] = field(default_factory=dict)
    channels: Mapping[Channel, Changes] = field(default_factory=dict)
    accounts: Mapping[str, Changes] = field(default_factory=dict)

    def of(self, priority: Priority, channel: Channel, account: str | None) -> RetryPolicy:
        changes = {
            **self.priorities.get(priority, {}),
            **self.channels.get(channel, {}),
            **self.accounts.get(account or "", {}),
        }
        return replace(self.general, **changes) if changes else self.general


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
    deferred: int = 0,
    started_at: datetime,
    now: datetime,
    jitter: float,
    confirms_delivery: bool = False,
    resend_unknown: bool = True,
    maybe_taken: bool = False,
    idempotent: bool = False,
) -> Decision:
    """What follows from a call's outcome.

    attempt: how many calls count, this one included; deferred: how many before it did not. started_at: when trying began (acceptance, or the scheduled
    time). resend_unknown: whether a message that may have been taken is sent again; otherwise it is left for
    a person. maybe_taken: an earlier call may have sent it. idempotent: the provider answers a repeated call as it
    answered the first, so that its refusal says that no call before was taken either.
    """
    match outcome:
        case Accepted(reason=reason, detail=detail):
            status = DeliveryStatus.DELIVERED if confirms_delivery else DeliveryStatus.SENT
            return Settle(status, reason, detail)
        case Permanent(reason=reason, detail=detail):
            failed = Settle(DeliveryStatus.FAILED, reason, detail)
            return failed if idempotent else doubted(failed, maybe_taken=maybe_taken)
        case Unknown(reason=reason, detail=detail) if not resend_unknown:
            return Settle(DeliveryStatus.UNKNOWN, reason, detail)
    throttled = outcome.reason is Reason.PROVIDER_THROTTLED and deferred < _MOST_DEFERRED
    maybe_taken = maybe_taken or isinstance(outcome, Unknown)
    step = deferred + 1 if throttled else attempt  # what does not count must slow down all the same
    wait = max(backoff(policy, step, jitter), _AT_LEAST.get(outcome.reason, 0.0) * jitter)
    if isinstance(outcome, Transient) and outcome.retry_after is not None:
        # The provider's word counts as a floor; jitter on top keeps the crowd from returning at once.
        # Longer than all the time there is needs no exact number, and could overflow a date.
        wait += min(outcome.retry_after, policy.total + 1)
    failed = Settle(DeliveryStatus.FAILED, Reason.ATTEMPTS_EXHAUSTED, _because(outcome))
    end = doubted(failed, maybe_taken=maybe_taken)
    if attempt >= policy.attempts and not throttled:
        return end
    at = now + timedelta(seconds=wait)
    if at > started_at + timedelta(seconds=policy.total):
        return replace(end, reason=Reason.TIME_EXHAUSTED)
    return Retry(at, outcome.reason, outcome.detail, maybe_taken, free=throttled)


def doubted(end: Settle, *, maybe_taken: bool) -> Settle:
    """What may have been taken never ends as "failed", "expired" or "cancelled": nobody knows that."""
    if maybe_taken and end.status not in {DeliveryStatus.SENT, DeliveryStatus.DELIVERED}:
        return replace(end, status=DeliveryStatus.UNKNOWN)
    return end


def _because(outcome: Outcome) -> str:
    return f"{outcome.reason}: {outcome.detail}" if outcome.detail else str(outcome.reason)
