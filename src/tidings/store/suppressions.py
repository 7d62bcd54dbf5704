"""Addresses that must not be sent to, and why."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from tidings.domain.channels import Channel
from tidings.domain.suppressions import Block, SuppressionReason
from tidings.store.database import Connection, Reader, Record
from tidings.store.keyring import KeyRing, KeyRingError

_REASONS = {one.value: one for one in SuppressionReason}
_MANY_CHANNELS = tuple(Channel)
_IN_FORCE = "(s.expires_at IS NULL OR s.expires_at > now())"

BLOCKS = f"""(SELECT array_agg(s.reason || ' ' || s.category) FROM suppressions s
  WHERE s.channel = d.channel AND s.address_hash = d.address_hash AND {_IN_FORCE})"""
"""SQL for a query of deliveries `d`: what `read_blocks` reads."""


@dataclass(frozen=True, slots=True)
class NewSuppression:
    """category: empty for every category. expires_at: from then on it does not count. detail: the delivery's
    reason, where one led to it. note: for people."""

    channel: Channel
    address: str = field(repr=False)
    reason: SuppressionReason
    category: str = ""
    expires_at: datetime | None = None
    detail: str | None = None
    note: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Suppression:
    """address: None where it was erased, and for one that the key ring does not open."""

    id: UUID
    channel: Channel
    address: str | None = field(repr=False)
    reason: SuppressionReason
    category: str
    expires_at: datetime | None
    detail: str | None
    note: str | None = field(repr=False)
    created_at: datetime


async def blocks_among(
    connection: Reader, pairs: Collection[tuple[Channel, bytes]], categories: Collection[str]
) -> dict[tuple[Channel, bytes], list[Block]]:
    """What of these categories is kept away from these (channel, address hash)."""
    rows = await connection.fetch(
        f"""SELECT s.channel, s.address_hash, s.reason, s.category
            FROM unnest($1::text[], $2::bytea[]) AS w (channel, address_hash)
            JOIN suppressions s USING (channel, address_hash)
            WHERE {_IN_FORCE} AND s.category = ANY ($3::text[])""",
        [channel for channel, _ in pairs],
        [digest for _, digest in pairs],
        ["", *categories],
    )
    found: dict[tuple[Channel, bytes], list[Block]] = {}
    for row in rows:
        block = Block(_REASONS[row["reason"]], row["category"])
        # A channel equals its name, also as a key.
        found.setdefault((row["channel"], row["address_hash"]), []).append(block)
    return found


def read_blocks(texts: Sequence[str] | None) -> tuple[Block, ...]:
    """What `BLOCKS` selected."""
    parts = (text.partition(" ") for text in texts or ())
    return tuple(Block(SuppressionReason(reason), category) for reason, _, category in parts)


async def suppress(
    connection: Connection, addresses: Sequence[tuple[Channel, str, str]], keyring: KeyRing
) -> None:
    """Put (channel, address, the delivery's reason) on the list as bounced; what is there stays as it is,
    unless it has expired."""
    fresh = [
        NewSuppression(channel, address, SuppressionReason.BOUNCED, detail=why)
        for channel, address, why in addresses
    ]
    await add(connection, fresh, keyring, replace=False)


async def add(
    connection: Reader, fresh: Sequence[NewSuppression], keyring: KeyRing, *, replace: bool
) -> tuple[int, int]:
    """Put these on the list; how many were not on it, and how many changed. replace: what is there gives way; otherwise only what has
    expired does. Of two for the same, the last counts."""
    unique = {_key(one, keyring): one for one in fresh}
    ordered = sorted(unique.items(), key=lambda item: item[0])
    rows = await connection.fetch(
        f"""INSERT INTO suppressions AS s (channel, address_hash, category, sealed_address, reason, expires_at,
              detail, sealed_note)
            SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bytea[], $5::text[], $6::timestamptz[],
              $7::text[], $8::bytea[])
            ON CONFLICT (channel, address_hash, category) DO UPDATE SET reason = excluded.reason,
              expires_at = excluded.expires_at, detail = excluded.detail, sealed_note = excluded.sealed_note,
              sealed_address = excluded.sealed_address, created_at = now()
            WHERE {"true" if replace else f"NOT {_IN_FORCE}"} RETURNING xmax = 0 AS created""",
        [channel for (channel, _, _), _ in ordered],
        [digest for (_, digest, _), _ in ordered],
        [category for (_, _, category), _ in ordered],
        [keyring.seal(one.address.encode(), digest) for (_, digest, _), one in ordered],
        [one.reason for _, one in ordered],
        [one.expires_at for _, one in ordered],
        [one.detail for _, one in ordered],
        [
            None if one.note is None else keyring.seal(one.note.encode(), digest)
            for (_, digest, _), one in ordered
        ],
    )
    created = sum(1 for row in rows if row["created"])
    return created, len(rows) - created


@dataclass(frozen=True, slots=True)
class Filter:
    """What to list; None means any. address: in any channel, unless that is given, too."""

    channel: Channel | None = None
    reason: SuppressionReason | None = None
    category: str | None = None
    address: str | None = field(default=None, repr=False)


async def listed(
    connection: Reader, wanted: Filter, keyring: KeyRing, *, before: UUID | None, limit: int
) -> list[Suppression]:
    """The newest first, below the id `before`; those that have expired, too."""
    channels = _MANY_CHANNELS if wanted.channel is None else (wanted.channel,)
    hashes = (
        None
        if wanted.address is None
        else [keyring.address_hash(channel, wanted.address) for channel in channels]
    )
    rows = await connection.fetch(
        """SELECT * FROM suppressions
           WHERE id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
             AND ($2::text IS NULL OR channel = $2) AND ($3::text IS NULL OR reason = $3)
             AND ($4::text IS NULL OR category = $4) AND ($5::bytea[] IS NULL OR address_hash = ANY($5))
           ORDER BY id DESC LIMIT $6""",
        before,
        wanted.channel,
        wanted.reason,
        wanted.category,
        hashes,
        limit,
    )
    return [_suppression(row, keyring) for row in rows]


async def find(connection: Reader, suppression_id: UUID, keyring: KeyRing) -> Suppression | None:
    row = await connection.fetchrow("SELECT * FROM suppressions WHERE id = $1", suppression_id)
    return None if row is None else _suppression(row, keyring)


async def remove(connection: Reader, suppression_id: UUID) -> bool:
    """Whether it was there."""
    done = await connection.fetchval(
        "DELETE FROM suppressions WHERE id = $1 RETURNING true", suppression_id
    )
    return done is not None


async def lift(
    connection: Reader,
    channel: Channel,
    digests: Sequence[bytes],
    reason: SuppressionReason,
    *,
    category: str | None = None,
) -> None:
    """Take these addresses off the list where they are on it for this reason. category: only for this one; empty
    for those of every category."""
    await connection.execute(
        """DELETE FROM suppressions WHERE channel = $1 AND address_hash = ANY($2::bytea[]) AND reason = $3
             AND ($4::text IS NULL OR category = $4)""",
        channel,
        list(digests),
        reason,
        category,
    )


async def of_addresses(
    connection: Reader, pairs: Sequence[tuple[Channel, str]], keyring: KeyRing
) -> list[Suppression]:
    """All that there are of these (channel, address)."""
    rows = await connection.fetch(
        """SELECT s.* FROM unnest($1::text[], $2::bytea[]) AS w (channel, address_hash)
           JOIN suppressions s USING (channel, address_hash) ORDER BY s.id""",
        [channel for channel, _ in pairs],
        [keyring.address_hash(channel, address) for channel, address in pairs],
    )
    return [_suppression(row, keyring) for row in rows]


async def anonymise(connection: Reader, pairs: Collection[tuple[Channel, bytes]]) -> int:
    """Forget whose these (channel, address hash) are and what was noted; the hash stays, so that nothing is sent to
    them. How many."""
    rows = await connection.fetch(
        """UPDATE suppressions s SET sealed_address = NULL, sealed_note = NULL
           FROM unnest($1::text[], $2::bytea[]) AS w (channel, address_hash)
           WHERE s.channel = w.channel AND s.address_hash = w.address_hash
             AND (s.sealed_address IS NOT NULL OR s.sealed_note IS NOT NULL) RETURNING 1""",
        [channel for channel, _ in pairs],
        [digest for _, digest in pairs],
    )
    return len(rows)


def _key(one: NewSuppression, keyring: KeyRing) -> tuple[Channel, bytes, str]:
    return one.channel, keyring.address_hash(one.channel, one.address), one.category


def _suppression(row: Record, keyring: KeyRing) -> Suppression:
    values: Mapping[str, Any] = {
        name: row[name] for name in ("id", "category", "expires_at", "detail", "created_at")
    }
    return Suppression(
        **values,
        channel=Channel(row["channel"]),
        reason=SuppressionReason(row["reason"]),
        address=_opened(row["sealed_address"], row, keyring),
        note=_opened(row["sealed_note"], row, keyring),
    )


def _opened(sealed: bytes | None, row: Record, keyring: KeyRing) -> str | None:
    if sealed is None:
        return None
    try:
        return keyring.open(sealed, row["address_hash"]).decode()
    except KeyRingError:
        return None  # one such row must not hide the others of its page
