"""What becomes of one claimed delivery: a call that is ready, or what happens instead."""

import traceback
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from tidings.delivery.accounts import Accounts, OpenAccount
from tidings.delivery.calling import Leave, Ready
from tidings.delivery.linking import Links
from tidings.delivery.marking import Marker
from tidings.delivery.preparing import CompiledTemplates, prepare
from tidings.delivery.routing_facts import facts_of
from tidings.delivery.settling import Held, Settlement, Try
from tidings.delivery.verdicts import Verdicts
from tidings.delivery.wishes import Wishes
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.explanations import Mark
from tidings.domain.outcomes import OUTCOME_WORDS, Unknown
from tidings.domain.planning import unwanted
from tidings.domain.preferences import Choice
from tidings.domain.priorities import Priority
from tidings.domain.reasons import Reason
from tidings.domain.retry import Retry, Settle
from tidings.domain.send_times import Deferral
from tidings.domain.suppressions import blocked
from tidings.metrics import Metrics
from tidings.queue.postgres import Claimed
from tidings.store.batches import BatchStates
from tidings.store.deliveries import Work

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_DEATHS = 3
_AFTER_ERROR = timedelta(minutes=1)


class Decider:
    """Asks in the order in which the design lists what may keep a delivery from being sent."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        templates: CompiledTemplates,
        batches: BatchStates,
        verdicts: Verdicts,
        wishes: Wishes,
        metrics: Metrics,
        links: Links,
        marker: Marker,
        now: Callable[[], datetime],
    ) -> None:
        self._accounts = accounts
        self._templates = templates
        self._batches = batches
        self._verdicts = verdicts
        self._wishes = wishes
        self._metrics = metrics
        self._links = links
        self._marker = marker
        self._now = now

    def decide(self, held: Held) -> Ready | Settlement:
        """Raises what fails with this one."""
        claim, work = held.claim, held.work
        if claim.rescued:
            self._metrics.rescues.inc()
            log.warning("delivery.rescued", delivery_id=str(claim.delivery_id))
        if claim.started_at is not None:
            return self._interrupted(held, claim.started_at)
        if (end := self._overtaken(claim, work)) is not None:
            return self._verdicts.ended(held, end)
        if claim.deaths >= _DEATHS:
            log.error("delivery.kills_workers", delivery_id=str(claim.delivery_id))
            return self._verdicts.ended(held, Settle(DeliveryStatus.FAILED, Reason.KILLS_WORKERS))
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
        if self.is_over(claim, work):
            return Settle(DeliveryStatus.EXPIRED, Reason.EXPIRED)
        return None

    def is_over(self, claim: Claimed, work: Work) -> bool:
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

    def after_error(self, held: Held, error: BaseException) -> Settlement:
        """What follows where deciding failed: it waits, and fails when its time is over."""
        _log_error(held, error)
        try:
            return self._verdicts.postponed(held, Reason.INTERNAL_ERROR)
        except Exception as again:  # noqa: BLE001 - the policies may be what fails
            _log_error(held, again)
            later = Retry(self._now() + _AFTER_ERROR, Reason.INTERNAL_ERROR)
            return Settlement(held, later, avoid=held.claim.avoid)


def _permitted(opened: OpenAccount, work: Work) -> str | None:
    """Who the template says that it is from, where the account may send it from there."""
    sender = work.sender
    return sender.text if sender and opened.account.permits(sender.domain) else None


def _log_error(held: Held, error: BaseException) -> None:
    """The frames only: the text of an error may hold content."""
    log.error(
        "delivery.internal_error",
        delivery_id=str(held.claim.delivery_id),
        error=type(error).__name__,
        frames="".join(traceback.format_tb(error.__traceback__)),
    )
