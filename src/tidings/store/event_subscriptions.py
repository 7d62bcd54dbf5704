"""Subscriptions of applications to events: whom to call, with which secrets, and what they want."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import orjson

from tidings.domain import ids
from tidings.domain.events import OF_RECEIPTS, EventType, Secret, Wants
from tidings.store.database import Connection, Reader, Record
from tidings.store.keyring import KeyRing, KeyRingError

_TRIGGERS: Mapping[tuple[str, str], frozenset[EventType]] = {
    ("deliveries", "deliveries_changed"): frozenset(EventType) - OF_RECEIPTS,
    ("deliveries", "deliveries_fresh"): frozenset({EventType.SKIPPED, EventType.SUPPRESSED}),
    ("receipts", "receipts_fresh"): OF_RECEIPTS,
}
"""What each trigger (table, name) records."""
_LOCK = (
    0x6576_6E74  # one subscription changes at a time, so that the triggers fit those that there are
)
_PATIENCE = "5s"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Whom to call. headers: further header fields, by name. secrets: the newest first."""

    url: str = field(repr=False)
    secrets: Sequence[Secret] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Subscription:
    """endpoint: None where the key ring does not open it."""

    id: UUID
    name: str
    endpoint: Endpoint | None = field(repr=False)
    wants: Wants
    enabled: bool
    updated_at: datetime

    @property
    def created_at(self) -> datetime:
        return ids.time_of(self.id)


_COLUMNS = "id, name, sealed, types, templates, categories, channels, enabled, updated_at"


async def put(connection: Connection, one: Subscription, keyring: KeyRing) -> None:
    """Within a transaction: store it, whether it is new or changed. endpoint must be given. Raises LockNotAvailableError
    where the tables cannot be had for a moment."""
    await _alone(connection)
    assert one.endpoint is not None
    await connection.execute(
        """INSERT INTO event_subscriptions AS s (id, name, sealed, types, templates, categories, channels, enabled)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
           ON CONFLICT (id) DO UPDATE SET name = excluded.name, sealed = excluded.sealed, types = excluded.types,
             templates = excluded.templates, categories = excluded.categories, channels = excluded.channels,
             enabled = excluded.enabled, updated_at = clock_timestamp()""",
        one.id,
        one.name,
        keyring.seal(_document(one.endpoint), one.id.bytes),
        sorted(one.wants.types),
        list(one.wants.template_ids),
        list(one.wants.categories),
        list(one.wants.channels),
        one.enabled,
    )
    await _fit_triggers(connection)


async def remove(connection: Connection, subscription_id: UUID) -> bool:
    """Within a transaction: whether it was there. What is on its way to it fails, as its account is gone."""
    await _alone(connection)
    found = await connection.fetchval(
        "DELETE FROM event_subscriptions WHERE id = $1 RETURNING true", subscription_id
    )
    await connection.execute("SELECT pg_notify('tidings_changes', 'event_subscriptions:')")
    await _fit_triggers(connection)
    return found is not None


async def find(
    connection: Reader, subscription_id: UUID, keyring: KeyRing, *, lock: bool = False
) -> Subscription | None:
    """lock: until the transaction ends."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM event_subscriptions WHERE id = $1 {'FOR UPDATE' if lock else ''}",
        subscription_id,
    )
    return None if row is None else _subscription(row, keyring)


async def listed(connection: Reader, keyring: KeyRing) -> list[Subscription]:
    """All, the newest first: there are few."""
    rows = await connection.fetch(f"SELECT {_COLUMNS} FROM event_subscriptions ORDER BY id DESC")
    return [_subscription(row, keyring) for row in rows]


async def any_enabled(connection: Reader) -> bool:
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM event_subscriptions WHERE enabled)"
    )
    return found


async def count(connection: Reader) -> int:
    found: int = await connection.fetchval("SELECT count(*) FROM event_subscriptions")
    return found


async def _alone(connection: Connection) -> None:
    await connection.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)


async def _fit_triggers(connection: Connection) -> None:
    """Enable those triggers that somebody wants something of, and disable the others: a disabled one costs nothing.
    Taken in one order, and only where one changes, as it waits for all who write to its table."""
    wanted = set(await connection.fetchval("SELECT wanted_events()"))
    states = {
        row["tgname"]: row["tgenabled"] != b"D"
        for row in await connection.fetch(
            "SELECT tgname, tgenabled FROM pg_trigger WHERE tgname = ANY ($1::text[]) AND tgparentid = 0",
            [name for _, name in _TRIGGERS],
        )
    }
    for (table, name), types in _TRIGGERS.items():
        needed = bool(types & wanted)
        if states[name] != needed:
            verb = "ENABLE" if needed else "DISABLE"
            await connection.execute(f"ALTER TABLE ONLY {table} {verb} TRIGGER {name}")


def _document(endpoint: Endpoint) -> bytes:
    return orjson.dumps(
        {
            "url": endpoint.url,
            "headers": dict(endpoint.headers),
            "secrets": [{"text": one.text, "until": one.until} for one in endpoint.secrets],
        }
    )


def _subscription(row: Record, keyring: KeyRing) -> Subscription:
    return Subscription(
        id=row["id"],
        name=row["name"],
        endpoint=_opened(row, keyring),
        wants=Wants(frozenset(row["types"]), row["templates"], row["categories"], row["channels"]),
        enabled=row["enabled"],
        updated_at=row["updated_at"],
    )


def _opened(row: Record, keyring: KeyRing) -> Endpoint | None:
    try:
        document = orjson.loads(keyring.open(row["sealed"], row["id"].bytes))
    except KeyRingError:
        return None  # one such row must not hide the others
    secrets = [
        Secret(one["text"], one["until"] and datetime.fromisoformat(one["until"]))
        for one in document["secrets"]
    ]
    return Endpoint(document["url"], secrets, document["headers"])
