"""Attempts: one row per call to a provider; append-only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tidings.domain import ids
from tidings.store.database import Connection, Reader


@dataclass(frozen=True, slots=True)
class AttemptRow:
    delivery_id: UUID
    number: int
    account: str | None
    started_at: datetime
    finished_at: datetime
    outcome: str
    reason: str
    detail: str | None


async def insert(connection: Connection, rows: Sequence[AttemptRow]) -> None:
    """Store many with one statement."""
    await connection.execute(
        """INSERT INTO attempts (delivery_id, number, account, started_at, finished_at, outcome, reason, detail)
           SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::timestamptz[], $5::timestamptz[],
             $6::text[], $7::text[], $8::text[])""",
        [row.delivery_id for row in rows],
        [row.number for row in rows],
        [row.account for row in rows],
        [row.started_at for row in rows],
        [row.finished_at for row in rows],
        [row.outcome for row in rows],
        [row.reason for row in rows],
        [row.detail for row in rows],
    )


async def of_notification(
    connection: Reader, notification_id: UUID
) -> dict[UUID, list[AttemptRow]]:
    """By delivery, in order."""
    rows = await connection.fetch(
        """SELECT delivery_id, number, account, started_at, finished_at, outcome, reason, detail FROM attempts
           WHERE delivery_id BETWEEN $1 AND $2 ORDER BY delivery_id, number""",
        *ids.delivery_range(notification_id),
    )
    found: dict[UUID, list[AttemptRow]] = {}
    for row in rows:
        found.setdefault(row["delivery_id"], []).append(AttemptRow(**dict(row)))
    return found
