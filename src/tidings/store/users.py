"""Users: their addresses, language, time zone and attributes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from tidings.domain.channels import Channel
from tidings.domain.filters import declared_values
from tidings.store import attributes
from tidings.store.database import Connection, Reader, Record
from tidings.store.keyring import KeyRing


@dataclass(frozen=True, slots=True)
class Profile:
    """What an application says of a user."""

    email: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    locale: str | None = None
    timezone: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class User:
    id: str
    profile: Profile
    created_at: datetime
    updated_at: datetime


_COLUMNS = "id, sealed, sealed_attributes, locale, timezone, created_at, updated_at"


async def find(connection: Reader, user_id: str, keyring: KeyRing) -> User | None:
    """Raises KeyRingError."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM users WHERE id = $1", user_id)
    return None if row is None else _user(row, keyring)


async def locale_of(connection: Reader, user_id: str) -> str | None:
    """Their language, as far as it is known."""
    found: str | None = await connection.fetchval("SELECT locale FROM users WHERE id = $1", user_id)
    return found


async def timezone_of(connection: Reader, user_id: str) -> str | None:
    found: str | None = await connection.fetchval(
        "SELECT timezone FROM users WHERE id = $1", user_id
    )
    return found


async def set_timezone(
    connection: Connection, user_id: str, timezone: str | None, keyring: KeyRing
) -> None:
    """Also of a user of whom nothing else is known."""
    await connection.execute(
        f"""INSERT INTO users ({_WRITTEN}) {_VALUES}
            ON CONFLICT (id) DO UPDATE SET timezone = excluded.timezone, updated_at = now()""",
        *await _arrays(connection, {user_id: Profile(timezone=timezone)}, keyring),
    )


async def fetch(
    connection: Connection, user_ids: Sequence[str], keyring: KeyRing, *, lock: bool
) -> dict[str, User]:
    """Those of these that there are. lock: kept from changes until the transaction ends. Raises KeyRingError."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM users WHERE id = ANY($1::text[]) ORDER BY id {'FOR UPDATE' if lock else ''}",
        list(user_ids),
    )
    return {row["id"]: _user(row, keyring) for row in rows}


async def listed(
    connection: Reader,
    keyring: KeyRing,
    *,
    after: str | None,
    limit: int,
    email: str | None = None,
    phone: str | None = None,
) -> list[User]:
    """In the order of their ids, behind the id `after`. Raises KeyRingError."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM users WHERE id > $1 AND ($2::bytea IS NULL OR email_hash = $2)
              AND ($3::bytea IS NULL OR phone_hash = $3) ORDER BY id LIMIT $4""",
        after or "",
        email and keyring.address_hash(Channel.EMAIL, email),
        phone and keyring.address_hash(Channel.SMS, phone),
        limit,
    )
    return [_user(row, keyring) for row in rows]


async def create(
    connection: Connection, profiles: Mapping[str, Profile], keyring: KeyRing
) -> set[str]:
    """Within a transaction: store those that are not there yet; which they were."""
    rows = await connection.fetch(
        f"INSERT INTO users ({_WRITTEN}) {_VALUES} ON CONFLICT DO NOTHING RETURNING id",
        *await _arrays(connection, profiles, keyring),
    )
    return {row["id"] for row in rows}


async def save(
    connection: Connection, profiles: Mapping[str, Profile], keyring: KeyRing
) -> dict[str, bool]:
    """Within a transaction: store these in place of what is there; by id, whether it was new."""
    rows = await connection.fetch(
        f"""INSERT INTO users ({_WRITTEN}) {_VALUES}
            ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed, email_hash = excluded.email_hash,
              phone_hash = excluded.phone_hash, locale = excluded.locale, timezone = excluded.timezone,
              sealed_attributes = excluded.sealed_attributes, declared = excluded.declared, updated_at = now()
            RETURNING id, xmax = 0 AS created""",
        *await _arrays(connection, profiles, keyring),
    )
    return {row["id"]: row["created"] for row in rows}


_WRITTEN = "id, sealed, email_hash, phone_hash, locale, timezone, sealed_attributes, declared"
_VALUES = """SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bytea[], $5::text[], $6::text[],
  $7::bytea[], $8::jsonb[])"""


async def _arrays(
    connection: Connection, profiles: Mapping[str, Profile], keyring: KeyRing
) -> tuple[list[Any], ...]:
    """In the order of ids, so that of two who write the same rows one waits for the other."""
    ordered = sorted(profiles.items())
    described = any(one.attributes for _, one in ordered)
    types = await attributes.types_for_writing(connection) if described else {}
    return (
        [user_id for user_id, _ in ordered],
        [keyring.seal(_addresses(one), user_id.encode()) for user_id, one in ordered],
        [one.email and keyring.address_hash(Channel.EMAIL, one.email) for _, one in ordered],
        [one.phone and keyring.address_hash(Channel.SMS, one.phone) for _, one in ordered],
        [one.locale for _, one in ordered],
        [one.timezone for _, one in ordered],
        [
            keyring.seal(orjson.dumps(dict(one.attributes)), user_id.encode())
            if one.attributes
            else None
            for user_id, one in ordered
        ],
        [declared_values(one.attributes, types) for _, one in ordered],
    )


def _addresses(one: Profile) -> bytes:
    given = {"email": one.email, "phone": one.phone}
    return orjson.dumps({name: value for name, value in given.items() if value is not None})


def _user(row: Record, keyring: KeyRing) -> User:
    bound_to = row["id"].encode()
    addresses = orjson.loads(keyring.open(row["sealed"], bound_to))
    sealed = row["sealed_attributes"]
    return User(
        id=row["id"],
        profile=Profile(
            email=addresses.get("email"),
            phone=addresses.get("phone"),
            locale=row["locale"],
            timezone=row["timezone"],
            attributes={} if sealed is None else orjson.loads(keyring.open(sealed, bound_to)),
        ),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
