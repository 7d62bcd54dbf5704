"""Users' in-app feed."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from tidings.api.bodies import StrictJson
from tidings.api.feed_access import CanChangeFeed, CanReadFeed
from tidings.api.paging import Cursor, Limit
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.inbox.events import described
from tidings.intake.request import Name
from tidings.store import feeds, inbox
from tidings.store.feeds import Applied, Feed, Kind

router = APIRouter(prefix="/users/{user_id}/inbox", tags=["inbox"], route_class=StrictJson)


class InboxEntry(BaseModel):
    id: UUID
    category: str
    title: str
    body: str
    url: str | None
    created_at: datetime
    seen_at: datetime | None
    read_at: datetime | None
    archived_at: datetime | None


class FeedCounters(BaseModel):
    """Of entries that are not archived. unseen: those that came since the user last looked."""

    unread: int
    unseen: int
    total: int


class InboxCounts(FeedCounters):
    """number: of the feed's newest change; what comes after it is asked for with `after`."""

    number: int


class InboxPage(InboxCounts):
    """next_cursor: for the page behind this one; null on the last."""

    entries: list[InboxEntry]
    next_cursor: UUID | None


class Marked(InboxCounts):
    """marked: how many entries it changed."""

    marked: int


@router.get("", responses=problems())
async def read_inbox(
    user_id: Name,
    parts: Wired,
    _: CanReadFeed,
    cursor: Cursor = None,
    limit: Limit = 50,
    unread: Annotated[bool, Query(description="Only what is unread.")] = False,
    archived: Annotated[bool, Query(description="What is archived, and nothing else.")] = False,
) -> InboxPage:
    """The user's in-app feed, the newest first."""
    # The number first: what happens meanwhile comes again after it, which does no harm; the other way it would be lost.
    feed = await feeds.find(parts.pool, user_id)
    entries = await inbox.listed(
        parts.pool,
        user_id,
        parts.keyring,
        before=cursor,
        limit=limit,
        unread_only=unread,
        archived=archived,
    )
    return InboxPage(
        **_counts(feed),
        entries=[InboxEntry(**described(entry)) for entry in entries],
        next_cursor=entries[-1].id if len(entries) == limit else None,
    )


@router.get("/unread_count", responses=problems())
async def unread_count(user_id: Name, parts: Wired, _: CanReadFeed) -> InboxCounts:
    """How many entries of the feed are unread, unseen, and there at all."""
    return InboxCounts(**_counts(await feeds.find(parts.pool, user_id)))


@router.post("/seen", responses=problems())
async def mark_all_seen(user_id: Name, parts: Wired, _: CanChangeFeed) -> Marked:
    """The user has looked at the feed: nothing in it is unseen any more."""
    return _marked(await mark(parts, user_id, Kind.SEEN, None))


@router.post("/read", responses=problems())
async def mark_all_read(user_id: Name, parts: Wired, _: CanChangeFeed) -> Marked:
    """Mark the whole feed as read."""
    return _marked(await mark(parts, user_id, Kind.READ, None))


@router.post("/archive", responses=problems())
async def archive_all(user_id: Name, parts: Wired, _: CanChangeFeed) -> Marked:
    """Archive the whole feed."""
    return _marked(await mark(parts, user_id, Kind.ARCHIVED, None))


@router.post("/{entry_id}/read", responses=problems(404))
async def mark_read(user_id: Name, entry_id: UUID, parts: Wired, _: CanChangeFeed) -> Marked:
    """Mark one entry as read; again does no harm."""
    return await _one(parts, user_id, entry_id, Kind.READ)


@router.post("/{entry_id}/unread", responses=problems(404))
async def mark_unread(user_id: Name, entry_id: UUID, parts: Wired, _: CanChangeFeed) -> Marked:
    """Mark one entry as unread."""
    return await _one(parts, user_id, entry_id, Kind.UNREAD)


@router.post("/{entry_id}/archive", responses=problems(404))
async def archive(user_id: Name, entry_id: UUID, parts: Wired, _: CanChangeFeed) -> Marked:
    """Take one entry out of the feed; it stays among the archived ones."""
    return await _one(parts, user_id, entry_id, Kind.ARCHIVED)


@router.post("/{entry_id}/unarchive", responses=problems(404))
async def unarchive(user_id: Name, entry_id: UUID, parts: Wired, _: CanChangeFeed) -> Marked:
    """Put one entry back into the feed."""
    return await _one(parts, user_id, entry_id, Kind.UNARCHIVED)


async def mark(parts: Parts, user_id: str, kind: Kind, entry_ids: Sequence[UUID] | None) -> Applied:
    """Change entries, and tell all who watch."""
    async with parts.pool.acquire() as connection:
        applied = await feeds.change(connection, user_id, kind, entry_ids)
    if applied.entries:
        parts.tell([user_id])
    return applied


async def _one(parts: Parts, user_id: str, entry_id: UUID, kind: Kind) -> Marked:
    applied = await mark(parts, user_id, kind, [entry_id])
    if not applied.entries and not await inbox.exists(parts.pool, user_id, entry_id):
        raise Problem(Code.NOT_FOUND, "There is no such entry in this user's feed.")
    return _marked(applied)


def _marked(applied: Applied) -> Marked:
    return Marked(marked=applied.entries, number=applied.last, **asdict(applied.counters))


def _counts(feed: Feed) -> dict[str, int]:
    return {**asdict(feed.counters), "number": feed.last}
