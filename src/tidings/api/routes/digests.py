"""Digests: what is gathered for a user, and what became of it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from tidings.api.authentication import CanRead, CanSend
from tidings.api.bodies import StrictJson
from tidings.api.paging import Cursor, Limit
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.intake.request import Name
from tidings.store import digests
from tidings.store.digests import DigestRow

router = APIRouter(prefix="/digests", tags=["digests"], route_class=StrictJson)


class DigestView(BaseModel):
    """count: notifications that joined it. notification_id: the one it has become; null before, and where problem
    says why there is none."""

    digest_id: UUID
    user_id: str
    key: str | None
    template_id: str
    count: int
    open: bool
    closes_at: datetime
    closed_at: datetime | None
    notification_id: UUID | None
    problem: str | None

    @classmethod
    def of(cls, row: DigestRow) -> "DigestView":
        made = row.done_at is not None and row.problem is None
        return cls(
            digest_id=row.id,
            user_id=row.user_id,
            key=row.key,
            template_id=row.template_id,
            count=row.count,
            open=row.closed_at is None,
            closes_at=row.closes_at,
            closed_at=row.closed_at,
            notification_id=row.notification_id if made else None,
            problem=row.problem,
        )


class DigestPage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    digests: list[DigestView]
    next_cursor: UUID | None


class DigestMembers(BaseModel):
    """notification_ids: the newest first. next_cursor: for the page behind this one; null on the last."""

    notification_ids: list[UUID]
    next_cursor: UUID | None


@router.get("", responses=problems())
async def listed(
    parts: Wired,
    _: CanRead,
    cursor: Cursor = None,
    limit: Limit = 50,
    user_id: Name | None = None,
    open: Annotated[bool, Query(description="Only those that still gather.")] = False,
) -> DigestPage:
    """Digests, the newest first."""
    rows = await digests.listed(parts.pool, user_id=user_id, open=open, before=cursor, limit=limit)
    return DigestPage(
        digests=[DigestView.of(row) for row in rows],
        next_cursor=rows[-1].id if len(rows) == limit else None,
    )


@router.get("/{digest_id}", responses=problems(404))
async def read(digest_id: UUID, parts: Wired, _: CanRead) -> DigestView:
    """A digest, and what it has become."""
    return DigestView.of(await _find(parts, digest_id))


@router.get("/{digest_id}/notifications", responses=problems(404))
async def members(
    digest_id: UUID, parts: Wired, _: CanRead, cursor: Cursor = None, limit: Limit = 50
) -> DigestMembers:
    """The notifications that went into it, the newest first."""
    await _find(parts, digest_id)
    found = await digests.members(parts.pool, digest_id, before=cursor, limit=limit)
    return DigestMembers(
        notification_ids=found, next_cursor=found[-1] if len(found) == limit else None
    )


@router.post("/{digest_id}/close", responses=problems(404, 409))
async def close(digest_id: UUID, parts: Wired, _: CanSend) -> DigestView:
    """Send it now; the next notification opens another."""
    if not await digests.close(parts.pool, digest_id):
        await _find(parts, digest_id)
        raise Problem(Code.DIGEST_CLOSED, "It gathers no more.")
    return DigestView.of(await _find(parts, digest_id))


async def _find(parts: Parts, digest_id: UUID) -> DigestRow:
    found = await digests.find(parts.pool, digest_id)
    if found is None:
        raise Problem(Code.NOT_FOUND, "There is no digest with this id.")
    return found
