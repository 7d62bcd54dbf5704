"""Broadcasts: one request to all of an audience, as a batch. A broadcast has the id of its batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from tidings.store.batches import BatchState
from tidings.store.database import Connection, Reader, Record
from tidings.store.keyring import KeyRing, KeyRingError

_HELD = "15 seconds"
"""How long a page may take: whoever works on a broadcast and dies keeps it from the others for so long."""


@dataclass(frozen=True, slots=True)
class NewBroadcast:
    """audience: {"everyone": true}, or lists of ids under `topics` and `segments`. request: what each gets,
    without the recipient. key, fingerprint: as of a send."""

    id: UUID
    api_key_id: UUID
    name: str | None
    key: str | None
    fingerprint: bytes
    template_id: str
    audience: Mapping[str, Any]
    request: Mapping[str, Any] = field(repr=False)
    starts_at: datetime


@dataclass(frozen=True, slots=True)
class BroadcastRow:
    """A broadcast with what its batch counts. audience_at: when it began. lines: users who are done, of
    whom `refused` could not be sent anything, for the problems of `refusals`. problem: why it ended before all were reached."""

    id: UUID
    api_key_id: UUID
    name: str | None
    fingerprint: bytes
    template_id: str
    template_version: int | None
    audience: Mapping[str, Any]
    starts_at: datetime
    audience_at: datetime | None
    finished_at: datetime | None
    problem: str | None
    state: BatchState
    expected: int | None
    lines: int
    refused: int
    refusals: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Held:
    """A broadcast that is to be worked on, held for a while. app: number of its API key; revoked: the key is
    not valid any more. closed: its batch takes no more. request: None where the key ring does not open it. filters: of its segments, once it
    has begun. after: the last user who is done."""

    id: UUID
    api_key_id: UUID
    app: int
    revoked: bool
    state: BatchState
    closed: bool
    template_id: str
    template_version: int | None
    audience: Mapping[str, Any]
    filters: Sequence[Any]
    request: Mapping[str, Any] | None = field(repr=False)
    audience_at: datetime | None
    expected: int | None
    after: str

    @classmethod
    def of(cls, new: NewBroadcast, *, app: int, send_at: datetime | None) -> "Held":
        """What it would be, were it stored. send_at: where it begins later; so is all of it decided for then."""
        later = {} if send_at is None else {"send_at": send_at.isoformat()}
        return cls(
            new.id,
            new.api_key_id,
            app,
            revoked=False,
            state="running",
            closed=False,
            template_id=new.template_id,
            template_version=None,
            audience=new.audience,
            filters=(),
            request={**new.request, **later},
            audience_at=None,
            expected=None,
            after="",
        )


_COLUMNS = """w.id, b.api_key_id, b.name, w.fingerprint, w.template_id, w.template_version, w.audience,
  w.starts_at, w.audience_at, w.finished_at, w.problem, b.state, b.expected, b.lines, b.refused, b.refusals"""
_FROM = "broadcasts w JOIN batches b ON b.id = w.id"


async def create(
    connection: Connection, new: NewBroadcast, keyring: KeyRing
) -> BroadcastRow | None:
    """The broadcast, or that which this idempotency key made before; None where a stream has the key."""
    async with connection.transaction():
        made = await connection.fetchval(
            """INSERT INTO batches (id, api_key_id, name, key) VALUES ($1, $2, $3, $4)
               ON CONFLICT (api_key_id, key) DO NOTHING RETURNING true""",
            new.id,
            new.api_key_id,
            new.name,
            new.key,
        )
        if made:
            await connection.execute(
                """INSERT INTO broadcasts (id, fingerprint, template_id, audience, sealed, starts_at)
                   VALUES ($1, $2, $3, $4, $5, $6)""",
                new.id,
                new.fingerprint,
                new.template_id,
                dict(new.audience),
                keyring.seal(orjson.dumps(new.request), new.id.bytes),
                new.starts_at,
            )
    if made:
        return await find(connection, new.id)
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM {_FROM} WHERE b.api_key_id = $1 AND b.key = $2",
        new.api_key_id,
        new.key,
    )
    return None if row is None else _broadcast(row)


async def find(connection: Reader, broadcast_id: UUID) -> BroadcastRow | None:
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM {_FROM} WHERE w.id = $1", broadcast_id)
    return None if row is None else _broadcast(row)


async def listed(connection: Reader, *, before: UUID | None, limit: int) -> list[BroadcastRow]:
    """The newest first, below the id `before`."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM {_FROM} WHERE ($1::uuid IS NULL OR w.id < $1)
            ORDER BY w.id DESC LIMIT $2""",
        before,
        limit,
    )
    return [_broadcast(row) for row in rows]


async def hold(connection: Connection, keyring: KeyRing) -> Held | None:
    """The one that waits longest for its next page, for a while; None when there is nothing to do."""
    row = await connection.fetchrow(
        f"""UPDATE broadcasts w SET busy_until = now() + interval '{_HELD}'
            FROM batches b LEFT JOIN api_keys k ON k.id = b.api_key_id
            WHERE b.id = w.id AND w.id = (
              SELECT w.id FROM {_FROM}
              WHERE w.finished_at IS NULL AND w.starts_at <= now() AND w.busy_until <= now()
                AND b.state <> 'paused'
              ORDER BY w.busy_until, w.id LIMIT 1 FOR UPDATE OF w SKIP LOCKED)
            RETURNING w.id, b.api_key_id, coalesce(k.number, 0) AS app,
              k.id IS NULL OR k.revoked_at IS NOT NULL AS revoked, b.state, b.sealed_at IS NOT NULL AS closed, w.template_id, w.template_version,
              w.audience, coalesce(w.filters, '[]') AS filters, w.sealed, w.audience_at, b.expected, w.after"""
    )
    return None if row is None else _held(row, keyring)


async def next_due(connection: Reader) -> float | None:
    """Seconds until one can be worked on; None when none waits."""
    found: float | None = await connection.fetchval(
        f"""SELECT extract(epoch FROM min(greatest(w.starts_at, w.busy_until)) - now())::float8 FROM {_FROM}
            WHERE w.finished_at IS NULL AND b.state <> 'paused'"""
    )
    return found


async def begin(
    connection: Connection,
    broadcast_id: UUID,
    *,
    at: datetime,
    template_version: int,
    filters: Sequence[Any],
    expected: int,
) -> None:
    """From now on all of it is as it is now. Again, after a crash or by another, does no harm."""
    async with connection.transaction():
        begun = await connection.fetchval(
            """UPDATE broadcasts SET audience_at = $2, template_version = $3, filters = $4,
                 busy_until = now()
               WHERE id = $1 AND audience_at IS NULL RETURNING true""",
            broadcast_id,
            at,
            template_version,
            list(filters),
        )
        if begun:
            await connection.execute(
                "UPDATE batches SET expected = nullif($2, 0) WHERE id = $1", broadcast_id, expected
            )


async def proceed(
    connection: Connection,
    broadcast_id: UUID,
    *,
    before: str,
    after: str,
    users: int,
    refused: Mapping[str, int],
) -> bool:
    """In the transaction that stores a page: it is done up to the user `after`. False when it was not at
    `before`, or takes no more: then nothing of the page may be stored. refused: of the users, by the code of the
    problem."""
    done = await connection.execute(
        """WITH mine AS (
             UPDATE broadcasts SET after = $3, busy_until = now()
             WHERE id = $1 AND after = $2 AND finished_at IS NULL RETURNING id)
           UPDATE batches b SET lines = lines + $4, refused = refused + $5,
             refusals = CASE WHEN $5 = 0 THEN refusals ELSE add_counts(refusals, $6) END
           FROM mine
           WHERE b.id = mine.id AND b.sealed_at IS NULL AND b.state <> 'cancelled'""",
        broadcast_id,
        before,
        after,
        users,
        sum(refused.values()),
        dict(refused),
    )
    return bool(done == "UPDATE 1")


async def finish(connection: Connection, broadcast_id: UUID, problem: str | None = None) -> None:
    """Nobody else is reached by it; its batch can become complete."""
    async with connection.transaction():
        await connection.execute(
            """UPDATE broadcasts SET finished_at = now(), problem = $2
               WHERE id = $1 AND finished_at IS NULL""",
            broadcast_id,
            problem,
        )
        await connection.execute(
            "UPDATE batches SET sealed_at = now() WHERE id = $1 AND sealed_at IS NULL", broadcast_id
        )


def _broadcast(row: Record) -> BroadcastRow:
    return BroadcastRow(**dict(row))


def _held(row: Record, keyring: KeyRing) -> Held:
    values = {name: value for name, value in row.items() if name != "sealed"}
    try:
        request = orjson.loads(keyring.open(row["sealed"], row["id"].bytes))
    except KeyRingError:
        request = None  # it ends with that problem, and the others go on
    return Held(**values, request=request)
