"""Templates and their versions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from tidings.domain.channels import Channel
from tidings.domain.contracts import Contract
from tidings.domain.digests import DigestRule
from tidings.domain.shared import of_document, to_document
from tidings.domain.templates import Edition, TemplateState, TemplateVersion
from tidings.domain.tracking import TrackingChoice
from tidings.store.database import Connection, Pool, Reader, Record

_COLUMNS = (
    "v.template_id, v.version, v.name, v.category, v.on_unknown, v.content, v.locale, v.locales, "
    "v.created_at, v.published_at, v.deduplicate_seconds, v.digest, v.variables, v.sample, v.shared, v.engine, "
    "v.track_opens, v.track_clicks"
)


class TemplateExistsError(Exception):
    """A template with this id is there already."""


async def create(
    connection: Connection, template_id: str, edition: Edition, *, draft: bool, created_by: UUID
) -> TemplateVersion:
    """Store version 1. Raises TemplateExistsError."""
    async with connection.transaction():
        try:
            await connection.execute(
                "INSERT INTO templates (id, current_version, latest_version) VALUES ($1, $2, 1)",
                template_id,
                None if draft else 1,
            )
        except asyncpg.UniqueViolationError:
            raise TemplateExistsError(template_id) from None
        return await _insert(
            connection, template_id, 1, edition, draft=draft, created_by=created_by
        )


async def update(
    connection: Connection, template_id: str, edition: Edition, *, draft: bool, created_by: UUID
) -> TemplateVersion | None:
    """Store the next version, and make it current where it is no draft; None where there is no such
    template."""
    async with connection.transaction():
        version = await connection.fetchval(
            """UPDATE templates
               SET latest_version = greatest(latest_version, current_version) + 1, updated_at = now()
               WHERE id = $1 RETURNING latest_version""",
            template_id,
        )
        if version is None:
            return None
        stored = await _insert(
            connection, template_id, version, edition, draft=draft, created_by=created_by
        )
        if not draft:
            await connection.execute(
                "UPDATE templates SET current_version = $2 WHERE id = $1", template_id, version
            )
        return stored


async def publish(connection: Connection, template_id: str, version: int) -> TemplateVersion | None:
    """Make a version, newer or older, the current one; None where there is no such version."""
    async with connection.transaction():
        row = await connection.fetchrow(
            f"""UPDATE template_versions v SET published_at = coalesce(v.published_at, now())
                WHERE v.template_id = $1 AND v.version = $2 RETURNING {_COLUMNS}""",
            template_id,
            version,
        )
        if row is None:
            return None
        await connection.execute(
            "UPDATE templates SET current_version = $2, updated_at = now() WHERE id = $1",
            template_id,
            version,
        )
        return _template(row)


async def archive(connection: Reader, template_id: str, *, archived: bool) -> TemplateState | None:
    """Take no new notifications, or take them again; None where there is no such template."""
    row = await connection.fetchrow(
        """UPDATE templates SET updated_at = now(),
             archived_at = CASE WHEN $2 THEN coalesce(archived_at, now()) END
           WHERE id = $1 RETURNING current_version, latest_version, archived_at""",
        template_id,
        archived,
    )
    return None if row is None else _state(row)


async def state(connection: Reader, template_id: str) -> TemplateState | None:
    row = await connection.fetchrow(
        "SELECT current_version, latest_version, archived_at FROM templates WHERE id = $1",
        template_id,
    )
    return None if row is None else _state(row)


async def current(connection: Reader, template_id: str) -> TemplateVersion | None:
    """The version that new notifications get; None where nothing is published, and where it is archived."""
    row = await connection.fetchrow(
        f"""SELECT {_COLUMNS} FROM templates t
            JOIN template_versions v ON v.template_id = t.id AND v.version = t.current_version
            WHERE t.id = $1 AND t.archived_at IS NULL""",
        template_id,
    )
    return None if row is None else _template(row)


async def history(connection: Reader, template_id: str) -> Sequence[TemplateVersion]:
    """All versions, the newest first."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM template_versions v
            WHERE v.template_id = $1 ORDER BY v.version DESC""",
        template_id,
    )
    return [_template(row) for row in rows]


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


async def listed(
    connection: Reader, *, after: str, limit: int, archived: bool = False
) -> Sequence[tuple[TemplateVersion, TemplateState]]:
    """The current versions, or the latest where none is published, ordered by template id."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS}, t.current_version, t.latest_version, t.archived_at FROM templates t
            JOIN template_versions v ON v.template_id = t.id
              AND v.version = coalesce(t.current_version, t.latest_version)
            WHERE t.id > $1 AND (t.archived_at IS NOT NULL) = $3 ORDER BY t.id LIMIT $2""",
        after,
        limit,
        archived,
    )
    return [(_template(row), _state(row)) for row in rows]


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
    edition: Edition,
    *,
    draft: bool,
    created_by: UUID,
) -> TemplateVersion:
    row = await connection.fetchrow(
        f"""INSERT INTO template_versions AS v
              (template_id, version, name, category, on_unknown, content, locale, locales,
               deduplicate_seconds, variables, sample, created_by, published_at, digest, shared, engine, track_opens, track_clicks)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
              CASE WHEN $13 THEN NULL ELSE now() END, $14, $15, $16, $17, $18)
            RETURNING {_COLUMNS}""",
        template_id,
        version,
        edition.name,
        edition.category,
        edition.on_unknown,
        edition.content,
        edition.locale,
        edition.locales,
        edition.deduplicate_seconds,
        None if edition.contract is None else edition.contract.schema,
        edition.sample,
        created_by,
        draft,
        None if edition.digest is None else {"window": edition.digest.window},
        to_document(edition.shared),
        edition.engine,
        edition.tracking.opens,
        edition.tracking.clicks,
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
        content=_by_channel(row["content"]),
        locale=row["locale"],
        locales={tag: _by_channel(content) for tag, content in row["locales"].items()},
        created_at=row["created_at"],
        published_at=row["published_at"],
        deduplicate_seconds=row["deduplicate_seconds"],
        digest=None if row["digest"] is None else DigestRule(**row["digest"]),
        contract=None if row["variables"] is None else Contract(row["variables"]),
        sample=row["sample"],
        shared=of_document(row["shared"]),
        engine=row["engine"],
        tracking=TrackingChoice(row["track_opens"], row["track_clicks"]),
    )


def _by_channel(content: Mapping[str, Any]) -> dict[Channel, Any]:
    return {Channel(channel): source for channel, source in content.items()}


def _state(row: Record) -> TemplateState:
    return TemplateState(row["current_version"], row["latest_version"], row["archived_at"])
