"""What is known of a user when a notification is accepted: addresses, locale, choices."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from tidings.domain.channels import Channel
from tidings.domain.preferences import NO_PREFERENCES, Preferences
from tidings.store.database import Connection, Reader, Record
from tidings.store.keyring import KeyRing, KeyRingError


@dataclass(frozen=True, slots=True)
class Person:
    """A user as the planner sees them. unreadable: addresses are stored that the key ring cannot open."""

    email: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    push_tokens: tuple[str, ...] = field(default=(), repr=False)
    locale: str | None = None
    timezone: str | None = None
    preferences: Preferences = NO_PREFERENCES
    unreadable: bool = False


NOBODY = Person()


async def fetch_many(
    connection: Reader, user_ids: Sequence[str], keyring: KeyRing
) -> dict[str, Person]:
    """Who is known of these, with one query."""
    rows = await connection.fetch(
        """SELECT w.id, u.sealed, u.locale, u.timezone, p.channels, p.categories,
             (SELECT array_agg(d.id) FROM devices d WHERE d.user_id = w.id AND d.state = 'active') AS device_ids,
             (SELECT array_agg(d.sealed_token ORDER BY d.id) FROM devices d
                WHERE d.user_id = w.id AND d.state = 'active') AS tokens
           FROM unnest($1::text[]) AS w (id)
           LEFT JOIN users u ON u.id = w.id LEFT JOIN preferences p ON p.user_id = w.id
           WHERE u.id IS NOT NULL OR p.user_id IS NOT NULL
             OR EXISTS (SELECT FROM devices d WHERE d.user_id = w.id AND d.state = 'active')""",
        list(user_ids),
    )
    return {row["id"]: _person(row, keyring) for row in rows}


def _opened(row: Record, keyring: KeyRing) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What is sealed: facts, and the tokens of devices. Raises KeyRingError."""
    facts: dict[str, Any] = {}
    if row["sealed"] is not None:
        facts = orjson.loads(keyring.open(row["sealed"], row["id"].encode()))
    tokens = zip(sorted(row["device_ids"] or ()), row["tokens"] or (), strict=True)
    return facts, tuple(
        keyring.open(token, device_id.bytes).decode() for device_id, token in tokens
    )


async def fetch_preferences(connection: Reader, user_id: str) -> Preferences:
    row = await connection.fetchrow(
        "SELECT channels, categories FROM preferences WHERE user_id = $1", user_id
    )
    return NO_PREFERENCES if row is None else _preferences(row["channels"], row["categories"])


async def save_preferences(connection: Reader, user_id: str, preferences: Preferences) -> None:
    await connection.execute(
        """INSERT INTO preferences (user_id, channels, categories) VALUES ($1, $2, $3)
           ON CONFLICT (user_id) DO UPDATE
           SET channels = excluded.channels, categories = excluded.categories, updated_at = now()""",
        user_id,
        dict(preferences.channels),
        {category: dict(channels) for category, channels in preferences.categories.items()},
    )


async def suppressed_among(
    connection: Reader, pairs: Collection[tuple[Channel, bytes]]
) -> set[tuple[Channel, bytes]]:
    """Which of these (channel, address hash) must not be sent to."""
    rows = await connection.fetch(
        """SELECT s.channel, s.address_hash FROM unnest($1::text[], $2::bytea[]) AS w (channel, address_hash)
           JOIN suppressions s USING (channel, address_hash) WHERE s.expires_at IS NULL OR s.expires_at > now()""",
        [channel for channel, _ in pairs],
        [digest for _, digest in pairs],
    )
    return {(Channel(row["channel"]), row["address_hash"]) for row in rows}


async def suppress(
    connection: Connection, addresses: Sequence[tuple[Channel, str, str]], keyring: KeyRing
) -> None:
    """Put (channel, address, reason) on the suppression list; what is there stays as it is."""
    unique = {
        (channel, keyring.address_hash(channel, address)): (address, why)
        for channel, address, why in addresses
    }
    await connection.execute(
        """INSERT INTO suppressions (channel, address_hash, sealed_address, reason)
           SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::text[])
           ORDER BY 1, 2 ON CONFLICT DO NOTHING""",
        [channel for channel, _ in unique],
        [digest for _, digest in unique],
        [keyring.seal(address.encode(), digest) for (_, digest), (address, _) in unique.items()],
        [why for _, why in unique.values()],
    )


def _preferences(channels: dict[str, Any] | None, categories: dict[str, Any] | None) -> Preferences:
    return Preferences(
        {Channel(channel): wanted for channel, wanted in (channels or {}).items()},
        {
            category: {Channel(channel): wanted for channel, wanted in choices.items()}
            for category, choices in (categories or {}).items()
        },
    )


def _person(row: Record, keyring: KeyRing) -> Person:
    facts: dict[str, Any] = {}
    tokens: tuple[str, ...] = ()
    unreadable = False
    try:
        facts, tokens = _opened(row, keyring)
    except KeyRingError:
        unreadable = True  # one such row must not keep the others of its batch from being accepted
    return Person(
        email=facts.get("email"),
        phone=facts.get("phone"),
        push_tokens=tokens,
        locale=row["locale"],
        timezone=row["timezone"],
        preferences=_preferences(row["channels"], row["categories"]),
        unreadable=unreadable,
    )
