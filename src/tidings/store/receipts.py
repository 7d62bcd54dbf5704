"""Receipts: stored once each, and what they say of deliveries written there."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from uuid import UUID

import orjson

from tidings.domain import ids
from tidings.domain.channels import Channel
from tidings.domain.dead_letters import is_dead_letter
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.planning import Routing
from tidings.domain.receipts import Bounce, Landed, Receipt, ReceiptType, advanced
from tidings.domain.records import record
from tidings.store.database import Connection, Reader, Record
from tidings.store.keyring import KeyRing, KeyRingError

_TAKEN = 4  # the rank from which on a message was taken for sure, so that another try would be a second message
_EARLY_FOR = "7 days"
_LONGEST = 500
_NONE = UUID(int=0)
_PERSONAL = ("address", "recipient", "url", "user_agent", "ip_address", "text")


@dataclass(frozen=True, slots=True)
class Known:
    """A delivery that receipts are of. address: empty where the key ring does not open it. fresh: what was new of
    its receipts."""

    notification_id: UUID
    delivery_id: UUID
    channel: Channel
    address: str = field(repr=False)
    user_id: str | None
    category: str
    fresh: Sequence[Receipt]


@dataclass(frozen=True, slots=True)
class Stored:
    """known: the deliveries that something new was learnt of. stray: new receipts of no delivery. repeated: how many
    were known before."""

    known: Sequence[Known]
    stray: Sequence[tuple[str, Receipt]]
    repeated: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A delivery that its receipts took further."""

    notification_id: UUID
    delivery_id: UUID
    routing: Routing
    status: DeliveryStatus


@record
class _Row:
    notification_id: UUID
    id: UUID
    status: DeliveryStatus
    reason: str | None
    routing: Routing


async def store(
    connection: Connection, found: Sequence[tuple[str, Receipt]], keyring: KeyRing
) -> Stored:
    """Within a transaction: store (account, receipt), each once. What they say is written by `apply`."""
    receipts = {_id(account, one): (account, one) for account, one in found}
    wanted = sorted({one.delivery_id for _, one in receipts.values() if one.delivery_id})
    deliveries = await _deliveries(connection, wanted)
    matched = {
        key: pair
        for key, pair in receipts.items()
        if (known := deliveries.get(pair[1].delivery_id or _NONE)) is not None
        and _is_to(known, pair[1], keyring)
    }
    stray = {key: pair for key, pair in receipts.items() if key not in matched}
    fresh = await _insert(connection, matched, keyring)
    strayed = await _insert_stray(connection, stray, keyring) if stray else set()
    of: dict[UUID, list[Receipt]] = {}
    for key in fresh:
        _, one = matched[key]
        assert one.delivery_id is not None
        of.setdefault(one.delivery_id, []).append(one)
    return Stored(
        [_known(deliveries[delivery_id], new, keyring) for delivery_id, new in of.items()],
        [stray[key] for key in strayed],
        len(found) - len(fresh) - len(strayed),
    )


async def apply(connection: Connection, delivery_ids: Collection[UUID]) -> list[Moved]:
    """Within a transaction: write where all that is known of these takes them. Those for which a call is under way, or
    that another writes at the moment, are looked at again by `early`."""
    rows = await _locked(connection, sorted(delivery_ids))
    said = await _said(connection, delivery_ids)
    landed = {
        row: found
        for row in rows.values()
        if (found := advanced(row.status, said.get(row.id, ()))) is not None
    }
    waiting = [row.id for row in landed if row.status is DeliveryStatus.PENDING]
    ends = [
        row.id
        for row, found in landed.items()
        if row.status is DeliveryStatus.PENDING and found.rank >= _TAKEN
    ]
    ended = await _dequeued(connection, ends) if ends else set()
    held = {one for one in delivery_ids if one not in rows} | (set(waiting) - ended)
    await _keep_early(connection, held, set(delivery_ids) - held)
    moves = {
        row: found
        for row, found in landed.items()
        if row.id not in held and (row.status, row.reason) != (found.status, found.reason)
    }
    if moves:
        await _write(connection, moves)
    return [
        Moved(row.notification_id, row.id, row.routing, found.status)
        for row, found in moves.items()
        if row.status is not found.status
    ]


async def early(connection: Connection, limit: int) -> list[UUID]:
    """Of those that waited for the end of a call, those whose call has ended by now."""
    await connection.execute(
        f"DELETE FROM early_receipts WHERE since < now() - interval '{_EARLY_FOR}'"
    )
    rows = await connection.fetch(
        """SELECT e.delivery_id FROM early_receipts e LEFT JOIN queue q ON q.delivery_id = e.delivery_id
           WHERE q.started_at IS NULL ORDER BY e.since LIMIT $1""",
        limit,
    )
    return [row["delivery_id"] for row in rows]


async def any_early(connection: Reader) -> bool:
    found: bool = await connection.fetchval("SELECT EXISTS (SELECT FROM early_receipts)")
    return found


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """As it is told: without what is personal."""

    delivery_id: UUID
    type: ReceiptType
    occurred_at: datetime
    received_at: datetime
    account: str | None
    bounce: Bounce | None
    code: str | None
    detail: str | None


async def of_notification(
    connection: Reader, notification_id: UUID
) -> dict[UUID, list[ReceiptRow]]:
    """By delivery, in the order in which it happened."""
    low, high = ids.delivery_range(notification_id)
    rows = await connection.fetch(
        """SELECT delivery_id, type, occurred_at, received_at, account, bounce, code, detail FROM receipts
           WHERE delivery_id BETWEEN $1 AND $2 ORDER BY occurred_at, id""",
        low,
        high,
    )
    found: dict[UUID, list[ReceiptRow]] = {}
    for row in rows:
        found.setdefault(row["delivery_id"], []).append(
            ReceiptRow(
                row["delivery_id"],
                ReceiptType(row["type"]),
                row["occurred_at"],
                row["received_at"],
                row["account"],
                row["bounce"] and Bounce(row["bounce"]),
                row["code"],
                row["detail"],
            )
        )
    return found


def _id(account: str, receipt: Receipt) -> UUID:
    digest = blake2b(digest_size=16)
    for part in (account, receipt.event_id):
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return UUID(bytes=digest.digest())


async def _deliveries(connection: Reader, wanted: Sequence[UUID]) -> dict[UUID, Record]:
    if not wanted:
        return {}
    ranges = [ids.owner_range(one) for one in wanted]
    rows = await connection.fetch(
        """WITH owned AS MATERIALIZED (
             SELECT w.id, (SELECT d.notification_id FROM deliveries d
                           WHERE d.notification_id BETWEEN w.low AND w.high AND d.id = w.id) AS notification_id
             FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS w (id, low, high))
           SELECT d.id, d.notification_id, d.channel, d.sealed_address, d.address_hash, n.user_id,
             n.category
           FROM owned o JOIN deliveries d ON d.notification_id = o.notification_id AND d.id = o.id
           JOIN notifications n ON n.id = o.notification_id""",
        list(wanted),
        [low for low, _ in ranges],
        [high for _, high in ranges],
    )
    return {row["id"]: row for row in rows}


async def _insert(
    connection: Reader, receipts: Mapping[UUID, tuple[str, Receipt]], keyring: KeyRing
) -> list[UUID]:
    if not receipts:
        return []
    rows = await connection.fetch(
        """INSERT INTO receipts (delivery_id, id, type, occurred_at, account, bounce, code, detail, sealed)
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::text[], $6::text[],
             $7::text[], $8::text[], $9::bytea[])
           ON CONFLICT DO NOTHING RETURNING id""",
        [one.delivery_id for _, one in receipts.values()],
        *_columns(receipts, keyring),
    )
    return [row["id"] for row in rows]


async def _insert_stray(
    connection: Reader, receipts: Mapping[UUID, tuple[str, Receipt]], keyring: KeyRing
) -> set[UUID]:
    rows = await connection.fetch(
        """INSERT INTO stray_receipts (id, type, occurred_at, account, bounce, code, detail, sealed)
           SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[], $5::text[],
             $6::text[], $7::text[], $8::bytea[])
           ON CONFLICT DO NOTHING RETURNING id""",
        *_columns(receipts, keyring),
    )
    return {row["id"] for row in rows}


def _columns(
    receipts: Mapping[UUID, tuple[str, Receipt]], keyring: KeyRing
) -> tuple[list[object], ...]:
    pairs = list(receipts.values())
    return (
        list(receipts),
        [one.type for _, one in pairs],
        [one.at for _, one in pairs],
        [account for account, _ in pairs],
        [one.bounce for _, one in pairs],
        [_storable(one.code) for _, one in pairs],
        [_storable(one.detail) for _, one in pairs],
        [_sealed(key, one, keyring) for key, (_, one) in receipts.items()],
    )


def _sealed(key: UUID, receipt: Receipt, keyring: KeyRing) -> bytes | None:
    personal = {
        name: value.encode("utf-8", "replace").decode()
        for name in _PERSONAL
        if (value := getattr(receipt, name)) is not None
    }
    return keyring.seal(orjson.dumps(personal), key.bytes) if personal else None


def _storable(text: str) -> str | None:
    """What a vendor said, as PostgreSQL can hold it."""
    return text[:_LONGEST].replace("\x00", "").encode("utf-8", "replace").decode() or None


def _is_to(delivery: Record, receipt: Receipt, keyring: KeyRing) -> bool:
    """Not so of those who got a copy: vendors report each reader of an email under its one reference."""
    if receipt.address is None or delivery["channel"] != Channel.EMAIL:
        return True
    digest: bytes = delivery["address_hash"]
    return keyring.address_hash(Channel.EMAIL, receipt.address) == digest


def _known(row: Record, fresh: Sequence[Receipt], keyring: KeyRing) -> Known:
    try:
        address = keyring.open(row["sealed_address"] or b"", row["id"].bytes).decode()
    except KeyRingError:
        address = ""
    return Known(
        row["notification_id"],
        row["id"],
        Channel(row["channel"]),
        address,
        row["user_id"],
        row["category"],
        fresh,
    )


async def _locked(connection: Connection, wanted: Sequence[UUID]) -> dict[UUID, _Row]:
    """Those that nobody else writes at the moment: to wait for them could be waiting in a circle."""
    ranges = [ids.owner_range(one) for one in wanted]
    rows = await connection.fetch(
        """WITH owned AS MATERIALIZED (
             SELECT w.id, (SELECT d.notification_id FROM deliveries d
                           WHERE d.notification_id BETWEEN w.low AND w.high AND d.id = w.id) AS notification_id
             FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS w (id, low, high))
           SELECT d.id, d.notification_id, d.status, d.reason, n.routing
           FROM owned o JOIN deliveries d ON d.notification_id = o.notification_id AND d.id = o.id
           JOIN notifications n ON n.id = o.notification_id FOR UPDATE OF d SKIP LOCKED""",
        list(wanted),
        [low for low, _ in ranges],
        [high for _, high in ranges],
    )
    return {
        row["id"]: _Row(
            row["notification_id"],
            row["id"],
            DeliveryStatus(row["status"]),
            row["reason"],
            row["routing"],
        )
        for row in rows
    }


async def _said(
    connection: Reader, delivery_ids: Collection[UUID]
) -> dict[UUID, list[tuple[ReceiptType, Bounce | None]]]:
    rows = await connection.fetch(
        """SELECT DISTINCT delivery_id, type, bounce FROM receipts WHERE delivery_id = ANY ($1::uuid[])""",
        list(delivery_ids),
    )
    found: dict[UUID, list[tuple[ReceiptType, Bounce | None]]] = {}
    for row in rows:
        bounce = row["bounce"] and Bounce(row["bounce"])
        found.setdefault(row["delivery_id"], []).append((ReceiptType(row["type"]), bounce))
    return found


async def _dequeued(connection: Connection, ends: Sequence[UUID]) -> set[UUID]:
    """Taken off the queue, where no call for them is under way: they would be sent a second time."""
    rows = await connection.fetch(
        """DELETE FROM queue WHERE delivery_id = ANY (ARRAY(
             SELECT delivery_id FROM queue WHERE delivery_id = ANY ($1::uuid[]) AND started_at IS NULL
             FOR UPDATE SKIP LOCKED)) RETURNING delivery_id""",
        list(ends),
    )
    return {row["delivery_id"] for row in rows}


async def _keep_early(
    connection: Connection, held: Collection[UUID], done: Collection[UUID]
) -> None:
    if held:
        await connection.execute(
            """INSERT INTO early_receipts (delivery_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING""",
            list(held),
        )
    if done:
        await connection.execute(
            "DELETE FROM early_receipts WHERE delivery_id = ANY ($1::uuid[])", list(done)
        )


async def _write(connection: Connection, moves: Mapping[_Row, Landed]) -> None:
    await connection.execute(
        """UPDATE deliveries d SET status = w.status, reason = w.reason, updated_at = now(),
             sent_at = coalesce(d.sent_at, now()),
             delivered_at = CASE WHEN w.status = 'delivered' THEN coalesce(d.delivered_at, now()) ELSE d.delivered_at END
           FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) AS w (notification_id, id, status, reason)
           WHERE d.notification_id = w.notification_id AND d.id = w.id""",
        [row.notification_id for row in moves],
        [row.id for row in moves],
        [found.status for found in moves.values()],
        [found.reason for found in moves.values()],
    )
    dead = [row.id for row, found in moves.items() if is_dead_letter(found.status, found.reason)]
    alive = [row.id for row in moves if row.id not in set(dead)]
    if dead:
        await connection.execute(
            """INSERT INTO dead_letters (delivery_id, notification_id, api_key_id, batch_id, template_id, channel,
                 status, reason, account)
               SELECT d.id, n.id, n.api_key_id, n.batch_id, n.template_id, d.channel, d.status, d.reason, d.account
               FROM unnest($1::uuid[], $2::uuid[]) AS w (notification_id, id)
               JOIN notifications n ON n.id = w.notification_id
               JOIN deliveries d ON d.notification_id = w.notification_id AND d.id = w.id
               ON CONFLICT (delivery_id) DO UPDATE SET status = excluded.status, reason = excluded.reason,
                 account = excluded.account""",
            [row.notification_id for row in moves if row.id in set(dead)],
            dead,
        )
    if alive:
        await connection.execute(
            "DELETE FROM dead_letters WHERE delivery_id = ANY ($1::uuid[]) AND state = 'waiting'",
            alive,
        )
