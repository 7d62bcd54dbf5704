"""Batches: what was sent in bulk, followed, paused, resumed, cancelled, and its failures tried again."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import uuid_utils.compat as uuids
from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, Field, StrictBool

from tidings.api.authentication import CanRead, CanSend
from tidings.api.bodies import StrictJson
from tidings.api.numbers import whole_number
from tidings.api.paging import Cursor, Limit
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, Problem
from tidings.api.refusals import Refusals, refusals_of
from tidings.api.responses import problems
from tidings.api.routes.targets import owned_batch
from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.reasons import Reason
from tidings.intake.request import Name, Wire
from tidings.store import batch_counts, batches
from tidings.store.batch_counts import Counts, Verdict
from tidings.store.batches import BatchRow, BatchState, NewBatch

router = APIRouter(prefix="/batches", tags=["batches"], route_class=StrictJson)

_UNSENT = frozenset(DeliveryStatus) - {
    DeliveryStatus.PENDING,
    DeliveryStatus.SENT,
    DeliveryStatus.DELIVERED,
}
_TEXTS = {str(reason): reason.text for reason in Reason}


class BatchOpen(Wire):
    """expected: how many notifications there will be, for those who watch it."""

    name: Name | None = None
    expected: (
        Annotated[int, Field(ge=1, le=1_000_000_000), BeforeValidator(whole_number)] | None
    ) = None


class BatchRetry(Wire):
    """include_unknown: also what may have arrived; it may then arrive twice."""

    include_unknown: StrictBool = False


class BatchSummary(BaseModel):
    """lines: of its stream, accepted or refused, up to where it would go on; refused: of these lines."""

    batch_id: UUID
    name: str | None
    state: BatchState
    sealed: bool
    opened_at: datetime
    sealed_at: datetime | None
    expected: int | None
    lines: int
    refused: int


class UnsentView(BaseModel):
    """Why so many deliveries were not sent."""

    channel: Channel
    status: DeliveryStatus
    reason: str | None
    text: str | None
    count: int


class BatchView(BatchSummary):
    """refusals: of lines, by problem. notifications: by the status of the whole; they add up to accepted. deliveries: each by its own.
    complete: it is sealed, and none is pending. rate: deliveries ended per second, over the time from the
    first acceptance to the last change."""

    accepted: int
    notifications: dict[DeliveryStatus, int]
    deliveries: dict[DeliveryStatus, int]
    refusals: list[Refusals]
    unsent: list[UnsentView]
    complete: bool
    first_accepted_at: datetime | None
    last_accepted_at: datetime | None
    last_change_at: datetime | None
    rate: float | None


class BatchPage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    batches: list[BatchSummary]
    next_cursor: UUID | None


@router.post("", status_code=201, responses=problems(413))
async def open_batch(body: BatchOpen, parts: Wired, key: CanSend) -> BatchSummary:
    """Open a batch, to which requests add with `?batch_id=` until it is sealed."""
    batch = NewBatch(uuids.uuid7(), key.id, body.name, body.expected)
    await batches.create(parts.pool, batch)
    return _summary(await _find(parts, batch.id))


@router.get("", responses=problems())
async def listed(
    parts: Wired,
    key: CanRead,
    cursor: Cursor = None,
    limit: Limit = 50,
    mine: Annotated[bool, Query(description="Only those of this API key.")] = False,
) -> BatchPage:
    """Batches, the newest first."""
    rows = await batches.listed(
        parts.pool, api_key_id=key.id if mine else None, before=cursor, limit=limit
    )
    return BatchPage(
        batches=[_summary(row) for row in rows],
        next_cursor=rows[-1].id if len(rows) == limit else None,
    )


@router.get("/{batch_id}", responses=problems(404))
async def read(batch_id: UUID, parts: Wired, _: CanRead) -> BatchView:
    """A batch and what became of it, counted from its rows in one snapshot."""
    row = await _find(parts, batch_id)
    async with parts.pool.acquire() as connection:
        counted = await batch_counts.count(connection, batch_id)
    return _view(row, counted)


@router.post("/{batch_id}/seal", responses=problems(403, 404))
async def seal(batch_id: UUID, parts: Wired, key: CanSend) -> BatchSummary:
    """Nothing is added any more: now it can become complete. Again does no harm."""
    await owned_batch(parts, key, batch_id)
    await batches.seal(parts.pool, batch_id)
    return _summary(await _find(parts, batch_id))


@router.post("/{batch_id}/pause", responses=problems(403, 404, 409))
async def pause(batch_id: UUID, parts: Wired, key: CanSend) -> BatchSummary:
    """Send no more of it until it is resumed. What is being sent at this moment is."""
    await owned_batch(parts, key, batch_id)
    async with parts.pool.acquire() as connection:
        if not await batches.pause(connection, batch_id):
            raise _cancelled()
    return _summary(await _find(parts, batch_id))


@router.post("/{batch_id}/resume", responses=problems(403, 404, 409))
async def resume(batch_id: UUID, parts: Wired, key: CanSend) -> BatchSummary:
    """Go on sending it."""
    await owned_batch(parts, key, batch_id)
    async with parts.pool.acquire() as connection:
        if not await batches.resume(connection, batch_id):
            raise _cancelled()
    parts.sweep()
    return _summary(await _find(parts, batch_id))


@router.post("/{batch_id}/cancel", responses=problems(403, 404))
async def cancel(batch_id: UUID, parts: Wired, key: CanSend) -> BatchSummary:
    """Cancel all that has not been sent, for good. Nothing can be added any more."""
    await owned_batch(parts, key, batch_id)
    async with parts.pool.acquire() as connection:
        await batches.cancel(connection, batch_id)
    parts.sweep()
    return _summary(await _find(parts, batch_id))


@router.post("/{batch_id}/retry", responses=problems(403, 404, 409, 413))
async def retry(
    batch_id: UUID, parts: Wired, key: CanSend, body: BatchRetry | None = None
) -> BatchSummary:
    """Try again what failed, with all the attempts of the policy; those made before are kept on record."""
    await owned_batch(parts, key, batch_id)
    include_unknown = body is not None and body.include_unknown
    async with parts.pool.acquire() as connection:
        if not await batches.retry(connection, batch_id, include_unknown=include_unknown):
            raise _cancelled()
    parts.sweep()
    return _summary(await _find(parts, batch_id))


async def _find(parts: Parts, batch_id: UUID) -> BatchRow:
    row = await batches.find(parts.pool, batch_id)
    if row is None:
        raise Problem(Code.NOT_FOUND, "There is no batch with this id.")
    return row


def _cancelled() -> Problem:
    return Problem(Code.BATCH_CANCELLED, "A cancelled batch stays as it is.")


def _summary(row: BatchRow) -> BatchSummary:
    return BatchSummary(
        batch_id=row.id,
        name=row.name,
        state=row.state,
        sealed=row.sealed_at is not None,
        opened_at=row.opened_at,
        sealed_at=row.sealed_at,
        expected=row.expected,
        lines=row.lines,
        refused=row.refused,
    )


def _view(row: BatchRow, counted: Counts) -> BatchView:
    closed = row.sealed_at is not None or row.state == "cancelled"
    return BatchView(
        **_summary(row).model_dump(),
        accepted=counted.accepted,
        notifications=dict(counted.notifications),
        deliveries=dict(counted.deliveries),
        refusals=refusals_of(row.refusals),
        unsent=[_unsent(one) for one in counted.verdicts if one.status in _UNSENT],
        complete=closed and counted.pending == 0,
        first_accepted_at=counted.first,
        last_accepted_at=counted.last,
        last_change_at=counted.updated,
        rate=_rate(counted),
    )


def _unsent(one: Verdict) -> UnsentView:
    return UnsentView(
        channel=Channel(one.channel),
        status=one.status,
        reason=one.reason,
        text=_TEXTS.get(one.reason or ""),
        count=one.count,
    )


def _rate(counted: Counts) -> float | None:
    if counted.first is None or counted.updated is None:
        return None
    seconds = (counted.updated - counted.first).total_seconds()
    ended = sum(counted.deliveries.values()) - counted.pending
    return round(ended / seconds, 1) if seconds > 0 else None
