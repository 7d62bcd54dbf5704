"""Users' in-app feed."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from tidings.api.authentication import CanEditUsers, CanRead
from tidings.api.bodies import StrictJson
from tidings.api.paging import Cursor, Limit
from tidings.api.parts import Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.intake.request import Name
from tidings.store import inbox

router = APIRouter(prefix="/users/{user_id}", tags=["users"], route_class=StrictJson)


class InboxEntry(BaseModel):
    id: UUID
    category: str
    title: str
    body: str
    url: str | None
    created_at: datetime
    read_at: datetime | None


class InboxPage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    entries: list[InboxEntry]
    unread: int
    next_cursor: UUID | None


class UnreadCount(BaseModel):
    unread: int


class MarkedRead(BaseModel):
    """marked: how many were unread before."""

    marked: int
    unread: int


@router.get("/inbox", responses=problems())
async def read_inbox(
    user_id: Name,
    parts: Wired,
    _: CanRead,
    cursor: Cursor = None,
    limit: Limit = 50,
    unread: Annotated[bool, Query(description="Only what is unread.")] = False,
) -> InboxPage:
    """The user's in-app feed, the newest first."""
    entries = await inbox.listed(
        parts.pool, user_id, parts.keyring, before=cursor, limit=limit, unread_only=unread
    )
    return InboxPage(
        entries=[_entry(entry) for entry in entries],
        unread=await inbox.unread_count(parts.pool, user_id),
        next_cursor=entries[-1].id if len(entries) == limit else None,
    )


@router.get("/inbox/unread_count", responses=problems())
async def unread_count(user_id: Name, parts: Wired, _: CanRead) -> UnreadCount:
    """How many entries of the feed are unread."""
    return UnreadCount(unread=await inbox.unread_count(parts.pool, user_id))


@router.post("/inbox/read", responses=problems())
async def mark_all_read(user_id: Name, parts: Wired, _: CanEditUsers) -> MarkedRead:
    """Mark the whole feed as read."""
    marked = await inbox.mark_read(parts.pool, user_id, None)
    return MarkedRead(marked=marked, unread=await inbox.unread_count(parts.pool, user_id))


@router.post("/inbox/{entry_id}/read", responses=problems(404))
async def mark_read(user_id: Name, entry_id: UUID, parts: Wired, _: CanEditUsers) -> MarkedRead:
    """Mark one entry as read; again does no harm."""
    marked = await inbox.mark_read(parts.pool, user_id, [entry_id])
    if not marked and not await inbox.exists(parts.pool, user_id, entry_id):
        raise Problem(Code.NOT_FOUND, "There is no such entry in this user's feed.")
    return MarkedRead(marked=marked, unread=await inbox.unread_count(parts.pool, user_id))


def _entry(entry: inbox.Entry) -> InboxEntry:
    content: dict[str, Any] = entry.content
    return InboxEntry(
        id=entry.id,
        category=entry.category,
        title=content["title"],
        body=content["body"],
        url=content.get("url"),
        created_at=entry.created_at,
        read_at=entry.read_at,
    )
