"""Notifications: stored in batches, read with what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from tidings.domain import ids
from tidings.domain.channels import Channel
from tidings.domain.deliveries import SIGNIFICANCE, DeliveryStatus
from tidings.domain.planning import OnUnknown, Routing
from tidings.domain.priorities import Priority
from tidings.store.database import Reader, Record
from tidings.store.keyring import KeyRing


@dataclass(frozen=True, slots=True)
class NotificationFacts:
    """What is stored of a notification in the open: readable with any key ring."""

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

    @property
    def accepted_at(self) -> datetime:
        return ids.time_of(self.id)


@dataclass(frozen=True, slots=True)
class NotificationRow(NotificationFacts):
    """A notification as stored. payload: data, recipient and metadata; sealed at rest."""

    payload: Mapping[str, Any] = field(repr=False)


_FACTS = """id, api_key_id, template_id, template_version, category, priority, routing, on_unknown,
  user_id, correlation_id, collapse_key, batch_id, send_at, expires_at"""


async def fetch(
    connection: Reader, notification_id: UUID, keyring: KeyRing
) -> NotificationRow | None:
    """Raises KeyRingError where the ring does not open its payload."""
    row = await connection.fetchrow(
        f"SELECT {_FACTS}, sealed FROM notifications WHERE id = $1", notification_id
    )
    return None if row is None else notification_row(row, keyring)


async def facts(connection: Reader, notification_id: UUID) -> NotificationFacts | None:
    row = await connection.fetchrow(
        f"SELECT {_FACTS} FROM notifications WHERE id = $1", notification_id
    )
    return None if row is None else NotificationFacts(**_facts(row))


async def batch_of(connection: Reader, notification_id: UUID) -> UUID | None:
    """The batch that it belongs to."""
    found: UUID | None = await connection.fetchval(
        "SELECT batch_id FROM notifications WHERE id = $1", notification_id
    )
    return found


@dataclass(frozen=True, slots=True)
class Filter:
    """What to list; None and empty mean any. status is the status of the whole notification."""

    status: DeliveryStatus | None = None
    channel: Channel | None = None
    template_id: str | None = None
    correlation_id: str | None = None
    user_id: str | None = None
    address_hashes: Sequence[bytes] = ()
    since: datetime | None = None
    until: datetime | None = None


async def listed(
    connection: Reader,
    wanted: Filter,
    *,
    before: UUID | None,
    limit: int,
) -> list[NotificationFacts]:
    """Newest first, below the id `before` (keyset pagination)."""
    upper = ids.first_at(wanted.until) if wanted.until else None
    if before is not None:
        upper = before if upper is None else min(before, upper)
    arguments: list[object] = []

    def bind(value: object) -> str:
        arguments.append(value)
        return f"${len(arguments)}"

    conditions = ["true"]
    if upper is not None:
        conditions.append(f"n.id < {bind(upper)}")
    if wanted.since:
        conditions.append(f"n.id >= {bind(ids.first_at(wanted.since))}")
    conditions += [
        f"n.{column} = {bind(value)}"
        for column in ("template_id", "correlation_id", "user_id")
        if (value := getattr(wanted, column)) is not None
    ]
    if wanted.address_hashes:
        conditions.append(
            f"""n.id IN (SELECT notification_id FROM deliveries
                WHERE address_hash = ANY({bind(list(wanted.address_hashes))}::bytea[]) AND address_hash <> '')"""
        )
    if wanted.channel is not None:
        conditions.append(
            f"EXISTS (SELECT FROM deliveries d WHERE d.notification_id = n.id AND d.channel = {bind(wanted.channel)})"
        )
    if wanted.status is not None:
        ranked = bind([str(status) for status in SIGNIFICANCE])
        conditions.append(
            f"""(SELECT d.status FROM deliveries d WHERE d.notification_id = n.id
                 ORDER BY array_position({ranked}::text[], d.status) LIMIT 1) = {bind(wanted.status)}"""
        )
    rows = await connection.fetch(
        f"""SELECT {_FACTS} FROM notifications n WHERE {" AND ".join(conditions)}
            ORDER BY n.id DESC LIMIT {bind(limit)}""",
        *arguments,
    )
    return [NotificationFacts(**_facts(row)) for row in rows]


def notification_row(row: Record, keyring: KeyRing) -> NotificationRow:
    """From a row that has all the columns of the table."""
    payload = orjson.loads(keyring.open(row["sealed"], row["id"].bytes))
    return NotificationRow(**_facts(row), payload=payload)


def _facts(row: Record) -> dict[str, Any]:
    values = {name: value for name, value in row.items() if name != "sealed"}
    return {**values, "priority": Priority(row["priority"])}
