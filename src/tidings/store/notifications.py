"""Notifications: stored in batches, read with what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from tidings.domain import ids
from tidings.domain.planning import OnUnknown, Routing
from tidings.domain.priorities import Priority
from tidings.domain.records import record
from tidings.store.database import Reader, Record
from tidings.store.keyring import KeyRing, KeyRingError


@record
class NotificationFacts:
    """What is stored of a notification in the open: readable with any key ring. replay_of: the delivery that
    it sends once more."""

    id: UUID
    api_key_id: UUID
    template_id: str
    template_version: int
    category: str
    priority: Priority
    routing: Routing
    on_unknown: OnUnknown
    user_id: str | None
    correlation_id: str | None
    collapse_key: str | None
    batch_id: UUID | None
    send_at: datetime | None
    expires_at: datetime | None
    replay_of: UUID | None = field(default=None, kw_only=True)

    @property
    def accepted_at(self) -> datetime:
        return ids.time_of(self.id)


@record
class NotificationRow(NotificationFacts):
    """A notification as stored. payload: data, recipient and metadata; sealed at rest."""

    payload: Mapping[str, Any] = field(repr=False)


FACTS = """id, api_key_id, template_id, template_version, category, priority, routing, on_unknown,
  user_id, correlation_id, collapse_key, batch_id, send_at, expires_at, replay_of"""


async def fetch(
    connection: Reader, notification_id: UUID, keyring: KeyRing
) -> NotificationRow | None:
    """Raises KeyRingError where the ring does not open its payload."""
    row = await connection.fetchrow(
        f"SELECT {FACTS}, sealed FROM notifications WHERE id = $1", notification_id
    )
    return None if row is None else notification_row(row, keyring)


async def fetch_many(
    connection: Reader, notification_ids: Sequence[UUID], keyring: KeyRing
) -> dict[UUID, NotificationRow | None]:
    """Those of these that are stored; None for one that the ring does not open."""
    rows = await connection.fetch(
        f"SELECT {FACTS}, sealed FROM notifications WHERE id = ANY ($1::uuid[])", notification_ids
    )
    found: dict[UUID, NotificationRow | None] = {}
    for row in rows:
        try:
            found[row["id"]] = notification_row(row, keyring)
        except KeyRingError:
            found[row["id"]] = None  # one such must not keep the others from being read
    return found


async def facts(connection: Reader, notification_id: UUID) -> NotificationFacts | None:
    row = await connection.fetchrow(
        f"SELECT {FACTS} FROM notifications WHERE id = $1", notification_id
    )
    return None if row is None else NotificationFacts(**facts_of(row))


async def batch_of(connection: Reader, notification_id: UUID) -> UUID | None:
    """The batch that it belongs to."""
    found: UUID | None = await connection.fetchval(
        "SELECT batch_id FROM notifications WHERE id = $1", notification_id
    )
    return found


def notification_row(row: Record, keyring: KeyRing) -> NotificationRow:
    """From a row that has all the columns of the table."""
    payload = orjson.loads(keyring.open(row["sealed"], row["id"].bytes))
    return NotificationRow(**facts_of(row), payload=payload)


def facts_of(row: Record) -> dict[str, Any]:
    values = {name: value for name, value in row.items() if name != "sealed"}
    return {**values, "priority": Priority(row["priority"])}
