"""The queue in PostgreSQL: claim, lease, settle, rescue.

An entry is due at `due_at`; while a worker holds it, that is when the lease ends. So a dead worker's
entries become claimable again by themselves, and the worker that claims one sees by `started_at` that a
call may have been under way. Every write names the lease it was claimed under: a late worker's write
finds nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from tidings.domain import ids
from tidings.domain.priorities import Priority

WAKE_CHANNEL = "tidings_queue"

Hold = tuple[UUID, UUID]
"""What a worker holds: a delivery, under a lease. One process can hold the same delivery twice, when it
claims again what it was too slow with; only the lease tells the two apart."""

# asyncpg's Connection, Pool and PoolConnectionProxy share these methods but no type.
Connection = Any


@dataclass(frozen=True, slots=True)
class Entry:
    """due_at: None means now, by the database's clock."""

    delivery_id: UUID
    notification_id: UUID
    priority: int
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A held entry. attempts: calls made before. started_at: a dead worker's call may have been made
    then. rescued: it was taken over from a lease that ran out."""

    delivery_id: UUID
    notification_id: UUID
    priority: Priority
    lease: UUID
    attempts: int
    started_at: datetime | None
    rescued: bool

    @property
    def hold(self) -> Hold:
        return self.delivery_id, self.lease


async def enqueue(connection: Connection, entries: Sequence[Entry]) -> None:
    """Put many with one statement; wake() tells the workers after the commit."""
    await connection.execute(
        """INSERT INTO queue (delivery_id, notification_id, priority, due_at)
           SELECT delivery_id, notification_id, priority, coalesce(due_at, now())
           FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::timestamptz[])
             AS e (delivery_id, notification_id, priority, due_at)""",
        [entry.delivery_id for entry in entries],
        [entry.notification_id for entry in entries],
        [entry.priority for entry in entries],
        [entry.due_at for entry in entries],
    )


async def wake(connection: Connection) -> None:
    """Tell idle workers that there is work."""
    await connection.execute(f"NOTIFY {WAKE_CHANNEL}")


async def claim(
    connection: Connection, *, lease: UUID, limit: int, seconds: float
) -> list[Claimed]:
    """Take up to limit due entries, the most urgent first, for so many seconds."""
    # Losing a claim to a crash of the server is harmless, the entry is then simply unclaimed; what must be
    # durable, the intent to call, is committed by start(), whose flush covers this too. So this statement's
    # own transaction does not wait for the disk.
    rows = await connection.fetch(
        """WITH relaxed AS MATERIALIZED (
             SELECT set_config('synchronous_commit', 'off', true)
           ), due AS MATERIALIZED (
             SELECT e.delivery_id, e.lease FROM relaxed
             CROSS JOIN unnest($1::smallint[]) AS p (priority)
             CROSS JOIN LATERAL (
               SELECT q.delivery_id, q.lease FROM queue q
               WHERE q.priority = p.priority AND q.due_at <= now()
               ORDER BY q.due_at LIMIT $2 FOR UPDATE SKIP LOCKED) e
             LIMIT $2
           ), held AS (
             UPDATE queue q SET lease = $3, due_at = now() + make_interval(secs => $4)
             FROM due WHERE q.delivery_id = due.delivery_id
             RETURNING q.delivery_id, q.notification_id, q.priority, q.attempts, q.started_at,
               due.lease IS NOT NULL AS rescued
           )
           SELECT * FROM held ORDER BY priority, delivery_id""",
        [int(priority) for priority in Priority],
        limit,
        lease,
        seconds,
    )
    return [
        Claimed(
            delivery_id=row["delivery_id"],
            notification_id=row["notification_id"],
            priority=Priority(row["priority"]),
            lease=lease,
            attempts=row["attempts"],
            started_at=row["started_at"],
            rescued=row["rescued"],
        )
        for row in rows
    ]


async def start(connection: Connection, claimed: Sequence[Hold], seconds: float) -> set[Hold]:
    """Store the intent to call the provider, before the call; which (delivery, lease) are still ours."""
    rows = await connection.fetch(
        """UPDATE queue q SET started_at = clock_timestamp(), due_at = now() + make_interval(secs => $3)
           FROM unnest($1::uuid[], $2::uuid[]) AS c (delivery_id, lease)
           WHERE q.delivery_id = c.delivery_id AND q.lease = c.lease
           RETURNING c.delivery_id, c.lease""",
        [delivery_id for delivery_id, _ in claimed],
        [lease for _, lease in claimed],
        seconds,
    )
    return {(row["delivery_id"], row["lease"]) for row in rows}


async def renew(connection: Connection, held: Sequence[Hold], seconds: float) -> None:
    """Heartbeat: extend the leases that are still ours. What is locked is being started or settled at this
    moment and needs no renewal; waiting for it could end in a deadlock."""
    await connection.execute(
        """WITH ours AS MATERIALIZED (
             SELECT q.delivery_id FROM unnest($1::uuid[], $2::uuid[]) AS c (delivery_id, lease)
             JOIN queue q ON q.delivery_id = c.delivery_id AND q.lease = c.lease FOR UPDATE OF q SKIP LOCKED
           )
           UPDATE queue q SET due_at = now() + make_interval(secs => $3) FROM ours
           WHERE q.delivery_id = ours.delivery_id""",
        [delivery_id for delivery_id, _ in held],
        [lease for _, lease in held],
        seconds,
    )


async def remove(connection: Connection, held: Sequence[Hold]) -> None:
    """Take off the queue what has nothing to deliver any more."""
    await connection.execute(
        """DELETE FROM queue q USING unnest($1::uuid[], $2::uuid[]) AS c (delivery_id, lease)
           WHERE q.delivery_id = c.delivery_id AND q.lease = c.lease""",
        [delivery_id for delivery_id, _ in held],
        [lease for _, lease in held],
    )


async def give_back(connection: Connection, held: Sequence[Hold]) -> None:
    """Release what was claimed but not started, as a stopping worker does."""
    await connection.execute(
        """UPDATE queue q SET lease = NULL, due_at = now()
           FROM unnest($1::uuid[], $2::uuid[]) AS c (delivery_id, lease)
           WHERE q.delivery_id = c.delivery_id AND q.lease = c.lease AND q.started_at IS NULL""",
        [delivery_id for delivery_id, _ in held],
        [lease for _, lease in held],
    )


async def withdraw(connection: Connection, notification_id: UUID) -> list[UUID]:
    """Remove a notification's entries whose call has not started; a worker that holds one finds its
    lease gone when it wants to start."""
    rows = await connection.fetch(
        """DELETE FROM queue WHERE delivery_id BETWEEN $1 AND $2 AND notification_id = $3 AND started_at IS NULL
           RETURNING delivery_id""",
        *ids.delivery_range(notification_id),
        notification_id,  # the range of an id that is close to another's holds the other's entries
    )
    return [row["delivery_id"] for row in rows]


async def next_due(connection: Connection) -> float | None:
    """Seconds until the next entry is due (0 when one is); None when the queue is empty."""
    seconds = await connection.fetchval(
        """SELECT extract(epoch FROM min(e.due_at) - now())::float8
           FROM unnest($1::smallint[]) AS p (priority)
           CROSS JOIN LATERAL (SELECT due_at FROM queue q WHERE q.priority = p.priority
                               ORDER BY due_at LIMIT 1) e""",
        [int(priority) for priority in Priority],
    )
    return None if seconds is None else max(0.0, float(seconds))


@dataclass(frozen=True, slots=True)
class Depth:
    """Of one priority. waiting: due now; scheduled: due later; leased: held; age: seconds of the oldest due."""

    priority: Priority
    waiting: int
    scheduled: int
    leased: int
    age: float


async def depth(connection: Connection) -> list[Depth]:
    """How much waits, by priority; reads the whole queue, so ask for it at the pace of a scrape."""
    rows = await connection.fetch(
        """SELECT priority,
             count(*) FILTER (WHERE lease IS NULL AND due_at <= now()) AS waiting,
             count(*) FILTER (WHERE lease IS NULL AND due_at > now()) AS scheduled,
             count(*) FILTER (WHERE lease IS NOT NULL) AS leased,
             coalesce(extract(epoch FROM now() - min(due_at) FILTER (WHERE lease IS NULL AND due_at <= now())), 0)::float8 AS age
           FROM queue GROUP BY priority ORDER BY priority"""
    )
    return [Depth(**{**dict(row), "priority": Priority(row["priority"])}) for row in rows]
