"""Accept: notifications, their deliveries and their queue entries, stored by one statement."""

from collections.abc import Sequence
from dataclasses import field
from datetime import datetime
from uuid import UUID

import orjson

from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.lanes import Lane
from tidings.domain.reasons import Reason
from tidings.domain.records import record
from tidings.store.database import Connection
from tidings.store.keyring import KeyRing
from tidings.store.notifications import NotificationRow


@record
class NewDelivery:
    """queued: whether its work begins; due_at: when, None for at once by the database's clock. decisions: those
    that led to it, as domain/explanations.py remembers them."""

    notification_id: UUID
    id: UUID
    channel: Channel
    address: str | None = field(repr=False)
    status: DeliveryStatus
    reason: Reason | None
    queued: bool
    lane: Lane
    due_at: datetime | None
    decisions: str | None = None


async def store(
    connection: Connection,
    notifications: Sequence[NotificationRow],
    deliveries: Sequence[NewDelivery],
    keyring: KeyRing,
) -> None:
    """Store all or nothing. One statement is atomic by itself, and one round trip."""
    await connection.execute(
        """WITH accepted AS (
             INSERT INTO notifications (id, api_key_id, template_id, template_version, category, priority, routing,
               on_unknown, user_id, correlation_id, collapse_key, batch_id, send_at, expires_at, replay_of, sealed)
             SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::text[], $6::smallint[],
               $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::uuid[], $13::timestamptz[],
               $14::timestamptz[], $15::uuid[], $16::bytea[])
           ), d AS MATERIALIZED (
             SELECT * FROM unnest($17::uuid[], $18::uuid[], $19::text[], $20::bytea[], $21::bytea[], $22::text[],
               $23::text[], $24::bool[], $25::smallint[], $26::int[], $27::timestamptz[], $28::text[],
               $29::timestamptz[])
               AS d (notification_id, id, channel, address_hash, sealed_address, status, reason, queued, priority,
                 lane, due_at, decisions, expires_at)
           ), planned AS (
             INSERT INTO deliveries (notification_id, id, channel, address_hash, sealed_address, status, reason,
               decisions)
             SELECT notification_id, id, channel, address_hash, sealed_address, status, reason, decisions FROM d
           )
           INSERT INTO queue (delivery_id, notification_id, priority, lane, due_at, round_at, expires_at)
           -- One that is queued with a reason waits for a time, before which trying does not begin.
           SELECT id, notification_id, priority, lane, coalesce(due_at, now()),
             CASE WHEN reason IS NOT NULL THEN due_at END, expires_at FROM d WHERE queued""",
        *_notification_arrays(notifications, keyring),
        *_delivery_arrays(deliveries, keyring),
        _expiries(notifications, deliveries),
    )


def _notification_arrays(rows: Sequence[NotificationRow], keyring: KeyRing) -> list[list[object]]:
    return [
        [row.id for row in rows],
        [row.api_key_id for row in rows],
        [row.template_id for row in rows],
        [row.template_version for row in rows],
        [row.category for row in rows],
        [int(row.priority) for row in rows],
        [row.routing for row in rows],
        [row.on_unknown for row in rows],
        [row.user_id for row in rows],
        [row.correlation_id for row in rows],
        [row.collapse_key for row in rows],
        [row.batch_id for row in rows],
        [row.send_at for row in rows],
        [row.expires_at for row in rows],
        [row.replay_of for row in rows],
        [keyring.seal(orjson.dumps(row.payload), row.id.bytes) for row in rows],
    ]


def _expiries(
    notifications: Sequence[NotificationRow], deliveries: Sequence[NewDelivery]
) -> list[datetime | None]:
    """Of each delivery's notification."""
    known = {row.id: row.expires_at for row in notifications}
    return [known[row.notification_id] for row in deliveries]


def _delivery_arrays(rows: Sequence[NewDelivery], keyring: KeyRing) -> list[list[object]]:
    return [
        [row.notification_id for row in rows],
        [row.id for row in rows],
        [row.channel for row in rows],
        [
            b"" if row.address is None else keyring.address_hash(row.channel, row.address)
            for row in rows
        ],
        [
            None if row.address is None else keyring.seal(row.address.encode(), row.id.bytes)
            for row in rows
        ],
        [row.status for row in rows],
        [row.reason for row in rows],
        [row.queued for row in rows],
        [int(row.lane.priority) for row in rows],
        [row.lane.number for row in rows],
        [row.due_at for row in rows],
        [row.decisions for row in rows],
    ]
