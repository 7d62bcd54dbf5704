"""Key rotation: a new key for the ring, and everything that older keys sealed sealed again with it.

Safe while other processes read and write. The keys that were, stay in the ring, so at no moment is
there a value that cannot be opened. A value is replaced only if it is still the one that was read, and
rows that somebody else holds are passed over, so this never waits for others and cannot be part of a
deadlock. What remains to do is seen in the values themselves, so a rotation that was broken off is
resumed by starting it again.

Nothing is left under older keys: running processes take up a new key within KEYS_AGE. After that, and
after every transaction that was running then has ended, a last look goes over all rows; what it finds
was written meanwhile, and is sealed again too.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tidings.store import attachments
from tidings.store.database import Connection, Record
from tidings.store.keyring import (
    KEYS_AGE,
    KeyRing,
    KeyRingError,
    Keys,
    header_of,
)

# A page's rows are read, sealed and written in some 20 ms, so nobody waits long for a row of it.
PAGE = 1_000
_FILES = 4  # a page of them; each may have tens of megabytes
_MARGIN = 1.0  # seconds between sealing a value and beginning to write it, generously
_LAST_LOOKS = 5
_TRANSACTION_LOOKS = 600  # a minute: no transaction of ours comes near it


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column of sealed values. key: the primary key's columns with their types, in its order.
    bound_to: what a value is bound to, which its row says; `binding` are further columns it needs. page: rows that are
    in memory together, where they are large."""

    table: str
    column: str
    key: tuple[tuple[str, str], ...]
    bound_to: Callable[[Record], bytes]
    binding: tuple[str, ...] = ()
    page: int | None = None


def _own_id(row: Record) -> bytes:
    identity: bytes = row["id"].bytes
    return identity


def _delivery_id(row: Record) -> bytes:
    identity: bytes = row["delivery_id"].bytes
    return identity


def _text_id(row: Record) -> bytes:
    text: str = row["id"]
    return text.encode()


def _name(row: Record) -> bytes:
    name: str = row["name"]
    return name.encode()


def _address_hash(row: Record) -> bytes:
    digest: bytes = row["address_hash"]
    return digest


def _hash(row: Record) -> bytes:
    digest: bytes = row["hash"]
    return digest


def _file(row: Record) -> bytes:
    return attachments.bound_to(row["notification_id"], row["number"])


_ID = (("id", "uuid"),)
_ENDPOINT = (("channel", "text"), ("address_hash", "bytea"))
_SUPPRESSION = (("channel", "text"), ("address_hash", "bytea"), ("category", "text"))
SEALED: tuple[Sealed, ...] = (
    Sealed("installation", "value", (("name", "text"),), _name),
    Sealed("users", "sealed", (("id", "text"),), _text_id),
    Sealed("users", "sealed_attributes", (("id", "text"),), _text_id),
    Sealed("devices", "sealed_token", _ID, _own_id),
    Sealed("suppressions", "sealed_address", _SUPPRESSION, _address_hash),
    Sealed("failing_endpoints", "sealed_address", _ENDPOINT, _address_hash),
    Sealed("suppressions", "sealed_note", _SUPPRESSION, _address_hash),
    Sealed("schedules", "sealed", _ID, _own_id),
    Sealed("event_subscriptions", "sealed", _ID, _own_id),
    Sealed("broadcasts", "sealed", _ID, _own_id),
    Sealed("digests", "sealed", _ID, _hash, binding=("hash",)),
    Sealed("notifications", "sealed", _ID, _own_id),
    Sealed(
        "deliveries",
        "sealed_address",
        (("notification_id", "uuid"), ("channel", "text"), ("address_hash", "bytea")),
        _own_id,
        binding=("id",),
    ),
    Sealed("conversions", "sealed", _ID, _own_id),
    Sealed("callbacks", "sealed", _ID, _own_id),
    Sealed("receipts", "sealed", (("delivery_id", "uuid"), ("id", "uuid")), _own_id),
    Sealed(
        "link_targets",
        "sealed",
        (("delivery_id", "uuid"), ("lease", "uuid")),
        _delivery_id,
    ),
    Sealed(
        "attachments",
        "sealed",
        (("notification_id", "uuid"), ("number", "smallint")),
        _file,
        page=_FILES,
    ),
    Sealed("stray_receipts", "sealed", _ID, _own_id),
    Sealed("inbox", "sealed", _ID, _own_id),
    Sealed("outbox", "sealed", _ID, _own_id),
)
"""Every sealed value there is."""


@dataclass(frozen=True, slots=True)
class Count:
    """Of one table: rows looked at, values sealed again, values passed over because they were changed or
    held at that moment, and values that do not open with this ring and stay as they are."""

    table: str
    rows: int = 0
    resealed: int = 0
    passed_over: int = 0
    unreadable: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.table,
            self.rows + other.rows,
            self.resealed + other.resealed,
            self.passed_over + other.passed_over,
            self.unreadable + other.unreadable,
        )

    def after(self, look: "Count") -> "Count":
        """What stands after one more look over all the rows."""
        return replace(look, rows=self.rows, resealed=self.resealed + look.resealed)


@dataclass(frozen=True, slots=True)
class Outcome:
    """counts: by table. complete: nothing that opens is left under an older key."""

    counts: dict[str, Count]
    complete: bool

    @property
    def unreadable(self) -> int:
        return sum(count.unreadable for count in self.counts.values())


async def check(connection: Connection, keyring: KeyRing) -> int:
    """Open what is kept to tell whether a ring fits a database; how many values that were, none in a
    database that was never used. Raises KeyRingError."""
    rows = await connection.fetch("SELECT name, value FROM installation")
    for row in rows:
        keyring.open(row["value"], _name(row))
    return len(rows)


async def reseal(
    connection: Connection,
    keyring: KeyRing,
    report: Callable[[Count], None],
    settle: Callable[[float], Any] = asyncio.sleep,
) -> Outcome:
    """Seal again what older keys sealed. report: called after every page of the first pass."""
    counts = {sealed.table: Count(sealed.table) for sealed in SEALED}
    async for page in _pass(connection, keyring):
        counts[page.table] += page
        report(page)
    for _ in range(_LAST_LOOKS):
        await _others_follow(connection, settle)
        look = {sealed.table: Count(sealed.table) for sealed in SEALED}
        async for page in _pass(connection, keyring):
            look[page.table] += page
        counts = {table: counts[table].after(found) for table, found in look.items()}
        if not any(found.resealed or found.passed_over for found in look.values()):
            return Outcome(counts, complete=True)
    return Outcome(counts, complete=False)


async def old_keys(
    connection: Connection, keys: Keys, settle: Callable[[float], Any] = asyncio.sleep
) -> dict[int, int]:
    """How many values each key but the active one seals, by key, also of those that the ring does not have. What
    processes with this ring were writing when it was called has been written by then."""
    await _others_follow(connection, settle)
    found = dict.fromkeys(keys.keys, 0)
    for counts in (await usage(connection)).values():
        for key, count in counts.items():
            found[key] = found.get(key, 0) + count
    return {key: count for key, count in found.items() if key != keys.active}


async def total(connection: Connection) -> int:
    """Rows that a pass looks at."""
    tables = " + ".join(
        f"(SELECT count(*) FROM {table})" for table in {sealed.table for sealed in SEALED}
    )
    count: int = await connection.fetchval(f"SELECT {tables}", timeout=3600)
    return count


async def usage(connection: Connection) -> dict[str, dict[int, int]]:
    """By table, how many values each key seals."""
    found: dict[str, dict[int, int]] = {}
    for sealed in SEALED:
        rows = await connection.fetch(
            f"""SELECT get_byte({sealed.column}, 1) * 256 + get_byte({sealed.column}, 2) AS key, count(*)
                FROM {sealed.table} WHERE {sealed.column} IS NOT NULL GROUP BY 1 ORDER BY 1""",
            timeout=3600,
        )
        of_table = found.setdefault(sealed.table, {})
        for row in rows:
            of_table[row["key"]] = of_table.get(row["key"], 0) + row["count"]
    return found


async def _pass(connection: Connection, keyring: KeyRing) -> AsyncIterator[Count]:
    """Every sealed value once; a count per page. Rows that have several are counted with the first."""
    before: set[str] = set()
    for sealed in SEALED:
        async for page in _table(connection, keyring, sealed):
            yield replace(page, rows=0) if sealed.table in before else page
        before.add(sealed.table)


async def _table(connection: Connection, keyring: KeyRing, sealed: Sealed) -> AsyncIterator[Count]:
    after: Sequence[Any] | None = None
    while True:
        rows = await _page(connection, keyring, sealed, after)
        if not rows:
            return
        stale = [row for row in rows if row["stale"] is not None]
        resealed, unreadable = await _reseal_rows(connection, keyring, sealed, stale)
        yield Count(
            sealed.table,
            rows=len(rows),
            resealed=resealed,
            passed_over=len(stale) - resealed - unreadable,
            unreadable=unreadable,
        )
        after = [rows[-1][name] for name, _ in sealed.key]


async def _page(
    connection: Connection, keyring: KeyRing, sealed: Sealed, after: Sequence[Any] | None
) -> list[Record]:
    """The next rows by primary key; `stale` is the value where an older key sealed it, else null."""
    key = ", ".join(name for name, _ in sealed.key)
    bound = ", ".join(f"${number}::{kind}" for number, (_, kind) in enumerate(sealed.key, start=2))
    behind = f"WHERE ({key}) > ({bound})" if after is not None else ""
    return await connection.fetch(
        f"""SELECT {", ".join((key, *sealed.binding))},
              CASE WHEN substring({sealed.column} FROM 1 FOR 3) <> $1 THEN {sealed.column} END AS stale
            FROM {sealed.table} {behind} ORDER BY {key} LIMIT {sealed.page or PAGE}""",
        header_of(keyring.keys.active),
        *(after or ()),
    )


async def _reseal_rows(
    connection: Connection, keyring: KeyRing, sealed: Sealed, rows: Sequence[Record]
) -> tuple[int, int]:
    """How many were sealed again, and how many could not be opened."""
    fresh: list[tuple[Record, bytes]] = []
    for row in rows:
        bound_to = sealed.bound_to(row)
        with contextlib.suppress(KeyRingError):  # it is counted, and stays as it is
            fresh.append((row, keyring.seal(keyring.open(row["stale"], bound_to), bound_to)))
    unreadable = len(rows) - len(fresh)
    if not fresh:
        return 0, unreadable
    updated = await connection.fetchval(
        _update(sealed),
        [row["stale"] for row, _ in fresh],
        [value for _, value in fresh],
        *([row[name] for row, _ in fresh] for name, _ in sealed.key),
    )
    return updated, unreadable


def _update(sealed: Sealed) -> str:
    """Compare and set, over arrays. SKIP LOCKED: a settling worker that holds some of these rows and
    waits for others would make a deadlock with us if we waited too."""
    names = ", ".join(name for name, _ in sealed.key)
    arrays = ", ".join(f"${number}::{kind}[]" for number, (_, kind) in enumerate(sealed.key, 3))
    same_row = " AND ".join(f"t.{name} = v.{name}" for name, _ in sealed.key)
    mine = " AND ".join(f"t.{name} = mine.{name}" for name, _ in sealed.key)
    return f"""
        WITH mine AS (
          SELECT {", ".join(f"t.{name}" for name, _ in sealed.key)}, v.old, v.new
          FROM unnest($1::bytea[], $2::bytea[], {arrays}) AS v (old, new, {names})
          JOIN {sealed.table} t ON {same_row} AND t.{sealed.column} = v.old
          FOR NO KEY UPDATE OF t SKIP LOCKED),
        done AS (
          UPDATE {sealed.table} t SET {sealed.column} = mine.new FROM mine
          WHERE {mine} AND t.{sealed.column} = mine.old RETURNING 1)
        SELECT count(*) FROM done"""


async def _others_follow(connection: Connection, settle: Callable[[float], Any]) -> None:
    """Until no process that reads the same ring seals with a key that was active before."""
    await settle(KEYS_AGE + _MARGIN)
    await _transactions_end(connection)


async def _transactions_end(connection: Connection) -> None:
    """Wait until every transaction that is running now has ended, for a bounded time: what one that
    lasts longer still writes, the next look finds."""
    horizon = await connection.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())")
    for _ in range(_TRANSACTION_LOOKS):
        if await connection.fetchval(
            "SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::xid8", horizon
        ):
            return
        await asyncio.sleep(0.1)
