"""Settle: what became of attempts, written over queue, deliveries, attempts and dead letters by one statement."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tidings.domain.dead_letters import is_dead_letter
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.records import record
from tidings.store.database import Connection


@record
class AttemptEnd:
    """A call that ended: what the provider answered, and when. choice: why this account."""

    account: str | None
    choice: str | None
    started_at: datetime
    finished_at: datetime
    outcome: str
    reason: str
    detail: str | None


@record
class SettlementRow:
    """retry_at: when it is tried again; None when it has ended. attempts: calls made, this one included, and
    deferred: how many of them do not count. attempt: None where no call was made. maybe_taken, pinned and
    avoid: what the next attempt must know, see queue/postgres.py. round_at: from when on the time for trying counts
    anew. decided: what is to be remembered beside the reason, a word of domain/explanations.py."""

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
    deferred: int = 0
    maybe_taken: bool = False
    pinned: str | None = None
    avoid: tuple[str, ...] = ()
    round_at: datetime | None = None
    decided: str | None = None


_STATEMENT = """WITH s AS MATERIALIZED (
  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[],
    $7::text[], $8::smallint[], $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[],
    $13::text[], $14::text[], $15::text[], $27::text[], $28::text[])
    AS s (notification_id, delivery_id, lease, retry_at, status, reason, detail, attempts,
      provider_message_id, account, started_at, finished_at, outcome, attempt_reason, attempt_detail,
      choice, decided)
), ended AS (
  DELETE FROM queue WHERE delivery_id = ANY ($17::uuid[])
    AND lease = ($18::uuid[])[array_position($17, delivery_id)]
  RETURNING delivery_id
), postponed AS (
  UPDATE queue SET lease = NULL, started_at = NULL,
    attempts = ($21::smallint[])[array_position($19, delivery_id)],
    due_at = ($22::timestamptz[])[array_position($19, delivery_id)],
    deferred = ($23::smallint[])[array_position($19, delivery_id)],
    maybe_taken = ($24::bool[])[array_position($19, delivery_id)],
    account = ($25::text[])[array_position($19, delivery_id)],
    avoid = ($26::text[])[array_position($19, delivery_id)],
    round_at = coalesce(($29::timestamptz[])[array_position($19, delivery_id)], round_at)
  WHERE delivery_id = ANY ($19::uuid[]) AND lease = ($20::uuid[])[array_position($19, delivery_id)]
  RETURNING delivery_id
), mine AS MATERIALIZED (
  SELECT s.* FROM (SELECT * FROM ended UNION ALL SELECT * FROM postponed) m
  JOIN s ON s.delivery_id = m.delivery_id
), settled AS (
  UPDATE deliveries d SET status = m.status, reason = m.reason, detail = m.detail,
    -- Who was called last, also where it ends or waits without another call: it may have sent it.
    account = coalesce(m.account, d.account), attempts = m.attempts, provider_message_id = m.provider_message_id,
    sent_at = CASE WHEN m.status IN ('sent', 'delivered') THEN coalesce(m.finished_at, $16::timestamptz) ELSE d.sent_at END,
    delivered_at = CASE WHEN m.status = 'delivered' THEN coalesce(m.finished_at, $16) ELSE d.delivered_at END,
    decisions = CASE WHEN m.decided IS NULL OR m.reason = d.reason OR length(d.decisions) > 2000
      THEN d.decisions ELSE concat_ws(' ', d.decisions, m.decided) END,
    updated_at = $16
  FROM mine m WHERE d.notification_id = m.notification_id AND d.id = m.delivery_id
), tried AS (
  INSERT INTO attempts (delivery_id, number, account, started_at, finished_at, outcome, reason, detail,
    choice)
  SELECT delivery_id, attempts, account, started_at, finished_at, outcome, attempt_reason,
    attempt_detail, choice FROM mine WHERE outcome IS NOT NULL
){bury}
SELECT delivery_id, lease FROM mine"""

_BURY = """, buried AS (
  INSERT INTO dead_letters (delivery_id, notification_id, api_key_id, batch_id, template_id, channel, status,
    reason, account)
  SELECT d.id, n.id, n.api_key_id, n.batch_id, n.template_id, d.channel, m.status, m.reason,
    coalesce(m.account, (SELECT a.account FROM attempts a WHERE a.delivery_id = m.delivery_id
                         ORDER BY a.number DESC LIMIT 1))
  FROM mine m JOIN notifications n ON n.id = m.notification_id
  JOIN deliveries d ON d.notification_id = m.notification_id AND d.id = m.delivery_id
  WHERE m.delivery_id = ANY ($30::uuid[])
  ON CONFLICT (delivery_id) DO UPDATE SET id = excluded.id, status = excluded.status, reason = excluded.reason,
    account = excluded.account, state = 'waiting'
)"""
# Most batches have nothing to bury.
_SETTLE, _SETTLE_AND_BURY = _STATEMENT.format(bury=""), _STATEMENT.format(bury=_BURY)


async def settle(
    connection: Connection, rows: Sequence[SettlementRow], now: datetime
) -> set[tuple[UUID, UUID]]:
    """Write all whose lease is still held; which (delivery, lease) were. The others change nothing.

    One statement, so it is atomic by itself and costs one round trip. Of two rows of a delivery, which
    this worker claimed again when it was too slow, only the later lease can still be held. The queue is
    found by ANY (array), see queue/postgres.py.
    """
    newest = {row.delivery_id: row for row in sorted(rows, key=lambda row: row.lease)}
    ordered = sorted(newest.values(), key=lambda row: row.delivery_id)
    ended = [row for row in ordered if row.retry_at is None]
    postponed = [row for row in ordered if row.retry_at is not None]
    attempts = [row.attempt for row in ordered]
    dead = [row.delivery_id for row in ended if is_dead_letter(row.status, row.reason)]
    mine = await connection.fetch(
        _SETTLE_AND_BURY if dead else _SETTLE,
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
        [row.delivery_id for row in ended],
        [row.lease for row in ended],
        [row.delivery_id for row in postponed],
        [row.lease for row in postponed],
        [row.attempts for row in postponed],
        [row.retry_at for row in postponed],
        [row.deferred for row in postponed],
        [row.maybe_taken for row in postponed],
        [row.pinned for row in postponed],
        [" ".join(row.avoid) for row in postponed],
        [one and one.choice for one in attempts],
        [row.decided for row in ordered],
        [row.round_at for row in postponed],
        *([dead] if dead else ()),
    )
    return {(row["delivery_id"], row["lease"]) for row in mine}
