"""The in-app feed's entries."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from tidings.domain import ids
from tidings.store.database import Reader
from tidings.store.keyring import KeyRing


@dataclass(frozen=True, slots=True)
class Entry:
    """id: the delivery's. content: title, body, url."""

    id: UUID
    user_id: str
    category: str
    content: dict[str, Any] = field(repr=False)
    read_at: datetime | None = None

    @property
    def created_at(self) -> datetime:
        return ids.time_of(self.id)


async def add(connection: Reader, entries: Sequence[Entry], keyring: KeyRing) -> None:
    """Store; an entry that is there stays as it is, so a repeated attempt shows nothing twice."""
    await connection.execute(
        """INSERT INTO inbox (id, user_id, category, sealed)
           SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[]) ON CONFLICT DO NOTHING""",
        [entry.id for entry in entries],
        [entry.user_id for entry in entries],
        [entry.category for entry in entries],
        [keyring.seal(orjson.dumps(entry.content), entry.id.bytes) for entry in entries],
    )


async def listed(
    connection: Reader,
    user_id: str,
    keyring: KeyRing,
    *,
    before: UUID | None,
    limit: int,
    unread_only: bool,
) -> list[Entry]:
    """Newest first, below the id `before`."""
    rows = await connection.fetch(
        """SELECT id, user_id, category, sealed, read_at FROM inbox
           WHERE user_id = $1 AND ($2::uuid IS NULL OR id < $2) AND (NOT $4 OR read_at IS NULL)
           ORDER BY id DESC LIMIT $3""",
        user_id,
        before,
        limit,
        unread_only,
    )
    return [
        Entry(
            id=row["id"],
            user_id=row["user_id"],
            category=row["category"],
            content=orjson.loads(keyring.open(row["sealed"], row["id"].bytes)),
            read_at=row["read_at"],
        )
        for row in rows
    ]


async def unread_count(connection: Reader, user_id: str) -> int:
    count: int = await connection.fetchval(
        "SELECT count(*) FROM inbox WHERE user_id = $1 AND read_at IS NULL", user_id
    )
    return count


async def mark_read(connection: Reader, user_id: str, entry_ids: Sequence[UUID] | None) -> int:
    """Mark these, or all with None; how many were unread before."""
    rows = await connection.fetch(
        """UPDATE inbox SET read_at = now()
           WHERE user_id = $1 AND read_at IS NULL AND ($2::uuid[] IS NULL OR id = ANY($2)) RETURNING id""",
        user_id,
        entry_ids,
    )
    return len(rows)


async def exists(connection: Reader, user_id: str, entry_id: UUID) -> bool:
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM inbox WHERE id = $1 AND user_id = $2)", entry_id, user_id
    )
    return found
