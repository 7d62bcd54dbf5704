"""Notifications: status, list, cancel."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, SerializerFunctionWrapHandler, model_serializer

from tidings.api.authentication import CanRead, CanSend
from tidings.api.paging import Cursor, Limit
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.api.routes.digests import DigestView
from tidings.api.waiting import Waiting, waiting_for
from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus, rollup, significance
from tidings.domain.priorities import PriorityWord
from tidings.domain.reasons import Reason
from tidings.domain.receipts import ReceiptType
from tidings.intake.request import Address, Moment, Name, TemplateId, as_stored
from tidings.queue import postgres as queue
from tidings.store import attempts, deliveries, digests, listing, notifications, receipts
from tidings.store.attempts import AttemptRow
from tidings.store.deliveries import DeliveryRow
from tidings.store.keyring import KeyRing
from tidings.store.listing import Filter
from tidings.store.notifications import NotificationFacts
from tidings.store.receipts import ReceiptRow

router = APIRouter(prefix="/notifications", tags=["notifications"])

_TEXTS = {reason.value: reason.text for reason in Reason}


class Event(BaseModel):
    """type: attempted, a status that was reached, or what the provider reported: see the types of receipts. The rest is
    of an attempt; choice: why this account; bounce and code: of a report."""

    type: str
    timestamp: datetime
    attempt: int | None = None
    account: str | None = None
    choice: str | None = None
    outcome: str | None = None
    reason: str | None = None
    detail: str | None = None
    bounce: str | None = None
    code: str | None = None

    @model_serializer(mode="wrap")
    def _without_nulls(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if value is not None}


class WaitingView(BaseModel):
    """reason: a code, and text says what it means. until: when that is over or looked at again, where it is known."""

    reason: str
    text: str | None
    until: datetime | None
    detail: str | None


class DeliveryStatusView(BaseModel):
    """provider: the kind of the account that took it. next_attempt_at: when it waits for a retry or its time.
    waiting_for: what keeps it at this moment from being sent; null when it does not wait."""

    delivery_id: UUID
    channel: Channel
    provider: str | None
    account: str | None
    status: DeliveryStatus
    reason: str | None
    detail: str | None
    attempts: int
    in_flight: bool
    next_attempt_at: datetime | None
    waiting_for: WaitingView | None
    events: list[Event]


class NotificationSummary(BaseModel):
    """channel and timestamp: of the delivery that the status comes from."""

    notification_id: UUID
    status: DeliveryStatus
    channel: Channel
    timestamp: datetime
    template_id: str
    template_version: int
    priority: PriorityWord
    correlation_id: str | None
    user_id: str | None
    accepted_at: datetime
    send_at: datetime | None
    expires_at: datetime | None


class NotificationStatusView(NotificationSummary):
    """replay_of: the delivery that failed for good and that this sends once more. digest: the one that it went into,
    and that tells it."""

    replay_of: UUID | None
    digest: DigestView | None
    events: list[Event]
    deliveries: list[DeliveryStatusView]


class NotificationPage(BaseModel):
    """next_cursor: for the page behind this one; null on the last. With status, channel or template_id, a page looks
    at 10,000 notifications at the most: it may have few of them, or none, and not be the last."""

    notifications: list[NotificationSummary]
    next_cursor: UUID | None


class Cancelled(BaseModel):
    notification_id: UUID
    cancelled: list[UUID]


@router.get("/{notification_id}/status", responses=problems(404))
async def status(notification_id: UUID, parts: Wired, _: CanRead) -> NotificationStatusView:
    """What became of a notification, channel by channel."""
    row = await notifications.facts(parts.pool, notification_id)
    if row is None:
        raise _not_found()
    found = (await deliveries.of_notifications(parts.pool, [notification_id]))[notification_id]
    tried = await attempts.of_notification(parts.pool, notification_id)
    reported = await receipts.of_notification(parts.pool, notification_id)
    waiting = await waiting_for(parts, row, found)
    views = [
        _delivery(
            one,
            tried.get(one.id, []),
            reported.get(one.id, []),
            parts.providers,
            waiting.get(one.id),
        )
        for one in found
    ]
    leading = _leading(found)
    summary = _summary(row, found)
    return NotificationStatusView(
        **summary.model_dump(),
        replay_of=row.replay_of,
        digest=await _digest(parts, notification_id, found),
        events=_reached(leading),
        deliveries=views,
    )


@router.get("", responses=problems())
async def listed(
    parts: Wired,
    _: CanRead,
    cursor: Cursor = None,
    limit: Limit = 50,
    status: DeliveryStatus | None = None,
    channel: Channel | None = None,
    template_id: TemplateId | None = None,
    correlation_id: Name | None = None,
    user_id: Name | None = None,
    recipient: Annotated[
        Address | None, Query(description="An address: email, phone, or other.")
    ] = None,
    since: Moment | None = None,
    until: Moment | None = None,
) -> NotificationPage:
    """Notifications, the newest first."""
    wanted = Filter(
        status=status,
        channel=channel,
        template_id=template_id,
        correlation_id=correlation_id,
        user_id=user_id,
        address_hashes=_hashes(recipient, parts.keyring) if recipient else (),
        since=since,
        until=until,
    )
    return await summaries(
        parts, await listing.page(parts.pool, wanted, before=cursor, limit=limit)
    )


async def summaries(parts: Parts, page: listing.Page) -> NotificationPage:
    """The notifications of a page with what became of each."""
    found = await deliveries.of_notifications(parts.pool, [row.id for row in page.rows])
    return NotificationPage(
        notifications=[_summary(row, found[row.id]) for row in page.rows],
        next_cursor=page.next_cursor,
    )


@router.post("/{notification_id}/cancel", responses=problems(404, 409))
async def cancel(notification_id: UUID, parts: Wired, _: CanSend) -> Cancelled:
    """Cancel what has not been sent yet. What is being sent at this moment cannot be called back."""
    async with parts.pool.acquire() as connection, connection.transaction():
        withdrawn = await queue.withdraw(connection, notification_id)
        cancelled = await deliveries.cancel(
            connection,
            notification_id,
            [one.delivery_id for one in withdrawn],
            [one.delivery_id for one in withdrawn if one.maybe_taken],
        )
        # What a settling let go while this waited for it: on the queue now, and no fallback any more.
        released = await deliveries.withdraw_released(connection, notification_id)
        cancelled += await deliveries.cancel(connection, notification_id, released, [])
    if not cancelled:
        if await notifications.facts(parts.pool, notification_id) is None:
            raise _not_found()
        raise Problem(Code.NOT_CANCELLABLE, "Every delivery has ended or is being sent.")
    return Cancelled(notification_id=notification_id, cancelled=cancelled)


async def _digest(
    parts: Parts, notification_id: UUID, found: Sequence[DeliveryRow]
) -> DigestView | None:
    if not any(one.reason == Reason.DIGESTED for one in found):
        return None
    row = await digests.of_member(parts.pool, notification_id)
    return None if row is None else DigestView.of(row)


def _not_found() -> Problem:
    return Problem(Code.NOT_FOUND, "There is no notification with this id.")


def _hashes(recipient: str, keyring: KeyRing) -> list[bytes]:
    """The address may be of any channel."""
    return [keyring.address_hash(channel, as_stored(channel, recipient)) for channel in Channel]


def _leading(found: Sequence[DeliveryRow]) -> DeliveryRow:
    return min(found, key=lambda one: significance(one.status))


def _summary(row: NotificationFacts, found: Sequence[DeliveryRow]) -> NotificationSummary:
    leading = _leading(found)
    return NotificationSummary(
        notification_id=row.id,
        status=rollup(one.status for one in found),
        channel=leading.channel,
        timestamp=leading.delivered_at or leading.sent_at or leading.updated_at or row.accepted_at,
        template_id=row.template_id,
        template_version=row.template_version,
        priority=row.priority.word,
        correlation_id=row.correlation_id,
        user_id=row.user_id,
        accepted_at=row.accepted_at,
        send_at=row.send_at,
        expires_at=row.expires_at,
    )


def _delivery(
    one: DeliveryRow,
    tried: Sequence[AttemptRow],
    reported: Sequence[ReceiptRow],
    providers: Mapping[str, str],
    waiting: Waiting | None,
) -> DeliveryStatusView:
    provider = providers.get(one.account or "")
    attempted = [
        Event(
            type="attempted",
            timestamp=attempt.started_at,
            attempt=attempt.number,
            outcome=attempt.outcome,
            reason=attempt.reason,
            detail=attempt.detail,
            account=attempt.account,
            choice=attempt.choice,
        )
        for attempt in tried
    ]
    return DeliveryStatusView(
        delivery_id=one.id,
        channel=one.channel,
        provider=provider,
        account=one.account,
        status=one.status,
        reason=one.reason,
        detail=one.detail,
        attempts=one.attempts,
        in_flight=one.in_flight,
        next_attempt_at=one.due_at,
        waiting_for=_waiting(waiting) if waiting else None,
        events=sorted(
            attempted + _reached(one) + _reported(reported), key=lambda event: event.timestamp
        ),
    )


def _waiting(one: Waiting) -> WaitingView:
    text = _TEXTS.get(one.reason)
    return WaitingView(reason=str(one.reason), text=text, until=one.until, detail=one.detail)


# The statuses of these names are events already.
_STATUSES = frozenset({ReceiptType.SENT, ReceiptType.DELIVERED})


def _reported(reported: Sequence[ReceiptRow]) -> list[Event]:
    return [
        Event(
            type=one.type,
            timestamp=one.occurred_at,
            account=one.account,
            detail=one.detail,
            bounce=one.bounce,
            code=one.code,
        )
        for one in reported
        if one.type not in _STATUSES
    ]


def _reached(one: DeliveryRow) -> list[Event]:
    """The statuses that a delivery has reached, with their times."""
    events = []
    if one.sent_at:
        events.append(Event(type=DeliveryStatus.SENT, timestamp=one.sent_at))
    if one.delivered_at:
        events.append(Event(type=DeliveryStatus.DELIVERED, timestamp=one.delivered_at))
    ended = {DeliveryStatus.PENDING, DeliveryStatus.SENT, DeliveryStatus.DELIVERED}
    if one.status not in ended and one.updated_at:
        events.append(Event(type=one.status, timestamp=one.updated_at, reason=one.reason))
    return events
