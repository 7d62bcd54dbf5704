"""What is known of a user when a notification is accepted: addresses, locale, choices."""

from collections.abc import Sequence
from dataclasses import field
from typing import Any

import orjson

from tidings.domain.preferences import NO_PREFERENCES, Preferences
from tidings.domain.records import record
from tidings.store import preferences
from tidings.store.database import Reader, Record
from tidings.store.keyring import KeyRing, KeyRingError


@record
class Person:
    """A user as the planner sees them. unreadable: addresses are stored that the key ring cannot open, or
    choices that this release does not know."""

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
        f"""SELECT w.id, u.sealed, u.locale, u.timezone, {preferences.COLUMN}, d.device_ids, d.tokens
           FROM unnest($1::text[]) AS w (id)
           LEFT JOIN users u ON u.id = w.id LEFT JOIN preferences p ON p.user_id = w.id
           LEFT JOIN LATERAL (SELECT array_agg(d.id ORDER BY d.id) AS device_ids,
               array_agg(d.sealed_token ORDER BY d.id) AS tokens
             FROM devices d WHERE d.user_id = w.id AND d.state = 'active') AS d ON true
           WHERE u.id IS NOT NULL OR p.user_id IS NOT NULL OR d.device_ids IS NOT NULL""",
        list(user_ids),
    )
    return {row["id"]: _person(row, keyring) for row in rows}


def _opened(row: Record, keyring: KeyRing) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What is sealed: facts, and the tokens of devices. Raises KeyRingError."""
    facts: dict[str, Any] = {}
    if row["sealed"] is not None:
        facts = orjson.loads(keyring.open(row["sealed"], row["id"].encode()))
    if row["device_ids"] is None:
        return facts, ()
    tokens = zip(row["device_ids"], row["tokens"], strict=True)
    return facts, tuple(
        keyring.open(token, device_id.bytes).decode() for device_id, token in tokens
    )


def _person(row: Record, keyring: KeyRing) -> Person:
    facts: dict[str, Any] = {}
    tokens: tuple[str, ...] = ()
    chosen, unreadable = NO_PREFERENCES, False
    try:
        facts, tokens = _opened(row, keyring)
        chosen = preferences.parsed(row["preferences"])
    except (KeyRingError, ValueError, KeyError, TypeError):
        unreadable = True  # one such row must not keep the others of its batch from being accepted
    return Person(
        email=facts.get("email"),
        phone=facts.get("phone"),
        push_tokens=tokens,
        locale=row["locale"],
        timezone=row["timezone"],
        preferences=chosen,
        unreadable=unreadable,
    )
