"""Sweeps: what is done with all of a batch, page by page, each page a short transaction of its own.

Where a sweep has come to is a row. So it goes on after a crash, in whichever process looks next, and any
number of processes can look: a sweep that is being worked on is passed over.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog

from tidings.domain.channels import Channel
from tidings.domain.explanations import Mark
from tidings.domain.lanes import lane_number
from tidings.domain.reasons import Reason
from tidings.store import dead_letters
from tidings.store.database import Connection, Record

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_PAGE = 500  # notifications


async def step(connection: Connection, queued: Callable[[], None]) -> bool:
    """Do one page of a sweep that nobody works on; False when there is none. queued: called after the commit of one
    that put something on the queue, for the workers to be woken."""
    async with connection.transaction():
        # Any of them: one that fails each time keeps no other back, and a long one not a short one.
        sweep = await connection.fetchrow(
            """SELECT batch_id, kind, include_unknown, after FROM batch_sweeps
               ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED"""
        )
        if sweep is None:
            return False
        batch_id, kind = sweep["batch_id"], sweep["kind"]
        page = await _page(connection, batch_id, sweep["after"])
        if kind == "resume":
            await _resume(connection, page)
        elif kind == "cancel":
            await withdraw(connection, page, Reason.CANCELLED)
        else:
            await _retry(connection, page, include_unknown=sweep["include_unknown"])
        if len(page) == _PAGE:
            await connection.execute(
                "UPDATE batch_sweeps SET after = $3 WHERE batch_id = $1 AND kind = $2",
                batch_id,
                kind,
                page[-1],
            )
        else:
            await connection.execute(
                "DELETE FROM batch_sweeps WHERE batch_id = $1 AND kind = $2", batch_id, kind
            )
    if kind != "cancel" and page:
        queued()
    return True


async def finish(connection: Connection, queued: Callable[[], None]) -> None:
    """Do the sweeps that whoever began them left."""
    while await step(connection, queued):
        log.info("batch.swept")


async def withdraw(
    connection: Connection, notification_ids: Sequence[UUID], reason: Reason
) -> None:
    """Cancel what has not been sent of these notifications, and is not being sent. What an earlier attempt may
    have sent ends as unknown: nobody can say that it was not."""
    pending = await connection.fetch(
        """SELECT id FROM deliveries WHERE notification_id = ANY ($1::uuid[]) AND status = 'pending'
           ORDER BY id""",
        notification_ids,
    )
    ids = [row["id"] for row in pending]
    dequeued = await connection.fetch(
        """DELETE FROM queue WHERE delivery_id = ANY ($1::uuid[]) AND started_at IS NULL
           RETURNING delivery_id, maybe_taken""",
        ids,
    )
    await _end(connection, notification_ids, dequeued, reason)
    # A fallback is let go under the lock of its delivery's row, for which _end() waits: so what was let go
    # since we began is seen here. What a worker holds at this moment is not waited for, see
    # deliveries.withdraw_released().
    released = await connection.fetch(
        """DELETE FROM queue WHERE delivery_id = ANY (ARRAY(
             SELECT delivery_id FROM queue WHERE delivery_id = ANY ($1::uuid[])
               AND started_at IS NULL AND NOT maybe_taken FOR UPDATE SKIP LOCKED))
           RETURNING delivery_id, maybe_taken""",
        ids,
    )
    if released:
        await _end(connection, notification_ids, released, reason)
    if reason is Reason.COLLAPSED and len(dequeued) + len(released) < len(ids):
        await _mark(connection, notification_ids, reason)


async def _mark(connection: Connection, notification_ids: Sequence[UUID], reason: Reason) -> None:
    """What is being sent at this moment is not tried again: deliveries.load() sees it."""
    await connection.execute(
        """UPDATE deliveries SET decisions = concat_ws(' ', decisions, $2::text)
           WHERE notification_id = ANY ($1::uuid[]) AND status = 'pending'""",
        notification_ids,
        str(Mark(reason, datetime.now(UTC))),
    )


async def _end(
    connection: Connection,
    notification_ids: Sequence[UUID],
    dequeued: Sequence[Record],
    reason: Reason,
) -> None:
    """What was taken off the queue, and the fallbacks that were never on it."""
    await connection.execute(
        """UPDATE deliveries SET reason = $4, detail = NULL, updated_at = now(),
             status = CASE WHEN id = ANY ($3::uuid[]) THEN 'unknown' ELSE 'cancelled' END
           WHERE notification_id = ANY ($1::uuid[]) AND status = 'pending'
             AND (id = ANY ($2::uuid[]) OR reason = 'fallback_waiting')""",
        notification_ids,
        [row["delivery_id"] for row in dequeued],
        [row["delivery_id"] for row in dequeued if row["maybe_taken"]],
        reason,
    )


async def _page(connection: Connection, batch_id: UUID, after: UUID) -> list[UUID]:
    rows = await connection.fetch(
        "SELECT id FROM notifications WHERE batch_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        batch_id,
        after,
        _PAGE,
    )
    return [row["id"] for row in rows]


async def _resume(connection: Connection, page: Sequence[UUID]) -> None:
    pending = await connection.fetch(
        """SELECT id FROM deliveries WHERE notification_id = ANY ($1::uuid[]) AND status = 'pending'
           ORDER BY id""",
        page,
    )
    await connection.execute(
        """UPDATE queue SET due_at = now()
           WHERE delivery_id = ANY ($1::uuid[]) AND due_at = 'infinity' AND lease IS NULL""",
        [row["id"] for row in pending],
    )


async def _retry(connection: Connection, page: Sequence[UUID], *, include_unknown: bool) -> None:
    """Back on the queue, in a new round of tries; the attempts before stay, and the numbers go on from them.

    Where the channels were a fallback, its chain begins again, unless one of them arrived or may do so. What was
    replayed is left to its replay.
    """
    again = ["failed", "unknown"] if include_unknown else ["failed"]
    failed = await connection.fetch(
        """SELECT id FROM deliveries WHERE notification_id = ANY ($1::uuid[]) AND status = ANY ($2::text[])
             AND sealed_address IS NOT NULL""",  # null: the person was erased
        page,
        again,
    )
    letters = await dead_letters.hold(connection, [row["id"] for row in failed])
    replayed = [one.delivery_id for one in letters if one.replays]
    retried = {row["id"] for row in failed}.difference(replayed)
    rows = await connection.fetch(
        """WITH chosen AS MATERIALIZED (
             SELECT d.notification_id, d.id, d.channel, d.attempts, d.status = 'unknown' AS maybe_taken,
               CASE WHEN d.status = 'unknown' THEN d.account END AS account,
               n.priority, n.expires_at, coalesce(k.number, 0) AS app,
               n.routing = 'all' OR row_number() OVER (PARTITION BY n.id ORDER BY d.id) = 1 AS first
             FROM notifications n JOIN deliveries d ON d.notification_id = n.id
             LEFT JOIN api_keys k ON k.id = n.api_key_id
             WHERE n.id = ANY ($1::uuid[]) AND d.notification_id = ANY ($1::uuid[]) AND d.status = ANY ($2::text[])
               AND d.id = ANY ($3::uuid[])
               AND (n.routing = 'all' OR NOT EXISTS (
                 SELECT FROM deliveries o WHERE o.notification_id = n.id
                   AND (o.status IN ('pending', 'sent', 'delivered', 'unknown') AND o.status <> ALL ($2::text[])
                        OR o.id = ANY ($4::uuid[]))))
           ), revived AS (
             DELETE FROM dead_letters WHERE delivery_id = ANY (ARRAY(SELECT id FROM chosen))
           ), put AS (
             UPDATE deliveries d SET status = 'pending', detail = NULL, updated_at = now(),
               reason = CASE WHEN NOT c.first THEN 'fallback_waiting' END
             FROM chosen c WHERE d.notification_id = c.notification_id AND d.id = c.id RETURNING d.id
           )
           -- Only what was there to be put: retention may have deleted it since it was chosen.
           SELECT * FROM chosen WHERE first AND id = ANY (ARRAY(SELECT id FROM put)) ORDER BY id""",
        page,
        again,
        list(retried),
        replayed,
    )
    await connection.execute(
        """INSERT INTO queue (delivery_id, notification_id, priority, lane, attempts, spent, maybe_taken, account,
             expires_at, due_at, round_at)
           SELECT *, now(), now() FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::int[], $5::smallint[],
             $5::smallint[], $6::bool[], $7::text[], $8::timestamptz[])
           ON CONFLICT DO NOTHING""",
        [row["id"] for row in rows],
        [row["notification_id"] for row in rows],
        [row["priority"] for row in rows],
        [lane_number(row["app"], Channel(row["channel"])) for row in rows],
        [row["attempts"] for row in rows],
        [row["maybe_taken"] for row in rows],
        [row["account"] for row in rows],
        [row["expires_at"] for row in rows],
    )
