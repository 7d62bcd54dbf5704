"""Audit: the promises of the design, checked over every row."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass

from tidings.domain.dead_letters import FAILED_FOR_GOOD, NOT_WANTED
from tidings.domain.reasons import Reason
from tidings.store.database import Connection
from tidings.store.upkeep import PARTITIONED

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Check:
    """promise: what must hold. query: what breaks it, as one text column of ids, names or codes, and nothing
    of a recipient. {reasons}, {failed}, {unwanted}, {lease} and {tables} stand for the parameters that it takes."""

    name: str
    promise: str
    query: str


CHECKS = (
    Check(
        "notification_without_deliveries",
        "Every notification has its deliveries.",
        """SELECT n.id::text FROM notifications n
           WHERE NOT EXISTS (SELECT FROM deliveries d WHERE d.notification_id = n.id)""",
    ),
    Check(
        "delivery_without_notification",
        "Every delivery belongs to a notification.",
        """SELECT d.id::text FROM deliveries d
           WHERE NOT EXISTS (SELECT FROM notifications n WHERE n.id = d.notification_id)""",
    ),
    Check(
        "pending_not_queued",
        "Every pending delivery is in the queue, waits as a fallback, or is parked with its batch.",
        """SELECT d.id::text FROM deliveries d JOIN notifications n ON n.id = d.notification_id
           WHERE d.status = 'pending' AND d.reason IS DISTINCT FROM 'fallback_waiting'
             AND NOT EXISTS (SELECT FROM queue q WHERE q.delivery_id = d.id)
             AND NOT EXISTS (SELECT FROM batches b WHERE b.id = n.batch_id AND b.state <> 'running')
             AND NOT EXISTS (SELECT FROM batch_sweeps s WHERE s.batch_id = n.batch_id)""",
    ),
    Check(
        "fallback_forgotten",
        "A fallback that waits has an earlier channel that is still being tried.",
        """SELECT d.id::text FROM deliveries d
           WHERE d.status = 'pending' AND d.reason = 'fallback_waiting' AND NOT EXISTS (
             SELECT FROM deliveries o WHERE o.notification_id = d.notification_id AND o.id < d.id
               AND o.status = 'pending')""",
    ),
    Check(
        "queued_not_pending",
        "Everything in the queue is a pending delivery whose turn has come.",
        """SELECT q.delivery_id::text FROM queue q WHERE NOT EXISTS (
             SELECT FROM deliveries d WHERE d.notification_id = q.notification_id AND d.id = q.delivery_id
               AND d.status = 'pending' AND d.reason IS DISTINCT FROM 'fallback_waiting')""",
    ),
    Check(
        "attempts_with_gaps",
        "The attempts of a delivery are numbered from 1 without gaps, and are as many as it says.",
        """SELECT coalesce(d.id, a.delivery_id)::text FROM deliveries d FULL JOIN (
             SELECT delivery_id, count(*) AS made, min(number) AS first, max(number) AS last
             FROM attempts GROUP BY delivery_id) a ON a.delivery_id = d.id
           WHERE d.attempts IS DISTINCT FROM coalesce(a.made, 0)
             OR a.first IS DISTINCT FROM CASE WHEN a.made > 0 THEN 1 END
             OR a.last IS DISTINCT FROM a.made""",
    ),
    Check(
        "sent_without_acceptance",
        "Whatever is sent or delivered was accepted by a provider.",
        """SELECT d.id::text FROM deliveries d WHERE d.status IN ('sent', 'delivered') AND NOT EXISTS (
             SELECT FROM attempts a WHERE a.delivery_id = d.id AND a.outcome = 'accepted')""",
    ),
    Check(
        "unknown_without_doubt",
        "Whatever is unknown had an attempt that ended as unknown.",
        """SELECT d.id::text FROM deliveries d WHERE d.status = 'unknown' AND NOT EXISTS (
             SELECT FROM attempts a WHERE a.delivery_id = d.id AND a.outcome = 'unknown')""",
    ),
    Check(
        "verdict_without_reason",
        "Every verdict has a reason from the closed list.",
        """SELECT d.id::text FROM deliveries d WHERE d.reason <> ALL ({reasons}::text[])
             OR d.reason IS NULL AND d.status <> 'pending'
           UNION ALL
           SELECT a.delivery_id::text FROM attempts a WHERE a.reason <> ALL ({reasons}::text[])""",
    ),
    Check(
        "dead_letter_missing",
        "Whatever failed for good has its dead letter, unless that was kept for long enough.",
        """SELECT d.id::text FROM deliveries d
           WHERE d.status = ANY ({failed}::text[]) AND coalesce(d.reason, '') <> ALL ({unwanted}::text[])
             AND NOT EXISTS (SELECT FROM dead_letters l WHERE l.delivery_id = d.id)
             AND NOT EXISTS (SELECT FROM forgotten
                             WHERE what = 'dead_letters' AND d.updated_at < uuid_time(before))""",
    ),
    Check(
        "dead_letter_astray",
        "Every dead letter is of a delivery that ended as it says, unless that was kept for long enough.",
        """SELECT l.delivery_id::text FROM dead_letters l
           JOIN deliveries d ON d.notification_id = l.notification_id AND d.id = l.delivery_id
           WHERE d.status <> l.status OR d.reason IS DISTINCT FROM l.reason""",
    ),
    Check(
        "replay_astray",
        "A dead letter names its replays, and each of them names it.",
        """SELECT n.id::text FROM dead_letters l CROSS JOIN unnest(l.replays) AS made (id)
           JOIN notifications n ON n.id = made.id WHERE n.replay_of IS DISTINCT FROM l.delivery_id
           UNION ALL
           SELECT n.id::text FROM notifications n JOIN dead_letters l ON l.delivery_id = n.replay_of
           WHERE n.id <> ALL (l.replays)""",
    ),
    Check(
        "batch_missing",
        "Every notification of a batch finds its batch.",
        """SELECT n.id::text FROM notifications n WHERE n.batch_id IS NOT NULL
             AND NOT EXISTS (SELECT FROM batches b WHERE b.id = n.batch_id)""",
    ),
    Check(
        "batch_out_of_balance",
        "The counts of every batch balance: each of its notifications has one status, none has ended and is queued,"
        " and no more lines were refused than there were.",
        """SELECT b.id::text FROM batches b LEFT JOIN (
             SELECT n.batch_id, count(*) AS accepted, count(d.notification_id) AS counted,
               count(*) FILTER (WHERE NOT d.pending AND q.notification_id IS NOT NULL) AS queued
             FROM notifications n
             LEFT JOIN (SELECT notification_id, bool_or(status = 'pending') AS pending FROM deliveries
                        GROUP BY notification_id) d ON d.notification_id = n.id
             LEFT JOIN (SELECT DISTINCT notification_id FROM queue) q ON q.notification_id = n.id
             WHERE n.batch_id IS NOT NULL GROUP BY n.batch_id) c ON c.batch_id = b.id
           WHERE c.accepted <> c.counted OR c.queued > 0 OR b.refused > b.lines""",
    ),
    Check(
        "idempotency_key_astray",
        "Every idempotency key leads to its notification, unless that was kept for long enough.",
        """SELECT k.notification_id::text FROM idempotency_keys k
           WHERE NOT EXISTS (SELECT FROM notifications n WHERE n.id = k.notification_id)
             AND NOT EXISTS (SELECT FROM forgotten WHERE what = 'notifications' AND k.notification_id < before)""",
    ),
    Check(
        "inbox_without_delivery",
        "Every entry of an inbox belongs to a delivery that may have arrived, unless that was kept for long enough.",
        """SELECT i.id::text FROM inbox i LEFT JOIN deliveries d ON d.id = i.id
           WHERE d.status NOT IN ('pending', 'sent', 'delivered', 'unknown') OR d.id IS NULL
             AND NOT EXISTS (SELECT FROM forgotten WHERE what = 'notifications' AND i.id < before)""",
    ),
    Check(
        "feed_out_of_count",
        "The counters of every feed are those of its entries, unless some of these have just been forgotten.",
        """SELECT coalesce(f.user_id, c.user_id) FROM feeds f FULL JOIN (
             SELECT user_id, count(*) FILTER (WHERE read_at IS NULL AND archived_at IS NULL) AS unread,
               count(*) FILTER (WHERE seen_at IS NULL AND archived_at IS NULL) AS unseen,
               count(*) FILTER (WHERE archived_at IS NULL) AS total
             FROM inbox GROUP BY user_id) c ON c.user_id = f.user_id
           WHERE (coalesce(f.unread, 0), coalesce(f.unseen, 0), coalesce(f.total, 0))
               <> (coalesce(c.unread, 0), coalesce(c.unseen, 0), coalesce(c.total, 0))
             AND NOT EXISTS (SELECT FROM forgotten WHERE what = 'inbox' AND at > f.counted_at)""",
    ),
    Check(
        "feed_with_gaps",
        "The numbers of a feed's changes have no gaps, and end with its last.",
        """SELECT f.user_id FROM feeds f JOIN feed_changes c ON c.user_id = f.user_id
           GROUP BY f.user_id, f.last HAVING max(c.number) <> f.last OR max(c.number) - min(c.number) >= count(*)""",
    ),
    Check(
        "lease_left_behind",
        "No lease has run out for longer than ten leases.",
        """SELECT q.delivery_id::text FROM queue q
           WHERE q.lease IS NOT NULL AND q.due_at < now() - 10 * make_interval(secs => {lease}::float8)""",
    ),
    Check(
        "partition_missing",
        "This week and the next have their partitions.",
        """SELECT name FROM unnest({tables}::text[]) AS parent, generate_series(0, 1) AS ahead,
             LATERAL (SELECT parent || to_char(now() AT TIME ZONE 'UTC' + ahead * interval '7 days',
               '_IYYY"w"IW') AS name) AS week
           WHERE to_regclass(name) IS NULL""",
    ),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """count: how many break the promise; samples: a few of them."""

    check: Check
    count: int
    samples: Collection[str]


async def audit(
    connection: Connection, *, lease: float, samples: int = 10
) -> AsyncIterator[Finding]:
    """A finding for each check, with a count of zero where the promise holds. lease: seconds.

    All checks see the database at one moment, so that what works on meanwhile breaks nothing. That view
    keeps PostgreSQL from cleaning up behind it: on a large database, run it when there is little to do.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for check in CHECKS:
            yield await _find(connection, check, lease, samples)


async def _find(connection: Connection, check: Check, lease: float, samples: int) -> Finding:
    values = {
        "reasons": [str(reason) for reason in Reason],
        "failed": [str(status) for status in FAILED_FOR_GOOD],
        "unwanted": [str(reason) for reason in NOT_WANTED],
        "lease": lease,
        "tables": list(PARTITIONED),
    }
    taken = [name for name in values if f"{{{name}}}" in check.query]
    query = check.query.format(**{name: f"${n}" for n, name in enumerate(taken, 1)})
    cursor = await connection.cursor(query, *(values[name] for name in taken))
    count, kept = 0, list[str]()
    while page := await cursor.fetch(_PAGE):
        count += len(page)
        kept += [row[0] for row in page[: samples - len(kept)]]
    return Finding(check, count, kept)
