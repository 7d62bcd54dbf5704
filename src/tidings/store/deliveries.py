"""Deliveries: one row per notification, channel and address; the unit of truth."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import orjson

from tidings.domain import ids
from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.planning import OnUnknown, Routing
from tidings.domain.preferences import NO_PREFERENCES, Preferences
from tidings.domain.reasons import Reason
from tidings.domain.records import record
from tidings.domain.senders import Sender
from tidings.domain.suppressions import Block
from tidings.store import preferences
from tidings.store.database import Connection, Reader, Record
from tidings.store.keyring import KeyRing, KeyRingError
from tidings.store.suppressions import BLOCKS, read_blocks


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery as read for people: without its address. due_at: when it is tried next, if it waits for a time. waits:
    how it waits in the queue, in which lane, and for which account alone; None while a worker holds it."""

    notification_id: UUID
    id: UUID
    channel: Channel
    status: DeliveryStatus
    reason: str | None
    detail: str | None
    account: str | None
    attempts: int
    provider_message_id: str | None
    sent_at: datetime | None
    delivered_at: datetime | None
    updated_at: datetime | None
    due_at: datetime | None
    in_flight: bool
    waits: Literal["due", "later", "parked"] | None
    lane: int | None
    pinned: str | None


@record
class Work:
    """All that a worker needs to know of a delivery and its notification.

    unreadable: what is stored could not be opened or understood, and is left out. blocks: what the suppression list keeps away
    from the address at this moment. replaced: a newer
    notification took its place while it was being sent. sender: who its template says that it is from, once that
    is at hand.
    """

    notification_id: UUID
    delivery_id: UUID
    channel: Channel
    address: str = field(repr=False)
    template_id: str
    template_version: int
    category: str
    routing: Routing
    on_unknown: OnUnknown
    user_id: str | None
    send_at: datetime | None
    expires_at: datetime | None
    payload: Mapping[str, Any] = field(repr=False)
    batch_id: UUID | None = None
    unreadable: bool = False
    blocks: Sequence[Block] = ()
    replaced: bool = False
    preferences: Preferences = NO_PREFERENCES
    sender: Sender | None = None
    collapse_key: str | None = None

    @property
    def tries_from(self) -> datetime:
        """When trying to deliver begins: at the scheduled time, but not before acceptance."""
        accepted_at = ids.time_of(self.notification_id)
        return max(self.send_at, accepted_at) if self.send_at else accepted_at


async def load(
    connection: Reader, claimed: Sequence[tuple[UUID, UUID]], keyring: KeyRing
) -> dict[UUID, Work]:
    """What is to be delivered, by delivery id; claimed: (notification id, delivery id)."""
    rows = await connection.fetch(
        f"""SELECT d.notification_id, d.id, d.channel, d.sealed_address, n.template_id, n.template_version,
             n.category, n.routing, n.on_unknown, n.user_id, n.batch_id, n.send_at, n.expires_at, n.sealed,
             n.collapse_key, d.decisions ~ '(^| )collapsed@' AS replaced, {BLOCKS} AS blocks,
             {preferences.COLUMN}
           FROM unnest($1::uuid[], $2::uuid[]) AS c (notification_id, id)
           JOIN deliveries d ON d.notification_id = c.notification_id AND d.id = c.id
           JOIN notifications n ON n.id = c.notification_id
           LEFT JOIN preferences p ON p.user_id = n.user_id""",
        [notification_id for notification_id, _ in claimed],
        [delivery_id for _, delivery_id in claimed],
    )
    return {row["id"]: _work(row, keyring) for row in rows}


async def cancel(
    connection: Connection,
    notification_id: UUID,
    dequeued: Collection[UUID],
    maybe_taken: Collection[UUID],
) -> list[UUID]:
    """Cancel what was taken off the queue, and the fallbacks that were never on it; which they were. Those
    that an earlier call may have sent end as unknown."""
    rows = await connection.fetch(
        """UPDATE deliveries SET status = CASE WHEN id = ANY($3::uuid[]) THEN 'unknown' ELSE 'cancelled' END,
             reason = 'cancelled', detail = NULL, updated_at = now()
           WHERE notification_id = $1 AND status = 'pending'
             AND (id = ANY($2::uuid[]) OR reason = 'fallback_waiting')
           RETURNING id""",
        notification_id,
        list(dequeued),
        list(maybe_taken),
    )
    return [row["id"] for row in rows]


async def withdraw_released(connection: Connection, notification_id: UUID) -> list[UUID]:
    """Remove the queue entries that were made since `cancel` began, which were taken.

    A fallback is let go under the lock of its delivery's row, which `cancel` waits for: either the
    cancelling comes first and nothing is let go, or its entry is seen here. What a worker holds at this
    moment is passed over and not waited for: it may itself wait for the rows that `cancel` has changed.
    """
    rows = await connection.fetch(
        """DELETE FROM queue WHERE delivery_id = ANY (ARRAY(
             SELECT delivery_id FROM queue WHERE delivery_id BETWEEN $1 AND $2 AND notification_id = $3
               AND started_at IS NULL AND NOT maybe_taken FOR UPDATE SKIP LOCKED))
           RETURNING delivery_id""",
        *ids.delivery_range(notification_id),
        notification_id,
    )
    return [row["delivery_id"] for row in rows]


@dataclass(frozen=True, slots=True)
class Released:
    """A fallback whose turn has come, with what its queue entry needs. app: number of the API key."""

    notification_id: UUID
    delivery_id: UUID
    channel: Channel
    priority: int
    app: int
    expires_at: datetime | None


async def release_fallbacks(
    connection: Connection, notification_ids: Sequence[UUID]
) -> list[Released]:
    """Let the next channel of each fallback begin; what is to be enqueued."""
    rows = await connection.fetch(
        """UPDATE deliveries d SET reason = NULL, updated_at = now()
           FROM (SELECT w.notification_id,
                   (SELECT min(f.id::text)::uuid FROM deliveries f WHERE f.notification_id = w.notification_id
                      AND f.status = 'pending' AND f.reason = 'fallback_waiting') AS id,
                   n.priority, n.expires_at, coalesce(k.number, 0) AS app
                 FROM unnest($1::uuid[]) AS w (notification_id) JOIN notifications n ON n.id = w.notification_id
                 LEFT JOIN api_keys k ON k.id = n.api_key_id) next
           WHERE d.notification_id = next.notification_id AND d.id = next.id
             AND d.status = 'pending' AND d.reason = 'fallback_waiting'  -- not cancelled meanwhile
           RETURNING d.notification_id, d.id, d.channel, next.priority, next.app, next.expires_at""",
        notification_ids,
    )
    return [
        Released(
            row["notification_id"],
            row["id"],
            Channel(row["channel"]),
            row["priority"],
            row["app"],
            row["expires_at"],
        )
        for row in rows
    ]


async def drop_fallbacks(
    connection: Connection, notification_ids: Sequence[UUID], reason: Reason
) -> None:
    """The channels behind one that ended the chain are not tried."""
    await connection.execute(
        """UPDATE deliveries SET status = 'skipped', reason = $2, updated_at = now()
           WHERE notification_id = ANY($1::uuid[]) AND status = 'pending' AND reason = 'fallback_waiting'""",
        notification_ids,
        reason,
    )


async def of_notifications(
    connection: Reader, notification_ids: Sequence[UUID]
) -> dict[UUID, list[DeliveryRow]]:
    """The deliveries of each notification, in their order."""
    rows = await connection.fetch(
        """SELECT d.notification_id, d.id, d.channel, d.status, d.reason, d.detail, d.account, d.attempts,
             d.provider_message_id, d.sent_at, d.delivered_at, d.updated_at,
             CASE WHEN q.lease IS NULL AND isfinite(q.due_at) THEN q.due_at END AS due_at,
             q.started_at IS NOT NULL AS in_flight, q.lane, q.account AS pinned,
             CASE WHEN q.delivery_id IS NULL OR q.lease IS NOT NULL THEN NULL WHEN q.due_at <= now() THEN 'due'
               WHEN isfinite(q.due_at) THEN 'later' ELSE 'parked' END AS waits
           FROM deliveries d LEFT JOIN queue q ON q.delivery_id = d.id AND d.status = 'pending'
           WHERE d.notification_id = ANY($1::uuid[]) ORDER BY d.id""",
        notification_ids,
    )
    found: dict[UUID, list[DeliveryRow]] = {
        notification_id: [] for notification_id in notification_ids
    }
    for row in rows:
        found[row["notification_id"]].append(_delivery_row(row))
    return found


async def decisions_of(connection: Reader, notification_id: UUID) -> dict[UUID, str | None]:
    """What is remembered of the decisions on each, see domain/explanations.py."""
    rows = await connection.fetch(
        "SELECT id, decisions FROM deliveries WHERE notification_id = $1", notification_id
    )
    return {row["id"]: row["decisions"] for row in rows}


async def mark(connection: Connection, notification_id: UUID, delivery_id: UUID, word: str) -> int:
    """Remember a Mark of what is about to be done; how many of its code there were before."""
    code = word.partition("@")[0]
    found: int | None = await connection.fetchval(
        """UPDATE deliveries SET decisions = concat_ws(' ', decisions, $3::text)
           WHERE notification_id = $1 AND id = $2
           RETURNING regexp_count(decisions, '(^| )' || $4::text || '@') - 1""",
        notification_id,
        delivery_id,
        word,
        code,
    )
    return found or 0


async def unmark(
    connection: Connection, notification_id: UUID, delivery_id: UUID, code: Reason
) -> None:
    """Forget the last Mark of this code."""
    await connection.execute(
        """UPDATE deliveries
           SET decisions = nullif(regexp_replace(decisions, '^(.*)(^| )' || $3::text || '@[^ ]*', '\\1'), '')
           WHERE notification_id = $1 AND id = $2""",
        notification_id,
        delivery_id,
        code,
    )


async def find(connection: Reader, delivery_id: UUID) -> DeliveryRow | None:
    """A delivery by its id alone: its notification's id lies just below it."""
    low, high = ids.owner_range(delivery_id)
    notification_id = await connection.fetchval(
        "SELECT notification_id FROM deliveries WHERE notification_id BETWEEN $1 AND $2 AND id = $3",
        low,
        high,
        delivery_id,
    )
    if notification_id is None:
        return None
    rows = await of_notifications(connection, [notification_id])
    return next(row for row in rows[notification_id] if row.id == delivery_id)


def _work(row: Record, keyring: KeyRing) -> Work:
    """One row that cannot be read must not keep the others of its batch from being sent: neither by this key ring, nor
    by this release, where a later one beside it writes what this one does not know."""
    address, payload, unreadable = "", {}, False
    blocks: Sequence[Block] = ()
    chosen = NO_PREFERENCES
    try:
        address = keyring.open(row["sealed_address"] or b"", row["id"].bytes).decode()
        payload = orjson.loads(keyring.open(row["sealed"], row["notification_id"].bytes))
        blocks = read_blocks(row["blocks"])
        chosen = preferences.parsed(row["preferences"])
    except (KeyRingError, ValueError, KeyError, TypeError):
        unreadable = True
    return Work(
        notification_id=row["notification_id"],
        delivery_id=row["id"],
        channel=Channel(row["channel"]),
        address=address,
        template_id=row["template_id"],
        template_version=row["template_version"],
        category=row["category"],
        routing=row["routing"],
        on_unknown=row["on_unknown"],
        user_id=row["user_id"],
        send_at=row["send_at"],
        expires_at=row["expires_at"],
        payload=payload,
        batch_id=row["batch_id"],
        unreadable=unreadable,
        blocks=blocks,
        replaced=bool(row["replaced"]),
        collapse_key=row["collapse_key"],
        preferences=chosen,
    )


def _delivery_row(row: Record) -> DeliveryRow:
    values = dict(row)
    return DeliveryRow(
        **{**values, "channel": Channel(row["channel"]), "status": DeliveryStatus(row["status"])}
    )
