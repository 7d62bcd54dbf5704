"""Telling what was settled: a log line for each, and counters by batch."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import structlog

from tidings.delivery.settling import Settlement
from tidings.domain.outcomes import Accepted, Unknown
from tidings.domain.retry import Retry
from tidings.metrics import Metrics

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def report(metrics: Metrics, batch: Sequence[Settlement], ours: Sequence[Settlement]) -> None:
    """batch: what was to be settled; ours: what was still ours to settle."""
    settled: Counter[tuple[str, str]] = Counter()
    unknown: Counter[str] = Counter()
    for one in ours:
        channel = one.held.work.channel
        if one.tried and isinstance(one.tried.outcome, Unknown):
            unknown[channel] += 1
        if not isinstance(one.decision, Retry):
            settled[channel, one.decision.status] += 1
        _log(one)
    _observe(metrics, ours)
    for (channel_name, status), count in settled.items():
        metrics.settled.labels(channel_name, status).inc(count)
    for channel_name, count in unknown.items():
        metrics.unknown.labels(channel_name).inc(count)
    if len(ours) < len(batch):
        metrics.lost_leases.inc(len(batch) - len(ours))


def _observe(metrics: Metrics, ours: Sequence[Settlement]) -> None:
    """How long those took that their provider took."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for one in ours:
        if one.tried and isinstance(one.tried.outcome, Accepted):
            took = one.tried.finished_at - one.held.work.tries_from
            seconds[one.held.claim.priority.word].append(max(0.0, took.total_seconds()))
    for word, all_of_it in seconds.items():
        histogram = metrics.accept_to_send_seconds.labels(word)
        for one_of_it in all_of_it:
            histogram.observe(one_of_it)


def _log(one: Settlement) -> None:
    held, decision, tried = one.held, one.decision, one.tried
    facts = {
        "notification_id": str(held.claim.notification_id),
        "delivery_id": str(held.claim.delivery_id),
        "channel": str(held.work.channel),
        "reason": str(decision.reason),
        "attempt": tried.number if tried else held.claim.attempts,
        "account": tried.account if tried else None,
    }
    if isinstance(decision, Retry):
        log.info("delivery.postponed", next_attempt_at=decision.at.isoformat(), **facts)
    else:
        log.info(f"delivery.{decision.status}", **facts)
