"""Declared attributes: those by which segments can choose, kept in the open beside what is sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tidings.domain.filters import AttributeType, attributes_of
from tidings.store.database import Connection, Reader, Record

# Held by who changes declarations or what uses them, against each other and against who writes users.
_LOCK = 0x6174_7472


class AttributeInUseError(Exception):
    """A segment's filter speaks of it."""

    def __init__(self, segment_id: str) -> None:
        super().__init__(segment_id)
        self.segment_id = segment_id


@dataclass(frozen=True, slots=True)
class Attribute:
    name: str
    type: AttributeType
    description: str
    created_at: datetime
    updated_at: datetime


_COLUMNS = "name, type, description, created_at, updated_at"


async def listed(connection: Reader) -> list[Attribute]:
    """In the order of their names."""
    rows = await connection.fetch(f"SELECT {_COLUMNS} FROM attributes ORDER BY name")
    return [_attribute(row) for row in rows]


async def find(connection: Reader, name: str) -> Attribute | None:
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM attributes WHERE name = $1", name)
    return None if row is None else _attribute(row)


async def types(connection: Reader) -> dict[str, AttributeType]:
    """The type of each attribute that is declared."""
    rows = await connection.fetch("SELECT name, type FROM attributes")
    return {row["name"]: AttributeType(row["type"]) for row in rows}


async def types_for_writing(connection: Connection) -> dict[str, AttributeType]:
    """As `types`, and they stay so until the transaction ends: what it writes of users is as declared."""
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", _LOCK)
    return await types(connection)


async def hold(connection: Connection) -> None:
    """Nobody else changes declarations or segments until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)


async def declare(
    connection: Connection, name: str, kind: AttributeType, description: str
) -> Attribute:
    """Make or change a declaration; the values of all users are read anew where it matters. Raises
    AttributeInUseError for another type while a segment uses it."""
    async with connection.transaction():
        await hold(connection)
        before = await find(connection, name)
        if before is not None and before.type is not kind:
            await _refuse_if_used(connection, name)
        row = await connection.fetchrow(
            f"""INSERT INTO attributes (name, type, description) VALUES ($1, $2, $3)
                ON CONFLICT (name) DO UPDATE SET type = excluded.type, description = excluded.description,
                  updated_at = now()
                RETURNING {_COLUMNS}""",
            name,
            kind,
            description,
        )
        if before is None or before.type is not kind:
            await _fill_anew(connection)
    assert row is not None
    return _attribute(row)


async def remove(connection: Connection, name: str) -> bool:
    """False where it was not declared. Raises AttributeInUseError."""
    async with connection.transaction():
        await hold(connection)
        await _refuse_if_used(connection, name)
        done = await connection.execute("DELETE FROM attributes WHERE name = $1", name)
        if done != "DELETE 1":
            return False
        await _fill_anew(connection)
    return True


async def filling(connection: Reader) -> bool:
    """Whether the values of users are still being read anew after a change."""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM attribute_fills)"))


async def hold_fill(connection: Connection) -> str | None:
    """The last user that a fill has done, if one is to be gone on with that nobody works on."""
    found: str | None = await connection.fetchval(
        "SELECT after FROM attribute_fills FOR UPDATE SKIP LOCKED"
    )
    return found


async def proceed_fill(connection: Connection, after: str | None) -> None:
    """The fill has come to this user; None: to the last."""
    if after is None:
        await connection.execute("DELETE FROM attribute_fills")
    else:
        await connection.execute("UPDATE attribute_fills SET after = $1", after)


async def write(
    connection: Connection, user_ids: Sequence[str], values: Sequence[Mapping[str, object]]
) -> None:
    """The declared values of these users, in the open."""
    await connection.execute(
        """UPDATE users u SET declared = w.declared
           FROM unnest($1::text[], $2::jsonb[]) AS w (id, declared)
           WHERE u.id = w.id AND u.declared <> w.declared""",
        list(user_ids),
        list(values),
    )


async def _fill_anew(connection: Connection) -> None:
    await connection.execute(
        """INSERT INTO attribute_fills (after) VALUES ('')
           ON CONFLICT (one) DO UPDATE SET after = excluded.after"""
    )


async def _refuse_if_used(connection: Connection, name: str) -> None:
    for row in await connection.fetch("SELECT id, filter FROM segments ORDER BY id"):
        if name in attributes_of(row["filter"]):
            raise AttributeInUseError(row["id"])


def _attribute(row: Record) -> Attribute:
    return Attribute(**{**dict(row), "type": AttributeType(row["type"])})
