"""Templates and their versions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from tidings.domain.channels import Channel
from tidings.domain.planning import OnUnknown
from tidings.domain.templates import TemplateVersion
from tidings.store.database import Connection, Pool, Reader, Record

_COLUMNS = "v.template_id, v.version, v.name, v.category, v.on_unknown, v.content, v.created_at"


class TemplateExistsError(Exception):
    """A template with this id is there already."""


async def create(
    connection: Connection,
    template_id: str,
    *,
    name: str,
    category: str,
    on_unknown: OnUnknown,
    content: Mapping[Channel, Mapping[str, Any]],
    created_by: UUID,
) -> TemplateVersion:
    """Store version 1. Raises TemplateExistsError."""
    async with connection.transaction():
        try:
            await connection.execute(
                "INSERT INTO templates (id, current_version) VALUES ($1, 1)", template_id
            )
        except asyncpg.UniqueViolationError:
            raise TemplateExistsError(template_id) from None
        return await _insert(
            connection, template_id, 1, name, category, on_unknown, content, created_by
        )


async def update(
    connection: Connection,
    template_id: str,
    *,
    name: str,
    category: str,
    on_unknown: OnUnknown,
    content: Mapping[Channel, Mapping[str, Any]],
    created_by: UUID,
) -> TemplateVersion | None:
    """Store the next version and make it current; None where there is no such template."""
    async with connection.transaction():
        version = await connection.fetchval(
            """UPDATE templates SET current_version = current_version + 1, updated_at = now()
               WHERE id = $1 RETURNING current_version""",
            template_id,
        )
        if version is None:
            return None
        return await _insert(
            connection, template_id, version, name, category, on_unknown, content, created_by
        )


async def current(connection: Reader, template_id: str) -> TemplateVersion | None:
    row = await connection.fetchrow(
        f"""SELECT {_COLUMNS} FROM templates t
            JOIN template_versions v ON v.template_id = t.id AND v.version = t.current_version
            WHERE t.id = $1""",
        template_id,
    )
    return None if row is None else _template(row)


async def versions(
    connection: Reader, wanted: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], TemplateVersion]:
    """The named versions, by id and number."""
    pairs = list(wanted)
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM unnest($1::text[], $2::int[]) AS w (id, version)
            JOIN template_versions v ON v.template_id = w.id AND v.version = w.version""",
        [template_id for template_id, _ in pairs],
        [version for _, version in pairs],
    )
    return {(row["template_id"], row["version"]): _template(row) for row in rows}


async def listed(connection: Reader, *, after: str, limit: int) -> Sequence[TemplateVersion]:
    """The current versions, ordered by template id."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM templates t
            JOIN template_versions v ON v.template_id = t.id AND v.version = t.current_version
            WHERE t.id > $1 ORDER BY t.id LIMIT $2""",
        after,
        limit,
    )
    return [_template(row) for row in rows]


class TemplateCache:
    """Current versions by template id; a change notice forgets one, a reconnection all."""

    def __init__(self, pool: Pool, limit: int = 10_000) -> None:
        self._pool = pool
        self._limit = limit
        self._known: dict[str, TemplateVersion] = {}
        self._changes = 0

    def forget(self, template_id: str) -> None:
        """Forget a template, or all with an empty id."""
        self._changes += 1
        if template_id:
            self._known.pop(template_id, None)
        else:
            self._known.clear()

    def known(self, template_id: str) -> TemplateVersion | None:
        return self._known.get(template_id)

    async def find(self, template_id: str) -> TemplateVersion | None:
        """Unknown ids are not remembered: a template made a moment later must be found."""
        found = self._known.get(template_id)
        if found is None:
            changes = self._changes
            found = await current(self._pool, template_id)
            # A change heard while we were reading may have made what we read old.
            if found is not None and changes == self._changes:
                if len(self._known) >= self._limit:
                    self._known.clear()
                self._known[template_id] = found
        return found


async def _insert(
    connection: Connection,
    template_id: str,
    version: int,
    name: str,
    category: str,
    on_unknown: str,
    content: Mapping[Channel, Mapping[str, Any]],
    created_by: UUID,
) -> TemplateVersion:
    row = await connection.fetchrow(
        f"""INSERT INTO template_versions AS v
              (template_id, version, name, category, on_unknown, content, created_by)
            VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING {_COLUMNS}""",
        template_id,
        version,
        name,
        category,
        on_unknown,
        content,
        created_by,
    )
    assert row is not None
    return _template(row)


def _template(row: Record) -> TemplateVersion:
    return TemplateVersion(
        template_id=row["template_id"],
        version=row["version"],
        name=row["name"],
        category=row["category"],
        on_unknown=row["on_unknown"],
        content={Channel(channel): source for channel, source in row["content"].items()},
        created_at=row["created_at"],
    )
