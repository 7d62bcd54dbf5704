"""What templates share: layouts, partials and the brand, in versions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tidings.domain.messages import JSON
from tidings.domain.shared import SharedKind, SharedVersion
from tidings.store.database import Connection, Reader, Record


@dataclass(frozen=True, slots=True)
class Stored:
    """A version with when it was made."""

    shared: SharedVersion
    created_at: datetime


async def save(
    connection: Connection,
    kind: SharedKind,
    shared_id: str,
    content: Mapping[str, JSON] | None,
    *,
    created_by: UUID,
) -> Stored | None:
    """Store the next version; content None: there is none from now on. The newest one where nothing changes; None
    where there was nothing to remove."""
    async with connection.transaction():
        await connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"shared/{kind}/{shared_id}"
        )
        newest = await _newest(connection, kind, shared_id)
        if newest is not None and newest["content"] == content:
            return None if content is None else _stored(newest)
        if newest is None and content is None:
            return None
        row = await connection.fetchrow(
            """INSERT INTO shared_content (kind, id, version, content, created_by) VALUES ($1, $2, $3, $4, $5)
               RETURNING kind, id, version, coalesce(content, '{}') AS content, created_at""",
            kind,
            shared_id,
            1 if newest is None else newest["version"] + 1,
            content,
            created_by,
        )
        assert row is not None
        return _stored(row)


async def find(connection: Reader, kind: SharedKind, shared_id: str) -> Stored | None:
    row = await _newest(connection, kind, shared_id)
    return None if row is None or row["content"] is None else _stored(row)


async def find_many(
    connection: Reader, wanted: Collection[tuple[SharedKind, str]]
) -> list[SharedVersion]:
    """The newest versions of these; those that are not there are left out."""
    rows = await connection.fetch(
        """SELECT DISTINCT ON (s.kind, s.id) s.kind, s.id, s.version, s.content, s.created_at
           FROM unnest($1::text[], $2::text[]) AS w (kind, id)
           JOIN shared_content s ON s.kind = w.kind AND s.id = w.id
           ORDER BY s.kind, s.id, s.version DESC""",
        [kind for kind, _ in wanted],
        [shared_id for _, shared_id in wanted],
    )
    return [_stored(row).shared for row in rows if row["content"] is not None]


async def listed(
    connection: Reader, kind: SharedKind, *, after: str, limit: int
) -> Sequence[Stored]:
    """The newest versions, in the order of their ids."""
    rows = await connection.fetch(
        """SELECT * FROM (
             SELECT DISTINCT ON (id) kind, id, version, content, created_at FROM shared_content
             WHERE kind = $1 AND id > $2 ORDER BY id, version DESC) newest
           WHERE content IS NOT NULL ORDER BY id LIMIT $3""",
        kind,
        after,
        limit,
    )
    return [_stored(row) for row in rows]


async def outdated(connection: Reader) -> dict[str, list[str]]:
    """By template id, what its current version uses that has a newer version since, as layout/main."""
    rows = await connection.fetch(
        """SELECT t.id, array_agg(u.kind || '/' || u.id ORDER BY u.kind, u.id) AS parts
           FROM templates t
           JOIN template_versions v ON v.template_id = t.id AND v.version = t.current_version
           CROSS JOIN LATERAL json_to_recordset(v.shared) AS u (kind text, id text, version int)
           WHERE t.archived_at IS NULL AND EXISTS (
             SELECT FROM shared_content s WHERE s.kind = u.kind AND s.id = u.id AND s.version > u.version)
           GROUP BY t.id ORDER BY t.id"""
    )
    return {row["id"]: row["parts"] for row in rows}


async def _newest(connection: Reader, kind: SharedKind, shared_id: str) -> "Record | None":
    return await connection.fetchrow(
        """SELECT kind, id, version, content, created_at FROM shared_content
           WHERE kind = $1 AND id = $2 ORDER BY version DESC LIMIT 1""",
        kind,
        shared_id,
    )


def _stored(row: Record) -> Stored:
    return Stored(
        SharedVersion(row["kind"], row["id"], row["version"], row["content"]), row["created_at"]
    )
