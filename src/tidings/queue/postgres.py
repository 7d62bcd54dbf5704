"""The queue in PostgreSQL: claim, lease, settle, rescue.

An entry is due at `due_at`; while a worker holds it, that is when the lease ends. So a dead worker's
entries become claimable again by themselves, and the worker that claims one sees by `started_at` that a
call may have been under way. Every write names the lease it was claimed under: a late worker's write
finds nothing.

Statements find their entries by `delivery_id = ANY (array)`, never by a join: the queue is often empty, and
a plan made then would read the whole queue for each batch when it is full.
"""

from collections.abc import Iterable, Mapping, Sequence
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

_FROM_THE_FRONT: Mapping[Priority, datetime] = {}

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
    due_at: datetime
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
    connection: Connection,
    *,
    lease: UUID,
    limit: int,
    seconds: float,
    since: Mapping[Priority, datetime] = _FROM_THE_FRONT,
) -> list[Claimed]:
    """Take up to limit due entries, the most urgent first, for so many seconds. since: due times to look
    from, see cursor.py."""
    # Losing a claim to a crash of the server is harmless, the entry is then simply unclaimed; what must be
    # durable, the intent to call, is committed by start(), whose flush covers this too. So this statement's
    # own transaction does not wait for the disk.
    rows = await connection.fetch(
        """WITH relaxed AS MATERIALIZED (
             SELECT set_config('synchronous_commit', 'off', true)
           ), due AS MATERIALIZED (
             SELECT e.delivery_id, e.lease, e.due_at FROM relaxed
             CROSS JOIN unnest($1::smallint[], $5::timestamptz[]) AS p (priority, since)
             CROSS JOIN LATERAL (
               SELECT q.delivery_id, q.lease, q.due_at FROM queue q
               WHERE q.priority = p.priority AND q.due_at <= now() AND q.due_at >= coalesce(p.since, '-infinity')
               ORDER BY q.due_at LIMIT $2 FOR UPDATE SKIP LOCKED) e
             LIMIT $2
           ), picked AS MATERIALIZED (
             SELECT array_agg(delivery_id) AS ids, array_agg(lease IS NOT NULL) AS rescued,
               array_agg(due_at) AS due_at FROM due
           )
           UPDATE queue q SET lease = $3, due_at = now() + make_interval(secs => $4)
           WHERE q.delivery_id = ANY ((SELECT ids FROM picked)::uuid[])
           RETURNING q.delivery_id, q.notification_id, q.priority, q.attempts, q.started_at,
             ((SELECT rescued FROM picked))[array_position((SELECT ids FROM picked), q.delivery_id)] AS rescued,
             ((SELECT due_at FROM picked))[array_position((SELECT ids FROM picked), q.delivery_id)] AS due_at""",
        [int(priority) for priority in Priority],
        limit,
        lease,
        seconds,
        [since.get(priority) for priority in Priority],
    )
    return [
        Claimed(
            delivery_id=row["delivery_id"],
            notification_id=row["notification_id"],
            priority=Priority(row["priority"]),
            due_at=row["due_at"],
            lease=lease,
            attempts=row["attempts"],
            started_at=row["started_at"],
            rescued=row["rescued"],
        )
        for row in sorted(rows, key=lambda row: (row["priority"], row["delivery_id"]))
    ]


async def start(
    connection: Connection, lease: UUID, delivery_ids: Sequence[UUID], seconds: float
) -> set[UUID]:
    """Store the intent to call the provider, before the call; which deliveries are still ours."""
    rows = await connection.fetch(
        """UPDATE queue SET started_at = clock_timestamp(), due_at = now() + make_interval(secs => $3)
           WHERE delivery_id = ANY ($1::uuid[]) AND lease = $2 RETURNING delivery_id""",
        sorted(delivery_ids),
        lease,
        seconds,
    )
    return {row["delivery_id"] for row in rows}


async def renew(connection: Connection, held: Iterable[Hold], seconds: float) -> None:
    """Heartbeat: extend the leases that are still ours. What is locked is being started or settled at this
    moment and needs no renewal; waiting for it could end in a deadlock."""
    newest = dict(
        sorted(held, key=lambda hold: hold[1])
    )  # of two leases of a delivery, the later one
    await connection.execute(
        """WITH ours AS MATERIALIZED (
             SELECT delivery_id FROM queue
             WHERE delivery_id = ANY ($1::uuid[]) AND lease = ($2::uuid[])[array_position($1, delivery_id)]
             FOR UPDATE SKIP LOCKED
           )
           UPDATE queue SET due_at = now() + make_interval(secs => $3)
           WHERE delivery_id = ANY (ARRAY(SELECT delivery_id FROM ours))""",
        list(newest.keys()),
        list(newest.values()),
        seconds,
    )


async def remove(connection: Connection, lease: UUID, delivery_ids: Sequence[UUID]) -> None:
    """Take off the queue what has nothing to deliver any more."""
    await connection.execute(
        "DELETE FROM queue WHERE delivery_id = ANY ($1::uuid[]) AND lease = $2", delivery_ids, lease
    )


async def give_back(connection: Connection, lease: UUID, delivery_ids: Sequence[UUID]) -> None:
    """Release what was claimed but not started, as a stopping worker does."""
    await connection.execute(
        """UPDATE queue SET lease = NULL, due_at = now()
           WHERE delivery_id = ANY ($1::uuid[]) AND lease = $2 AND started_at IS NULL""",
        delivery_ids,
        lease,
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
