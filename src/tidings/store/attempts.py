"""Attempts: one row per call to a provider; append-only."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tidings.domain import ids
from tidings.store.database import Reader


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
    choice: str | None


async def of_notification(
    connection: Reader, notification_id: UUID
) -> dict[UUID, list[AttemptRow]]:
    """By delivery, in order."""
    rows = await connection.fetch(
        """SELECT delivery_id, number, account, started_at, finished_at, outcome, reason, detail, choice
           FROM attempts
           WHERE delivery_id BETWEEN $1 AND $2 ORDER BY delivery_id, number""",
        *ids.delivery_range(notification_id),
    )
    found: dict[UUID, list[AttemptRow]] = {}
    for row in rows:
        found.setdefault(row["delivery_id"], []).append(AttemptRow(**dict(row)))
    return found
