"""What would become, or became, of a delivery, as the API tells it: status, reason, and the steps that led there."""

from datetime import UTC, datetime

from pydantic import BaseModel

from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.explanations import Mark, recalled
from tidings.domain.reasons import Reason
from tidings.store.acceptance import NewDelivery

_REASONS = {reason.value: reason.text for reason in Reason}


class Step(BaseModel):
    """A decision. code: stable; text says what it means. at: when it was made. until: for how long it holds, where that
    is known. attempt, account and choice: of a call to a provider."""

    code: str
    text: str
    at: datetime | None = None
    until: datetime | None = None
    detail: str | None = None
    attempt: int | None = None
    account: str | None = None
    choice: str | None = None


class Verdict(BaseModel):
    """status: what the delivery would be at first: pending where it would be sent. until: when it would begin, where
    that is later than now."""

    channel: Channel
    status: DeliveryStatus
    reason: str | None
    text: str
    until: datetime | None
    steps: list[Step]


def verdict_of(one: NewDelivery) -> Verdict:
    """Of a delivery that is not stored yet."""
    marks = list(recalled(one.decisions))
    # A time that was asked for may lie in the past.
    until = one.due_at if one.due_at is not None and one.due_at > datetime.now(UTC) else None
    later = until is not None or not one.queued
    pending = Reason.SCHEDULED if later else Reason.QUEUED
    reason = one.reason or (pending if one.status is DeliveryStatus.PENDING else None)
    return Verdict(
        channel=one.channel,
        status=one.status,
        reason=reason,
        text=said(reason, one.status),
        until=until if one.status is DeliveryStatus.PENDING else None,
        steps=[marked(mark, None) for mark in marks],
    )


def marked(mark: Mark, accepted_at: datetime | None) -> Step:
    return Step(
        code=mark.code.value, text=mark.code.text, at=mark.at or accepted_at, until=mark.until
    )


def said(reason: str | None, status: str) -> str:
    return _REASONS.get(reason or "", "") or f"It is {status}."
