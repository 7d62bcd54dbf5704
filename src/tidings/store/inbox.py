"""The in-app feed's entries. What changes them is numbered: see feeds.py."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import structlog

from tidings.domain import ids
from tidings.store.database import Reader, Record
from tidings.store.keyring import KeyRing, KeyRingError

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_COLUMNS = "id, user_id, category, sealed, seen_at, read_at, archived_at"


@dataclass(frozen=True, slots=True)
class Entry:
    """id: the delivery's. content: title, body, url. Who has read an entry has seen it, too."""

    id: UUID
    user_id: str
    category: str
    content: dict[str, Any] = field(repr=False)
    seen_at: datetime | None = None
    read_at: datetime | None = None
    archived_at: datetime | None = None

    @property
    def created_at(self) -> datetime:
        return ids.time_of(self.id)


# All entries go in before any feed is locked, and the feeds in the order of the user ids: so two of these never
# wait for each other in a circle. A repeat finds its entry and changes nothing.
_ADD = """
    WITH fresh AS (
      INSERT INTO inbox (id, user_id, category, sealed)
      SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[]) AS given (id, user_id, category, sealed)
      ORDER BY id ON CONFLICT DO NOTHING RETURNING id, user_id),
    grouped AS (
      SELECT user_id, count(*)::int AS number, array_agg(id ORDER BY id) AS entry_ids
      FROM fresh GROUP BY user_id),
    moved AS (
      INSERT INTO feeds AS f (user_id, first, last, unread, unseen, total)
      SELECT user_id, beginning, beginning + 1, number, number, number FROM grouped CROSS JOIN
        (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS beginning) AS now
      ORDER BY user_id
      ON CONFLICT (user_id) DO UPDATE SET last = f.last + 1, unread = f.unread + excluded.unread,
        unseen = f.unseen + excluded.unseen, total = f.total + excluded.total
      RETURNING user_id, last, unread, unseen, total)
    INSERT INTO feed_changes (user_id, number, kind, entry_ids, unread, unseen, total)
    -- Each user is once in either part: max takes what is there. A join would be a loop within a loop, on a hot pool.
    SELECT user_id, max(last), 'added', max(entry_ids), max(unread), max(unseen), max(total) FROM (
      SELECT user_id, last, unread, unseen, total, NULL::uuid[] AS entry_ids FROM moved UNION ALL
      SELECT user_id, NULL, NULL, NULL, NULL, entry_ids FROM grouped) AS halves
    GROUP BY user_id RETURNING user_id"""


async def add(connection: Reader, entries: Sequence[Entry], keyring: KeyRing) -> list[str]:
    """Store; an entry that is there stays as it is, so a repeated attempt shows nothing twice. The users whose
    feeds changed, to be told of."""
    rows = await connection.fetch(
        _ADD,
        [entry.id for entry in entries],
        [entry.user_id for entry in entries],
        [entry.category for entry in entries],
        [keyring.seal(orjson.dumps(entry.content), entry.id.bytes) for entry in entries],
    )
    return [row["user_id"] for row in rows]


async def listed(
    connection: Reader,
    user_id: str,
    keyring: KeyRing,
    *,
    before: UUID | None,
    limit: int,
    unread_only: bool = False,
    archived: bool | None = False,
) -> list[Entry]:
    """Newest first, below the id `before`. archived: only those that are, that are not, or (None) all."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM inbox
           WHERE user_id = $1 AND ($2::uuid IS NULL OR id < $2) AND (NOT $4 OR read_at IS NULL)
             AND ($5::bool IS NULL OR (archived_at IS NOT NULL) = $5)
           ORDER BY id DESC LIMIT $3""",
        user_id,
        before,
        limit,
        unread_only,
        archived,
    )
    return [_entry(row, keyring) for row in rows]


async def fetch(
    connection: Reader, entry_ids: Sequence[UUID], keyring: KeyRing
) -> dict[UUID, Entry]:
    """Those of them that are there and that the key ring can open."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM inbox WHERE id = ANY ($1::uuid[])", entry_ids
    )
    found = {}
    for row in rows:
        try:
            found[row["id"]] = _entry(row, keyring)
        except KeyRingError:
            # One such row must not keep everyone else's feed from moving.
            log.error("inbox.unreadable", entry_id=str(row["id"]))  # noqa: TRY400 - the error names no more
    return found


async def exists(connection: Reader, user_id: str, entry_id: UUID) -> bool:
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM inbox WHERE id = $1 AND user_id = $2)", entry_id, user_id
    )
    return found


def _entry(row: Record, keyring: KeyRing) -> Entry:
    return Entry(
        id=row["id"],
        user_id=row["user_id"],
        category=row["category"],
        content=orjson.loads(keyring.open(row["sealed"], row["id"].bytes)),
        seen_at=row["seen_at"],
        read_at=row["read_at"],
        archived_at=row["archived_at"],
    )
