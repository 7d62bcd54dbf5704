"""Segments: filters with a name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidings.domain.filters import read
from tidings.store import attributes
from tidings.store.database import Connection, Reader, Record


@dataclass(frozen=True, slots=True)
class Segment:
    """filter: as it was written."""

    id: str
    name: str
    filter: Any
    created_at: datetime
    updated_at: datetime


_COLUMNS = "id, name, filter, created_at, updated_at"


async def save(connection: Connection, segment_id: str, *, name: str, document: Any) -> Segment:
    """Make or change it. Raises WrongFilterError."""
    async with connection.transaction():
        # The attributes it speaks of are not removed before it is stored.
        await attributes.hold(connection)
        read(document, await attributes.types(connection))
        row = await connection.fetchrow(
            f"""INSERT INTO segments (id, name, filter) VALUES ($1, $2, $3)
                ON CONFLICT (id) DO UPDATE SET name = excluded.name, filter = excluded.filter, updated_at = now()
                RETURNING {_COLUMNS}""",
            segment_id,
            name,
            document,
        )
    assert row is not None
    return _segment(row)


async def find_many(connection: Reader, segment_ids: Sequence[str]) -> dict[str, Segment]:
    """Those of these that there are."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM segments WHERE id = ANY ($1::text[])", segment_ids
    )
    return {row["id"]: _segment(row) for row in rows}


async def find(connection: Reader, segment_id: str) -> Segment | None:
    return (await find_many(connection, [segment_id])).get(segment_id)


async def listed(connection: Reader, *, after: str, limit: int) -> list[Segment]:
    """In the order of their ids, behind `after`."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM segments WHERE id > $1 ORDER BY id LIMIT $2", after, limit
    )
    return [_segment(row) for row in rows]


async def delete(connection: Reader, segment_id: str) -> bool:
    """False where there was none such."""
    done = await connection.execute("DELETE FROM segments WHERE id = $1", segment_id)
    return bool(done == "DELETE 1")


def _segment(row: Record) -> Segment:
    return Segment(**dict(row))
