"""Digests: notifications gathered until it is time, then told by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from tidings.domain.digests import MOST_BYTES, MOST_ITEMS, MOST_MEMBERS
from tidings.store.database import Connection, Reader, Record
from tidings.store.keyring import KeyRing, KeyRingError

_HELD = "15 seconds"


@dataclass(frozen=True, slots=True)
class Opening:
    """What is to go into the open digest of `hash`, which is made where there is none: `count` notifications, of
    which the last says how it is sent. request: without its data."""

    hash: bytes
    user_id: str
    key: str | None
    count: int
    closes_at: datetime
    api_key_id: UUID
    template_id: str
    template_version: int
    request: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class DigestRow:
    """notification_id: the one it became, or becomes, once it is closed. problem: why it became none."""

    id: UUID
    user_id: str
    key: str | None
    template_id: str
    count: int
    closes_at: datetime
    closed_at: datetime | None
    done_at: datetime | None
    notification_id: UUID | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Closed:
    """A digest that is to become a notification, held for a while. request: None where the key ring does not open
    it. app: number of its API key."""

    id: UUID
    notification_id: UUID
    api_key_id: UUID
    app: int
    template_id: str
    template_version: int
    request: Mapping[str, Any] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a digest holds: the data of its newest, the oldest of these first, and how many there are."""

    items: Sequence[Any] = field(repr=False)
    count: int


_COLUMNS = """id, user_id, key, template_id, count, closes_at, closed_at, done_at, notification_id, problem"""


async def gather(
    connection: Connection, openings: Sequence[Opening], keyring: KeyRing
) -> dict[bytes, UUID]:
    """The open digest of each hash, with what is added to it. Sorted, so that those who gather at the same time
    do not wait for each other in a circle; who waits for one that is being closed makes the next."""
    ordered = sorted(openings, key=lambda one: one.hash)
    rows = await connection.fetch(
        f"""INSERT INTO digests AS d
              (hash, user_id, key, count, closes_at, api_key_id, template_id, template_version, sealed)
            SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::uuid[],
              $7::text[], $8::int[], $9::bytea[])
            ON CONFLICT (hash) WHERE closed_at IS NULL DO UPDATE SET count = d.count + excluded.count,
              api_key_id = excluded.api_key_id, template_version = excluded.template_version,
              sealed = excluded.sealed,
              closes_at = CASE WHEN d.count + excluded.count < {MOST_MEMBERS} THEN d.closes_at
                               ELSE least(d.closes_at, now()) END
            RETURNING hash, id""",
        [one.hash for one in ordered],
        [one.user_id for one in ordered],
        [one.key for one in ordered],
        [one.count for one in ordered],
        [one.closes_at for one in ordered],
        [one.api_key_id for one in ordered],
        [one.template_id for one in ordered],
        [one.template_version for one in ordered],
        [keyring.seal(orjson.dumps(one.request), one.hash) for one in ordered],
    )
    return {row["hash"]: row["id"] for row in rows}


async def join(connection: Connection, members: Sequence[tuple[UUID, UUID]]) -> None:
    """members: (digest id, notification id)."""
    await connection.execute(
        "INSERT INTO digest_members (digest_id, notification_id) SELECT * FROM unnest($1::uuid[], $2::uuid[])",
        [digest_id for digest_id, _ in members],
        [notification_id for _, notification_id in members],
    )


async def close_due(connection: Connection, most: int) -> int:
    """Close those whose time has come: nothing joins them any more; how many."""
    done = await connection.execute(
        """UPDATE digests SET closed_at = now(), notification_id = uuid_of_time(clock_timestamp())
           WHERE closed_at IS NULL AND id = ANY (ARRAY(
             SELECT id FROM digests WHERE closed_at IS NULL AND closes_at <= now()
             ORDER BY closes_at LIMIT $1 FOR UPDATE SKIP LOCKED))""",
        most,
    )
    return int(done.removeprefix("UPDATE "))


async def close(connection: Reader, digest_id: UUID) -> bool:
    """It is sent at once; False where it is not open."""
    done = await connection.execute(
        "UPDATE digests SET closes_at = now() WHERE id = $1 AND closed_at IS NULL", digest_id
    )
    return bool(done == "UPDATE 1")


async def hold(connection: Connection, most: int, keyring: KeyRing) -> list[Closed]:
    """Those that are closed and did not become a notification yet, for a while."""
    rows = await connection.fetch(
        f"""UPDATE digests d SET busy_until = now() + interval '{_HELD}'
            WHERE d.id = ANY (ARRAY(
              SELECT id FROM digests WHERE closed_at IS NOT NULL AND done_at IS NULL AND busy_until <= now()
              ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED))
            RETURNING d.id, d.hash, d.notification_id, d.api_key_id,
              coalesce((SELECT k.number FROM api_keys k WHERE k.id = d.api_key_id), 0) AS app,
              d.template_id, d.template_version, d.sealed""",
        most,
    )
    return [_closed(row, keyring) for row in rows]


async def gathered(
    connection: Connection, digest_ids: Sequence[UUID], keyring: KeyRing
) -> dict[UUID, Gathered]:
    """What these hold, but for what was cancelled with its batch, has expired, or does not open; a digest of which
    nothing is left is not among them."""
    rows = await connection.fetch(
        f"""SELECT d.id AS digest_id, n.id, n.sealed, n.whole
            FROM unnest($1::uuid[]) AS d (id) CROSS JOIN LATERAL (
              SELECT n.id, n.sealed, count(*) OVER () AS whole
              FROM digest_members m JOIN notifications n ON n.id = m.notification_id
              LEFT JOIN batches b ON b.id = n.batch_id
              WHERE m.digest_id = d.id AND b.state IS DISTINCT FROM 'cancelled'
                AND (n.expires_at IS NULL OR n.expires_at > now())
              ORDER BY n.id DESC LIMIT {MOST_ITEMS}) n
            ORDER BY d.id, n.id DESC""",
        digest_ids,
    )
    found: dict[UUID, list[Any]] = {}
    sizes: dict[UUID, int] = {}
    counts: dict[UUID, int] = {}
    for row in rows:
        digest_id = row["digest_id"]
        counts[digest_id] = row["whole"]
        sizes[digest_id] = sizes.get(digest_id, 0) + len(row["sealed"])
        if sizes[digest_id] > MOST_BYTES and digest_id in found:
            continue
        try:
            payload = orjson.loads(keyring.open(row["sealed"], row["id"].bytes))
        except KeyRingError:
            counts[digest_id] -= 1
            continue
        found.setdefault(digest_id, []).append(payload["data"])
    return {
        digest_id: Gathered(items[::-1], counts[digest_id]) for digest_id, items in found.items()
    }


async def finish(connection: Connection, digest_ids: Sequence[UUID]) -> bool:
    """In the transaction that stores their notifications. False when somebody else did: then nothing of them may
    be stored."""
    rows = await connection.fetch(
        """UPDATE digests SET done_at = now() WHERE done_at IS NULL AND id = ANY (ARRAY(
             SELECT id FROM digests WHERE id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE))
           RETURNING id""",
        digest_ids,
    )
    return len(rows) == len(digest_ids)


async def fail(connection: Reader, digest_id: UUID, problem: str) -> None:
    """It becomes no notification."""
    await connection.execute(
        "UPDATE digests SET done_at = coalesce(done_at, now()), problem = $2 WHERE id = $1",
        digest_id,
        problem,
    )


async def next_due(connection: Reader) -> float | None:
    """Seconds until one is to be closed, or made; None when there is none."""
    found: float | None = await connection.fetchval(
        """SELECT extract(epoch FROM least(
             (SELECT min(closes_at) FROM digests WHERE closed_at IS NULL),
             (SELECT min(greatest(busy_until, closed_at)) FROM digests
              WHERE closed_at IS NOT NULL AND done_at IS NULL)) - now())::float8"""
    )
    return found


async def find(connection: Reader, digest_id: UUID) -> DigestRow | None:
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM digests WHERE id = $1", digest_id)
    return None if row is None else DigestRow(**dict(row))


async def of_member(connection: Reader, notification_id: UUID) -> DigestRow | None:
    """The digest that a notification went into."""
    digest_id = await connection.fetchval(
        "SELECT digest_id FROM digest_members WHERE notification_id = $1", notification_id
    )
    return None if digest_id is None else await find(connection, digest_id)


async def listed(
    connection: Reader, *, user_id: str | None, open: bool, before: UUID | None, limit: int
) -> list[DigestRow]:
    """The newest first, below the id `before`; of a user, or of all. open: only those that still gather."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM digests
            WHERE ($1::text IS NULL OR user_id = $1) AND ($2 OR closed_at IS NULL)
              AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4""",
        user_id,
        not open,
        before,
        limit,
    )
    return [DigestRow(**dict(row)) for row in rows]


async def members(
    connection: Reader, digest_id: UUID, *, before: UUID | None, limit: int
) -> list[UUID]:
    """The newest first, below the id `before`."""
    rows = await connection.fetch(
        """SELECT notification_id FROM digest_members
           WHERE digest_id = $1 AND ($2::uuid IS NULL OR notification_id < $2)
           ORDER BY notification_id DESC LIMIT $3""",
        digest_id,
        before,
        limit,
    )
    return [row["notification_id"] for row in rows]


async def forget_before(connection: Connection, moment: datetime, *, most: int = 1_000) -> int:
    """Delete digests that were done before; how many."""
    done = await connection.execute(
        """DELETE FROM digests WHERE id = ANY (ARRAY(
             SELECT id FROM digests WHERE id < uuid_first_at($1) AND done_at < $1 ORDER BY id LIMIT $2))""",
        moment,
        most,
    )
    return int(done.removeprefix("DELETE "))


def _closed(row: Record, keyring: KeyRing) -> Closed:
    values = {name: value for name, value in row.items() if name not in {"sealed", "hash"}}
    try:
        request = orjson.loads(keyring.open(row["sealed"], row["hash"]))
    except KeyRingError:
        request = None  # it ends with that problem, and the others go on
    return Closed(**values, request=request)
