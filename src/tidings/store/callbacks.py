"""Callbacks of vendors: verified, stored as they came, and kept until they are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import orjson

from tidings.domain.callbacks import RawCallback
from tidings.store.database import Connection, Reader
from tidings.store.keyring import KeyRing, KeyRingError

_LONGEST_PROBLEM = 300


@dataclass(frozen=True, slots=True)
class StoredCallback:
    """raw: None where the key ring does not open it."""

    id: UUID
    account: str
    raw: RawCallback | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class UnreadCallback:
    """problem: why it could not be read, or not in full."""

    id: UUID
    account: str
    problem: str


async def add(
    connection: Reader, fresh: Sequence[tuple[UUID, str, RawCallback]], keyring: KeyRing
) -> None:
    """(id, account, callback), of which each is new."""
    await connection.execute(
        """INSERT INTO callbacks (id, account, sealed)
           SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[])""",
        [fresh_id for fresh_id, _, _ in fresh],
        [account for _, account, _ in fresh],
        [keyring.seal(_packed(raw), fresh_id.bytes) for fresh_id, _, raw in fresh],
    )


async def take(connection: Connection, limit: int, keyring: KeyRing) -> list[StoredCallback]:
    """Those that came first and are not read, locked until this transaction ends; those that another reads are
    passed over."""
    rows = await connection.fetch(
        """SELECT id, account, sealed FROM callbacks WHERE problem IS NULL
           ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED""",
        limit,
    )
    return [
        StoredCallback(row["id"], row["account"], _opened(row["sealed"], row["id"], keyring))
        for row in rows
    ]


async def finish(
    connection: Connection, read: Sequence[UUID], problems: Mapping[UUID, str]
) -> None:
    """What was read goes; what could not be stays, with why."""
    if read:
        await connection.execute("DELETE FROM callbacks WHERE id = ANY ($1::uuid[])", list(read))
    if problems:
        await connection.execute(
            """UPDATE callbacks c SET problem = w.problem
               FROM unnest($1::uuid[], $2::text[]) AS w (id, problem) WHERE c.id = w.id""",
            list(problems),
            [problem[:_LONGEST_PROBLEM] for problem in problems.values()],
        )


async def unread(
    connection: Reader, account: str | None, *, before: UUID | None, limit: int
) -> list[UnreadCallback]:
    """What could not be read, the newest first, below the id `before`."""
    rows = await connection.fetch(
        """SELECT id, account, problem FROM callbacks
           WHERE problem IS NOT NULL AND ($1::text IS NULL OR account = $1) AND ($2::uuid IS NULL OR id < $2)
           ORDER BY id DESC LIMIT $3""",
        account,
        before,
        limit,
    )
    return [UnreadCallback(**row) for row in rows]


async def retry(connection: Reader, account: str | None, ids: Sequence[UUID] | None) -> int:
    """Read once more what could not be; how many."""
    rows = await connection.fetch(
        """UPDATE callbacks SET problem = NULL
           WHERE problem IS NOT NULL AND ($1::text IS NULL OR account = $1) AND ($2::uuid[] IS NULL OR id = ANY ($2))
           RETURNING id""",
        account,
        ids,
    )
    return len(rows)


def _packed(raw: RawCallback) -> bytes:
    """The body as it is, behind what is JSON of the rest."""
    head = orjson.dumps([raw.method, raw.url, dict(raw.headers), raw.received_at])
    return len(head).to_bytes(4, "big") + head + raw.body


def _opened(sealed: bytes, callback_id: UUID, keyring: KeyRing) -> RawCallback | None:
    try:
        packed = keyring.open(sealed, callback_id.bytes)
    except KeyRingError:
        return None
    size = int.from_bytes(packed[:4], "big")
    method, url, headers, received_at = orjson.loads(packed[4 : 4 + size])
    return RawCallback(method, url, headers, packed[4 + size :], received_at)


async def forget_before(connection: Connection, moment: datetime, *, most: int = 1_000) -> int:
    """Delete what came before and could never be read; how many."""
    done = await connection.execute(
        """DELETE FROM callbacks WHERE id = ANY (ARRAY(
             SELECT id FROM callbacks WHERE id < uuid_first_at($1) AND problem IS NOT NULL ORDER BY id LIMIT $2))""",
        moment,
        most,
    )
    return int(done.removeprefix("DELETE "))
