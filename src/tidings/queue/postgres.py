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
from tidings.domain.lanes import Lane
from tidings.domain.priorities import Priority
from tidings.domain.records import record

WAKE_CHANNEL = "tidings_queue"

_RENEWED_AT_ONCE = 500  # array_position() walks the array: in one piece it would cost its square

Hold = tuple[UUID, UUID]
"""What a worker holds: a delivery, under a lease. One process can hold the same delivery twice, when it
claims again what it was too slow with; only the lease tells the two apart."""

# asyncpg's Connection, Pool and PoolConnectionProxy share these methods but no type.
Connection = Any


@record
class Entry:
    """due_at: None means now, by the database's clock. expires_at: until when it may wait, None for ever."""

    delivery_id: UUID
    notification_id: UUID
    lane: Lane
    due_at: datetime | None = None
    expires_at: datetime | None = None


@record
class Claimed:
    """A held entry. attempts: calls made before; deferred: how many of them do not count; spent: how many belong to
    earlier rounds, the last of which ended before round_at. started_at: a dead worker's call may have been made
    then. rescued: it was taken over from a lease that ran out. maybe_taken: an earlier call ended as unknown.
    account: the one that is or was called and may have sent it, so that no other one may; avoid: those that failed of late.
    deaths: how many workers died while they prepared it alone."""

    delivery_id: UUID
    notification_id: UUID
    lane: Lane
    due_at: datetime
    lease: UUID
    attempts: int
    started_at: datetime | None
    rescued: bool
    deferred: int = 0
    spent: int = 0
    round_at: datetime | None = None
    maybe_taken: bool = False
    account: str | None = None
    avoid: tuple[str, ...] = ()
    deaths: int = 0

    @property
    def priority(self) -> Priority:
        return self.lane.priority

    @property
    def hold(self) -> Hold:
        return self.delivery_id, self.lease


async def enqueue(connection: Connection, entries: Sequence[Entry]) -> None:
    """Put many with one statement; wake() tells the workers after the commit."""
    await connection.execute(
        """INSERT INTO queue (delivery_id, notification_id, priority, lane, due_at, expires_at)
           SELECT delivery_id, notification_id, priority, lane, coalesce(due_at, now()), expires_at
           FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::int[], $5::timestamptz[], $6::timestamptz[])
             AS e (delivery_id, notification_id, priority, lane, due_at, expires_at)""",
        [entry.delivery_id for entry in entries],
        [entry.notification_id for entry in entries],
        [int(entry.lane.priority) for entry in entries],
        [entry.lane.number for entry in entries],
        [entry.due_at for entry in entries],
        [entry.expires_at for entry in entries],
    )


async def wake(connection: Connection) -> None:
    """Tell idle workers that there is work."""
    await connection.execute(f"NOTIFY {WAKE_CHANNEL}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to claim of a lane: up to `most` entries. since: the due time to look from, see cursor.py."""

    lane: Lane
    most: int
    since: datetime | None = None


_TAKE = """, picked AS MATERIALIZED (
  SELECT array_agg(delivery_id) AS ids, array_agg(lease IS NOT NULL) AS rescued, array_agg(due_at) AS due_at FROM due
)
UPDATE queue q SET lease = $1, due_at = now() + make_interval(secs => $2)
WHERE q.delivery_id = ANY ((SELECT ids FROM picked)::uuid[])
RETURNING q.delivery_id, q.notification_id, q.priority, q.lane, q.attempts, q.started_at,
  q.deferred, q.spent, q.round_at, q.maybe_taken, q.account, q.avoid,
  ((SELECT rescued FROM picked))[array_position((SELECT ids FROM picked), q.delivery_id)] AS rescued,
  ((SELECT due_at FROM picked))[array_position((SELECT ids FROM picked), q.delivery_id)] AS due_at"""


async def claim(
    connection: Connection, *, lease: UUID, wanted: Sequence[Wanted], limit: int, seconds: float
) -> list[Claimed]:
    """Take due entries of these lanes, in their order and up to limit in all, for so many seconds."""
    # Losing a claim to a crash of the server is harmless, the entry is then simply unclaimed; what must be
    # durable, the intent to call, is committed by start(), whose flush covers this too. So this statement's
    # own transaction does not wait for the disk.
    rows = await connection.fetch(
        f"""WITH relaxed AS MATERIALIZED (
             SELECT set_config('synchronous_commit', 'off', true)
           ), due AS MATERIALIZED (
             SELECT e.delivery_id, e.lease, e.due_at FROM relaxed
             CROSS JOIN unnest($3::smallint[], $4::int[], $5::timestamptz[], $6::int[])
               AS p (priority, lane, since, most)
             CROSS JOIN LATERAL (
               SELECT q.delivery_id, q.lease, q.due_at FROM queue q
               WHERE q.priority = p.priority AND q.lane = p.lane
                 AND q.due_at <= now() AND q.due_at >= coalesce(p.since, '-infinity')
               ORDER BY q.due_at LIMIT p.most FOR UPDATE SKIP LOCKED) e
             LIMIT $7
           ){_TAKE}""",
        lease,
        seconds,
        [int(one.lane.priority) for one in wanted],
        [one.lane.number for one in wanted],
        [one.since for one in wanted],
        [one.most for one in wanted],
        limit,
    )
    return _claimed(rows, lease)


async def claim_expired(
    connection: Connection, *, lease: UUID, most: int, seconds: float
) -> list[Claimed]:
    """Take what may wait no longer and nobody holds, wherever it waits and for whatever. Such an entry is due at its
    expiry, by the database's clock."""
    rows = await connection.fetch(
        f"""WITH relaxed AS MATERIALIZED (
             SELECT set_config('synchronous_commit', 'off', true)
           ), due AS MATERIALIZED (
             SELECT e.delivery_id, e.lease, e.expires_at AS due_at FROM relaxed
             CROSS JOIN LATERAL (
               SELECT q.delivery_id, q.lease, q.expires_at FROM queue q
               WHERE q.expires_at <= now() AND (q.lease IS NULL OR q.due_at <= now())
               ORDER BY q.expires_at LIMIT $3 FOR UPDATE SKIP LOCKED) e
           ){_TAKE}""",
        lease,
        seconds,
        most,
    )
    return _claimed(rows, lease)


def _claimed(rows: Iterable[Any], lease: UUID) -> list[Claimed]:
    return [
        Claimed(
            delivery_id=row["delivery_id"],
            notification_id=row["notification_id"],
            lane=Lane(Priority(row["priority"]), row["lane"]),
            due_at=row["due_at"],
            lease=lease,
            attempts=row["attempts"],
            started_at=row["started_at"],
            rescued=row["rescued"],
            deferred=row["deferred"],
            spent=row["spent"],
            round_at=row["round_at"],
            maybe_taken=row["maybe_taken"],
            account=row["account"],
            avoid=tuple(row["avoid"].split()),
        )
        for row in sorted(rows, key=lambda row: (row["priority"], row["delivery_id"]))
    ]


@dataclass(frozen=True, slots=True)
class Head:
    """A lane with entries. due_in: seconds until its first is due, 0 or less when one is; due_at: when that is,
    None for never."""

    lane: Lane
    due_in: float
    due_at: datetime | None


async def heads(connection: Connection) -> list[Head]:
    """Every lane that has entries, in the order of urgency: one look into the index for each, so the cost
    does not depend on how much waits."""
    rows = await connection.fetch(
        """WITH RECURSIVE lanes AS (
             (SELECT priority, lane, due_at FROM queue ORDER BY priority, lane, due_at LIMIT 1)
             UNION ALL
             SELECT n.priority, n.lane, n.due_at FROM lanes l CROSS JOIN LATERAL (
               SELECT q.priority, q.lane, q.due_at FROM queue q WHERE (q.priority, q.lane) > (l.priority, l.lane)
               ORDER BY q.priority, q.lane, q.due_at LIMIT 1) n
           )
           SELECT priority, lane, CASE WHEN isfinite(due_at) THEN extract(epoch FROM due_at - now())::float8
             ELSE 'infinity' END AS due_in, CASE WHEN isfinite(due_at) THEN due_at END AS due_at FROM lanes"""
    )
    return [
        Head(Lane(Priority(row["priority"]), row["lane"]), float(row["due_in"]), row["due_at"])
        for row in rows
    ]


async def start(
    connection: Connection, lease: UUID, calls: Mapping[UUID, str], seconds: float
) -> set[UUID]:
    """Store the intent to call the provider, before the call; which deliveries are still ours. calls: the account
    that will be called for each, so that a rescuer knows who may have sent it."""
    ordered = sorted(calls.items())
    rows = await connection.fetch(
        """UPDATE queue SET started_at = clock_timestamp(), due_at = now() + make_interval(secs => $3),
             account = ($4::text[])[array_position($1, delivery_id)]
           WHERE delivery_id = ANY ($1::uuid[]) AND lease = $2 RETURNING delivery_id""",
        [delivery_id for delivery_id, _ in ordered],
        lease,
        seconds,
        [account for _, account in ordered],
    )
    return {row["delivery_id"] for row in rows}


async def renew(connection: Connection, held: Iterable[Hold], seconds: float) -> None:
    """Heartbeat: extend the leases that are still ours. What is locked is being started or settled at this
    moment and needs no renewal; waiting for it could end in a deadlock."""
    # Of two leases of a delivery, the later one.
    newest = list(dict(sorted(held, key=lambda hold: hold[1])).items())
    for first in range(0, len(newest), _RENEWED_AT_ONCE):
        part = newest[first : first + _RENEWED_AT_ONCE]
        await connection.execute(
            """WITH ours AS MATERIALIZED (
                 SELECT delivery_id FROM queue
                 WHERE delivery_id = ANY ($1::uuid[]) AND lease = ($2::uuid[])[array_position($1, delivery_id)]
                 FOR UPDATE SKIP LOCKED
               )
               UPDATE queue SET due_at = now() + make_interval(secs => $3)
               WHERE delivery_id = ANY (ARRAY(SELECT delivery_id FROM ours))""",
            [delivery_id for delivery_id, _ in part],
            [lease for _, lease in part],
            seconds,
        )


async def remove(connection: Connection, lease: UUID, delivery_ids: Sequence[UUID]) -> None:
    """Take off the queue what has nothing to deliver any more."""
    await connection.execute(
        "DELETE FROM queue WHERE delivery_id = ANY ($1::uuid[]) AND lease = $2", delivery_ids, lease
    )


async def give_back(connection: Connection, lease: UUID, claimed: Sequence[Claimed]) -> None:
    """Release what was claimed but not started, at the place in the line that it had."""
    await connection.execute(
        """UPDATE queue SET lease = NULL, due_at = ($3::timestamptz[])[array_position($1, delivery_id)]
           WHERE delivery_id = ANY ($1::uuid[]) AND lease = $2 AND started_at IS NULL""",
        [one.delivery_id for one in claimed],
        lease,
        [one.due_at for one in claimed],
    )


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """An entry that was taken off. maybe_taken: an earlier call may have sent it all the same."""

    delivery_id: UUID
    maybe_taken: bool


async def withdraw(connection: Connection, notification_id: UUID) -> list[Withdrawn]:
    """Remove a notification's entries whose call has not started; a worker that holds one finds its
    lease gone when it wants to start."""
    rows = await connection.fetch(
        """DELETE FROM queue WHERE delivery_id BETWEEN $1 AND $2 AND notification_id = $3 AND started_at IS NULL
           RETURNING delivery_id, maybe_taken""",
        *ids.delivery_range(notification_id),
        notification_id,  # the range of an id that is close to another's holds the other's entries
    )
    return [Withdrawn(row["delivery_id"], row["maybe_taken"]) for row in rows]


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
