"""All that was sent to a person, to show it to them or to take the person out of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from tidings.domain.channels import Channel
from tidings.store import attachments, conversions, engagements, link_targets
from tidings.store.database import Connection, Reader, Record
from tidings.store.keyring import KeyRing, KeyRingError

_FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Trail:
    """By what a person is found: their id, and keyed hashes of their addresses, by which what was sent to them
    without an id is found."""

    user_id: str
    digests: Collection[bytes] = ()


_THEIRS = """(SELECT n.id FROM notifications n WHERE n.user_id = $1 AND n.id > $3 ORDER BY n.id LIMIT $4)
  UNION
  (SELECT n.id FROM deliveries d JOIN notifications n ON n.id = d.notification_id
   WHERE d.address_hash = ANY ($2::bytea[]) AND d.address_hash <> '' AND n.user_id IS NULL
     AND d.notification_id > $3 ORDER BY n.id LIMIT $4)
  ORDER BY id LIMIT $4"""


async def page(connection: Reader, trail: Trail, *, after: UUID = _FIRST, limit: int) -> list[UUID]:
    """Their notifications behind the id `after`, the oldest first. Of an address that others have, too, only those
    that name no other user."""
    rows = await connection.fetch(_THEIRS, trail.user_id, list(trail.digests), after, limit)
    return [row["id"] for row in rows]


async def in_full(
    connection: Reader, notification_ids: Sequence[UUID], keyring: KeyRing
) -> list[dict[str, Any]]:
    """Notifications with their deliveries, as documents for the person they went to."""
    rows = await connection.fetch(
        """SELECT id, uuid_time(id) AS accepted_at, template_id, template_version, category, correlation_id, send_at,
             expires_at, sealed FROM notifications WHERE id = ANY ($1::uuid[]) ORDER BY id""",
        list(notification_ids),
    )
    sent = await connection.fetch(
        """SELECT notification_id, id, channel, sealed_address, status, reason, account, attempts, sent_at,
             delivered_at FROM deliveries WHERE notification_id = ANY ($1::uuid[]) ORDER BY id""",
        list(notification_ids),
    )
    deliveries: dict[UUID, list[dict[str, Any]]] = {}
    for row in sent:
        document = {name: row[name] for name in _DELIVERY}
        document["address"] = _text(row["sealed_address"], row["id"].bytes, keyring)
        deliveries.setdefault(row["notification_id"], []).append(document)
    return [_notification(row, deliveries.get(row["id"], []), keyring) for row in rows]


_DELIVERY = ("channel", "status", "reason", "account", "attempts", "sent_at", "delivered_at")


def _notification(
    row: Record, deliveries: list[dict[str, Any]], keyring: KeyRing
) -> dict[str, Any]:
    payload = _text(row["sealed"], row["id"].bytes, keyring)
    content: Mapping[str, Any] = {} if payload is None else orjson.loads(payload)
    return {
        **{name: row[name] for name in row.keys() if name not in {"id", "sealed"}},  # noqa: SIM118 - a Record
        "notification_id": row["id"],
        "data": content.get("data"),
        "metadata": content.get("metadata"),
        **({"email": content["email"]} if "email" in content else {}),
        "unreadable": payload is None,
        "deliveries": deliveries,
    }


def _text(sealed: bytes | None, bound_to: bytes, keyring: KeyRing) -> str | None:
    if sealed is None:
        return None
    try:
        return keyring.open(sealed, bound_to).decode()
    except KeyRingError:
        return None


async def still_pending(connection: Reader, notification_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these that have a delivery which has not ended."""
    rows = await connection.fetch(
        """SELECT DISTINCT notification_id FROM deliveries
           WHERE notification_id = ANY ($1::uuid[]) AND status = 'pending'""",
        list(notification_ids),
    )
    return {row["notification_id"] for row in rows}


async def addresses_of(
    connection: Reader, notification_ids: Sequence[UUID]
) -> set[tuple[Channel, bytes]]:
    """Where they went: (channel, address hash)."""
    rows = await connection.fetch(
        """SELECT DISTINCT channel, address_hash FROM deliveries
           WHERE notification_id = ANY ($1::uuid[]) AND address_hash <> ''""",
        list(notification_ids),
    )
    return {(Channel(row["channel"]), row["address_hash"]) for row in rows}


async def anonymise(
    connection: Connection, notification_ids: Sequence[UUID], pseudonym: str, keyring: KeyRing
) -> None:
    """Within a transaction: of these nothing is kept but what became of them. No delivery of theirs may be pending.

    What they held is gone for good: data, metadata, files, addresses, references, what providers said, and what lies in
    inbox and outbox."""
    nobody = {"user_id": pseudonym, "locale": None, "timezone": None}
    empty = orjson.dumps({"data": {}, "recipient": nobody, "metadata": {}})
    ordered = sorted(notification_ids)
    await connection.execute(
        """UPDATE notifications n SET sealed = w.sealed, correlation_id = NULL, collapse_key = NULL,
             user_id = CASE WHEN n.user_id IS NULL THEN NULL ELSE $3 END
           FROM unnest($1::uuid[], $2::bytea[]) AS w (id, sealed) WHERE n.id = w.id""",
        ordered,
        [keyring.seal(empty, one.bytes) for one in ordered],
        pseudonym,
    )
    rows = await connection.fetch(
        """UPDATE deliveries SET sealed_address = NULL, detail = NULL, provider_message_id = NULL,
             address_hash = CASE WHEN address_hash = '' THEN address_hash ELSE uuid_send(gen_random_uuid()) END
           WHERE notification_id = ANY ($1::uuid[]) RETURNING id""",
        ordered,
    )
    delivery_ids = [row["id"] for row in rows]
    await attachments.forget_of(connection, ordered)
    await link_targets.forget_of(connection, delivery_ids)
    await engagements.anonymise(connection, delivery_ids)
    await conversions.anonymise(connection, keyring, of=[*ordered, *delivery_ids])
    for table in ("attempts", "receipts"):
        await connection.execute(
            f"UPDATE {table} SET detail = NULL WHERE delivery_id = ANY ($1::uuid[]) AND detail IS NOT NULL",
            delivery_ids,
        )
    await connection.execute(
        "UPDATE receipts SET sealed = NULL WHERE delivery_id = ANY ($1::uuid[]) AND sealed IS NOT NULL",
        delivery_ids,
    )
    for table in ("inbox", "outbox"):
        await connection.execute(f"DELETE FROM {table} WHERE id = ANY ($1::uuid[])", delivery_ids)
    await connection.execute(
        """UPDATE dead_letters SET state = 'discarded', changed_at = now()
           WHERE delivery_id = ANY ($1::uuid[]) AND state = 'waiting'""",
        delivery_ids,
    )
