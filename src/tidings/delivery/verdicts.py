"""What follows from an attempt, or from there being none: policies, accounts and the pure rules together."""

import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tidings.delivery.accounts import Accounts, Chosen, OpenAccount
from tidings.delivery.routing_facts import facts_of
from tidings.delivery.settling import Held, Settlement, Try
from tidings.delivery.waiting import Lines
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.explanations import Mark
from tidings.domain.priorities import Priority
from tidings.domain.reasons import Reason
from tidings.domain.retry import Retry, RetryPolicies, RetryPolicy, Settle, decide, doubted
from tidings.domain.routing import CURABLE

_LOOK_AGAIN = {
    Reason.NO_ACCOUNT: timedelta(seconds=15),
    Reason.ACCOUNTS_HELD_BACK: timedelta(seconds=2),
    Reason.ACCOUNTS_BUSY: timedelta(seconds=1),
    Reason.FILES_WAITING: timedelta(seconds=1),
    Reason.UNREADABLE: timedelta(minutes=1),
    Reason.INTERNAL_ERROR: timedelta(minutes=1),
}
"""What passes by itself, or by a person's hand, and how long to wait until the next look."""

_BEYOND = timedelta(seconds=1)
_HOUR = 3600.0


def _now() -> datetime:
    return datetime.now(UTC)


class Verdicts:
    def __init__(
        self,
        accounts: Accounts,
        policies: RetryPolicies,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._accounts = accounts
        self._policies = policies
        self._now = now
        self._lines = Lines(time.monotonic)

    def after(self, held: Held, opened: OpenAccount | None, tried: Try) -> Settlement:
        """A call ended. opened: the account that was called, where that is known."""
        idempotent = opened is not None and opened.manifest.idempotent
        decision = decide(
            self._policy(held, tried.account),
            tried.outcome,
            attempt=tried.number - held.claim.deferred - held.claim.spent,
            deferred=held.claim.deferred,
            started_at=held.tries_from,
            now=tried.finished_at,
            jitter=random.random(),  # noqa: S311 - spreads retries, keeps no secret
            confirms_delivery=opened is not None and opened.account.confirms_delivery,
            resend_unknown=idempotent or held.work.on_unknown == "resend",
            maybe_taken=held.claim.maybe_taken,
            idempotent=idempotent,
        )
        patience = opened.account.number("disable_after") * _HOUR if opened else 0.0
        if isinstance(decision, Settle):
            return Settlement(held, decision, tried, patience=patience)
        if tried.outcome.reason in CURABLE and tried.account:
            avoid = (*held.claim.avoid, tried.account)
            if self._another(held, avoid):
                return Settlement(held, replace(decision, at=self._now()), tried, avoid)
        return Settlement(held, _not_beyond_expiry(held, decision), tried, patience=patience)

    def ended(self, held: Held, verdict: Settle, mark: Mark | None = None) -> Settlement:
        """It ends without a further call. mark: the decision behind it, where its reason does not tell all."""
        return Settlement(held, doubted(verdict, maybe_taken=held.claim.maybe_taken), mark=mark)

    def deferred(self, held: Held, reason: Reason, until: datetime) -> Settlement:
        """The recipient does not want it now: trying begins when they do, and has all of its time then."""
        expires_at = held.work.expires_at
        if expires_at is not None and expires_at <= self._now():
            return self.ended(held, Settle(DeliveryStatus.EXPIRED, Reason.EXPIRED))
        again = Retry(until, reason, anew=True)
        return Settlement(held, _not_beyond_expiry(held, again), avoid=held.claim.avoid)

    def postponed(self, held: Held, reason: Reason) -> Settlement:
        """It cannot be tried now, without a fault of its own: look again, until its time is over."""
        return self._waiting(held, Retry(self._now() + _LOOK_AGAIN[reason], reason))

    def in_line(self, held: Held, chosen: Chosen) -> Settlement:
        """No account takes it now. What is critical has places of its own, and does not stand behind the others."""
        reason = _why_none(chosen)
        if held.claim.priority is Priority.CRITICAL or not chosen.suited:
            return self.postponed(held, reason)
        least = _LOOK_AGAIN[reason].total_seconds()
        seconds = self._lines.join(chosen.suited, chosen.rate, least)
        return self._waiting(held, Retry(self._now() + timedelta(seconds=seconds), reason))

    def limited(self, held: Held, until: datetime, limit: str) -> Settlement:
        """A rate limit has no room for it before `until`."""
        return self._waiting(held, Retry(until, Reason.RATE_LIMITED, limit))

    def late(self, held: Held) -> Settlement:
        """Its permit ran out before its turn came: it asks again, at the place in the line that it had."""
        again = Retry(min(held.claim.due_at, self._now()), Reason.RATE_LIMITED)
        return Settlement(held, again, avoid=held.claim.avoid)

    def _waiting(self, held: Held, retry: Retry) -> Settlement:
        now, reason = self._now(), retry.reason
        if held.work.expires_at is not None and held.work.expires_at <= now:
            return self.ended(held, Settle(DeliveryStatus.EXPIRED, Reason.EXPIRED))
        policy = self._policy(held, None)
        end = held.tries_from + timedelta(seconds=policy.total)
        if now > end:
            return self.ended(held, Settle(DeliveryStatus.FAILED, reason, retry.detail))
        # A little beyond its end it is looked at once more, to be told so then.
        at = min(retry.at, end + _BEYOND)
        again = _not_beyond_expiry(held, replace(retry, at=at))
        return Settlement(held, again, avoid=held.claim.avoid)

    def _another(self, held: Held, avoid: tuple[str, ...]) -> bool:
        chosen = self._accounts.choose(
            held.work.channel,
            facts_of(held.work),
            pinned=held.claim.account,
            avoid=avoid,
            urgent=held.claim.priority is Priority.CRITICAL,
        )
        return chosen.opened is not None and chosen.opened.account.name not in avoid

    def _policy(self, held: Held, account: str | None) -> RetryPolicy:
        return self._policies.of(held.claim.priority, held.work.channel, account)


def _why_none(chosen: Chosen) -> Reason:
    if not chosen.fits:
        return Reason.NO_ACCOUNT
    return Reason.ACCOUNTS_BUSY if chosen.busy else Reason.ACCOUNTS_HELD_BACK


def _not_beyond_expiry(held: Held, retry: Retry) -> Retry:
    """At its expiry it is looked at, to be told expired then and not an hour later."""
    expires_at = held.work.expires_at
    return retry if expires_at is None else replace(retry, at=min(retry.at, expires_at))
