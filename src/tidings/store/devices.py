"""Devices that push messages go to, several per user."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tidings.domain.channels import Channel
from tidings.store.database import Connection, Reader, Record
from tidings.store.keyring import KeyRing, KeyRingError

MOST = 50
"""Active devices that a user has at the most; beyond that the one unused for longest is retired."""


class Platform(StrEnum):
    IOS = "ios"
    ANDROID = "android"
    WEB = "web"


class DeviceState(StrEnum):
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Device:
    """token: the address that a push provider is given; None for one that the key ring does not open.
    reason: why it is retired; a delivery's reason, or `replaced`."""

    id: UUID
    user_id: str
    platform: Platform
    token: str | None = field(repr=False)
    state: DeviceState
    reason: str | None
    created_at: datetime
    updated_at: datetime


async def register(
    connection: Connection,
    fresh_id: UUID,
    user_id: str,
    platform: Platform,
    token: str,
    keyring: KeyRing,
) -> tuple[Device, bool]:
    """Make it this user's, whoever had it before; and whether it was not known. fresh_id: for a new one."""
    digest = keyring.address_hash(Channel.PUSH, token)
    row = await connection.fetchrow(
        """INSERT INTO devices AS d (id, user_id, platform, token_hash, sealed_token)
           VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (token_hash) DO UPDATE SET user_id = excluded.user_id, platform = excluded.platform,
             state = 'active', reason = NULL, updated_at = now()
           RETURNING d.*, xmax = 0 AS created""",
        fresh_id,
        user_id,
        platform,
        digest,
        keyring.seal(token.encode(), fresh_id.bytes),
    )
    assert row is not None
    await connection.execute(
        """UPDATE devices SET state = 'retired', reason = 'replaced', updated_at = now()
           WHERE id IN (SELECT id FROM devices WHERE user_id = $1 AND state = 'active'
             ORDER BY updated_at DESC, id DESC OFFSET $2)""",
        user_id,
        MOST,
    )
    return _device(row, keyring), row["created"]


async def of_user(connection: Reader, user_id: str, keyring: KeyRing) -> list[Device]:
    """The newest first, the active before the retired."""
    rows = await connection.fetch(
        "SELECT * FROM devices WHERE user_id = $1 ORDER BY state, created_at DESC, id DESC", user_id
    )
    return [_device(row, keyring) for row in rows]


async def retire(connection: Reader, digests: Sequence[bytes], reasons: Sequence[str]) -> None:
    """The providers say that these tokens are dead. digests: keyed hashes of the tokens."""
    await connection.execute(
        """UPDATE devices d SET state = 'retired', reason = w.reason, updated_at = now()
           FROM unnest($1::bytea[], $2::text[]) AS w (token_hash, reason)
           WHERE d.token_hash = w.token_hash AND d.state = 'active'""",
        list(digests),
        list(reasons),
    )


async def remove(connection: Reader, user_id: str, device_id: UUID) -> bool:
    """Whether it was there."""
    done = await connection.fetchval(
        "DELETE FROM devices WHERE id = $1 AND user_id = $2 RETURNING true", device_id, user_id
    )
    return done is not None


def _device(row: Record, keyring: KeyRing) -> Device:
    try:
        token = keyring.open(row["sealed_token"], row["id"].bytes).decode()
    except KeyRingError:
        token = None  # one such row must not hide the others
    return Device(
        id=row["id"],
        user_id=row["user_id"],
        platform=Platform(row["platform"]),
        token=token,
        state=DeviceState(row["state"]),
        reason=row["reason"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
