"""Events that wait to be told. Triggers record them, in the transaction of what has happened: migration 0025."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from tidings.domain import ids
from tidings.domain.events import Facts
from tidings.store.database import Connection, Reader
from tidings.store.keyring import KeyRing, KeyRingError


@dataclass(frozen=True, slots=True)
class Untold:
    """A recorded event with what is known of its delivery. data: what is told of it."""

    position: int
    at: datetime
    facts: Facts
    user_id: str | None
    data: Mapping[str, Any] = field(repr=False)


async def take(connection: Connection, most: int, keyring: KeyRing) -> tuple[int, list[Untold]]:
    """Within a transaction: the first ones, which are gone with it; how many they were, and those whose notification is
    still stored. What another process has taken is passed over."""
    rows = await connection.fetch(
        """DELETE FROM events WHERE position = ANY (ARRAY(
             SELECT position FROM events ORDER BY position LIMIT $1 FOR UPDATE SKIP LOCKED))
           RETURNING position, type, at, delivery_id, data""",
        most,
    )
    known = await _known(connection, sorted({row["delivery_id"] for row in rows}), keyring)
    found = [
        Untold(
            row["position"],
            row["at"],
            Facts(row["type"], of.template_id, of.category, of.channel),
            of.user_id,
            {"delivery_id": str(row["delivery_id"]), **of.data, **row["data"]},
        )
        for row in rows
        if (of := known.get(row["delivery_id"])) is not None
    ]
    return len(rows), sorted(found, key=lambda one: one.position)


async def waiting(connection: Reader) -> int:
    """How many are recorded and not told yet."""
    found: int = await connection.fetchval("SELECT count(*) FROM events")
    return found


async def pin(connection: Connection, accounts: Mapping[UUID, str]) -> None:
    """Within the transaction that put these deliveries on the queue: only this account may send each."""
    await connection.execute(
        """UPDATE queue SET account = ($2::text[])[array_position($1, delivery_id)]
           WHERE delivery_id = ANY ($1::uuid[])""",
        list(accounts),
        list(accounts.values()),
    )


@dataclass(frozen=True, slots=True)
class _Known:
    template_id: str
    category: str
    channel: str
    user_id: str | None
    data: Mapping[str, Any] = field(repr=False)


async def _known(
    connection: Reader, wanted: Sequence[UUID], keyring: KeyRing
) -> dict[UUID, _Known]:
    if not wanted:
        return {}
    ranges = [ids.owner_range(one) for one in wanted]
    rows = await connection.fetch(
        """WITH owned AS MATERIALIZED (
             SELECT w.id, (SELECT d.notification_id FROM deliveries d
                           WHERE d.notification_id BETWEEN w.low AND w.high AND d.id = w.id) AS notification_id
             FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS w (id, low, high))
           SELECT d.id, d.channel, n.id AS notification_id, n.template_id, n.template_version, n.category, n.user_id,
             n.correlation_id, n.batch_id, n.sealed
           FROM owned o JOIN deliveries d ON d.notification_id = o.notification_id AND d.id = o.id
           JOIN notifications n ON n.id = o.notification_id""",
        list(wanted),
        [low for low, _ in ranges],
        [high for _, high in ranges],
    )
    return {
        row["id"]: _Known(
            row["template_id"],
            row["category"],
            row["channel"],
            row["user_id"],
            {
                "notification_id": str(row["notification_id"]),
                "channel": row["channel"],
                "template_id": row["template_id"],
                "template_version": row["template_version"],
                "category": row["category"],
                "user_id": row["user_id"],
                "correlation_id": row["correlation_id"],
                "batch_id": row["batch_id"] and str(row["batch_id"]),
                "metadata": _metadata(row["sealed"], row["notification_id"], keyring),
            },
        )
        for row in rows
    }


def _metadata(sealed: bytes, notification_id: UUID, keyring: KeyRing) -> Mapping[str, str]:
    """What the application gave with the notification; nothing where the ring does not open it."""
    try:
        payload = orjson.loads(keyring.open(sealed, notification_id.bytes))
    except KeyRingError:
        return {}
    metadata: Mapping[str, str] = payload.get("metadata", {})
    return metadata
