"""Topics, and who is subscribed to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from tidings.store.database import Connection, Reader, Record


@dataclass(frozen=True, slots=True)
class Topic:
    id: str
    name: str
    description: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Subscription:
    """since: when the user subscribed first, and has been since."""

    topic_id: str
    user_id: str
    since: datetime


_COLUMNS = "id, name, description, created_at, updated_at"
_SUBSCRIPTION = "topic_id, user_id, created_at"


async def save(connection: Reader, topic_id: str, *, name: str, description: str) -> Topic:
    """Make or change it; its subscribers stay."""
    row = await connection.fetchrow(
        f"""INSERT INTO topics (id, name, description) VALUES ($1, $2, $3)
            ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description,
              updated_at = now()
            RETURNING {_COLUMNS}""",
        topic_id,
        name,
        description,
    )
    assert row is not None
    return _topic(row)


async def find(connection: Reader, topic_id: str) -> Topic | None:
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM topics WHERE id = $1", topic_id)
    return None if row is None else _topic(row)


async def listed(connection: Reader, *, after: str, limit: int) -> list[Topic]:
    """In the order of their ids, behind `after`."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM topics WHERE id > $1 ORDER BY id LIMIT $2", after, limit
    )
    return [_topic(row) for row in rows]


async def delete(connection: Reader, topic_id: str) -> bool:
    """With all its subscriptions; False where there was none such."""
    return bool(
        await connection.execute("DELETE FROM topics WHERE id = $1", topic_id) == "DELETE 1"
    )


async def missing(connection: Reader, topic_ids: Sequence[str]) -> set[str]:
    """Which of these do not exist."""
    rows = await connection.fetch("SELECT id FROM topics WHERE id = ANY ($1::text[])", topic_ids)
    return set(topic_ids) - {row["id"] for row in rows}


async def subscribe(connection: Reader, topic_id: str, user_ids: Sequence[str]) -> int | None:
    """How many of these were not subscribed before; None where there is no such topic."""
    try:
        rows = await connection.fetch(
            """INSERT INTO subscriptions (topic_id, user_id)
               SELECT $1, user_id FROM unnest($2::text[]) AS w (user_id) ORDER BY user_id
               ON CONFLICT DO NOTHING RETURNING user_id""",
            topic_id,
            sorted(set(user_ids)),
        )
    except asyncpg.ForeignKeyViolationError:
        return None
    return len(rows)


async def unsubscribe(connection: Connection, topic_id: str, user_ids: Sequence[str]) -> int | None:
    """How many of these were subscribed; None where there is no such topic."""
    async with connection.transaction():
        known = await connection.fetchval("SELECT true FROM topics WHERE id = $1", topic_id)
        if not known:
            return None
        # In one order, and so without a circle of those who wait for each other.
        rows = await connection.fetch(
            """DELETE FROM subscriptions WHERE topic_id = $1 AND user_id = ANY (ARRAY(
                 SELECT user_id FROM subscriptions WHERE topic_id = $1 AND user_id = ANY ($2::text[])
                 ORDER BY user_id FOR UPDATE))
               RETURNING user_id""",
            topic_id,
            sorted(set(user_ids)),
        )
    return len(rows)


async def subscribers(
    connection: Reader, topic_id: str, *, after: str, limit: int
) -> list[Subscription]:
    """In the order of their ids, behind `after`."""
    rows = await connection.fetch(
        f"""SELECT {_SUBSCRIPTION} FROM subscriptions WHERE topic_id = $1 AND user_id > $2
            ORDER BY user_id LIMIT $3""",
        topic_id,
        after,
        limit,
    )
    return [Subscription(*row) for row in rows]


async def of_user(
    connection: Reader, user_id: str, *, after: str = "", limit: int | None = None
) -> list[Subscription]:
    """In the order of the topics' ids, behind `after`."""
    rows = await connection.fetch(
        f"""SELECT {_SUBSCRIPTION} FROM subscriptions WHERE user_id = $1 AND topic_id > $2
            ORDER BY topic_id LIMIT $3""",
        user_id,
        after,
        limit,
    )
    return [Subscription(*row) for row in rows]


async def forget_user(connection: Reader, user_id: str) -> None:
    """End all subscriptions of a user who is erased."""
    await connection.execute("DELETE FROM subscriptions WHERE user_id = $1", user_id)


def _topic(row: Record) -> Topic:
    return Topic(**dict(row))
