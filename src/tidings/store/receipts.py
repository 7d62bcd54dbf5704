"""Receipts: stored once each, beside the delivery that they are of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from uuid import UUID

import orjson

from tidings.domain import ids
from tidings.domain.channels import Channel
from tidings.domain.receipts import Bounce, Receipt, ReceiptType
from tidings.store.database import Connection, Reader, Record
from tidings.store.keyring import KeyRing, KeyRingError

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


async def store(
    connection: Connection, found: Sequence[tuple[str, Receipt]], keyring: KeyRing
) -> Stored:
    """Within a transaction: store (account, receipt), each once. What they say is written by landings.py."""
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
        [account or None for account, _ in pairs],
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


async def forget_strays_before(
    connection: Connection, moment: datetime, *, most: int = 1_000
) -> int:
    """Delete what came of no delivery before; how many."""
    done = await connection.execute(
        """DELETE FROM stray_receipts WHERE id = ANY (ARRAY(
             SELECT id FROM stray_receipts WHERE received_at < $1 ORDER BY received_at LIMIT $2))""",
        moment,
        most,
    )
    return int(done.removeprefix("DELETE "))
