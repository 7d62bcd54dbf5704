"""Settle: what became of attempts, written over queue, deliveries and attempts by one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tidings.domain.deliveries import DeliveryStatus
from tidings.store.database import Connection


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """A call that ended: what the provider answered, and when."""

    account: str | None
    started_at: datetime
    finished_at: datetime
    outcome: str
    reason: str
    detail: str | None


@dataclass(frozen=True, slots=True)
class SettlementRow:
    """retry_at: when it is tried again; None when it has ended. attempts: calls made, this one included.
    attempt: None where no call was made."""

    notification_id: UUID
    delivery_id: UUID
    lease: UUID
    retry_at: datetime | None
    status: DeliveryStatus
    reason: str
    detail: str | None
    attempts: int
    provider_message_id: str | None = None
    attempt: AttemptEnd | None = None


async def settle(
    connection: Connection, rows: Sequence[SettlementRow], now: datetime
) -> set[tuple[UUID, UUID]]:
    """Write all whose lease is still held; which (delivery, lease) were. The others change nothing.

    One statement, so it is atomic by itself and costs one round trip. Rows come sorted by delivery, so
    that two workers lock in the same order.
    """
    ordered = sorted(rows, key=lambda row: row.delivery_id)
    attempts = [row.attempt for row in ordered]
    mine = await connection.fetch(
        """WITH s AS MATERIALIZED (
             SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[],
               $7::text[], $8::smallint[], $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[],
               $13::text[], $14::text[], $15::text[])
               AS s (notification_id, delivery_id, lease, retry_at, status, reason, detail, attempts,
                 provider_message_id, account, started_at, finished_at, outcome, attempt_reason, attempt_detail)
           ), ended AS (
             DELETE FROM queue q USING s
             WHERE s.retry_at IS NULL AND q.delivery_id = s.delivery_id AND q.lease = s.lease
             RETURNING s.delivery_id, s.lease
           ), postponed AS (
             UPDATE queue q SET lease = NULL, started_at = NULL, attempts = s.attempts, due_at = s.retry_at FROM s
             WHERE s.retry_at IS NOT NULL AND q.delivery_id = s.delivery_id AND q.lease = s.lease
             RETURNING s.delivery_id, s.lease
           ), mine AS MATERIALIZED (
             SELECT s.* FROM (SELECT * FROM ended UNION ALL SELECT * FROM postponed) m
             JOIN s ON s.delivery_id = m.delivery_id AND s.lease = m.lease
           ), settled AS (
             UPDATE deliveries d SET status = m.status, reason = m.reason, detail = m.detail,
               account = m.account, attempts = m.attempts, provider_message_id = m.provider_message_id,
               sent_at = CASE WHEN m.status IN ('sent', 'delivered') THEN $16::timestamptz ELSE d.sent_at END,
               delivered_at = CASE WHEN m.status = 'delivered' THEN $16 ELSE d.delivered_at END,
               updated_at = $16
             FROM mine m WHERE d.notification_id = m.notification_id AND d.id = m.delivery_id
           ), tried AS (
             INSERT INTO attempts (delivery_id, number, account, started_at, finished_at, outcome, reason, detail)
             SELECT delivery_id, attempts, account, started_at, finished_at, outcome, attempt_reason,
               attempt_detail FROM mine WHERE outcome IS NOT NULL
           )
           SELECT delivery_id, lease FROM mine""",
        [row.notification_id for row in ordered],
        [row.delivery_id for row in ordered],
        [row.lease for row in ordered],
        [row.retry_at for row in ordered],
        [row.status for row in ordered],
        [row.reason for row in ordered],
        [row.detail for row in ordered],
        [row.attempts for row in ordered],
        [row.provider_message_id for row in ordered],
        [one and one.account for one in attempts],
        [one and one.started_at for one in attempts],
        [one and one.finished_at for one in attempts],
        [one and one.outcome for one in attempts],
        [one and one.reason for one in attempts],
        [one and one.detail for one in attempts],
        now,
    )
    return {(row["delivery_id"], row["lease"]) for row in mine}
