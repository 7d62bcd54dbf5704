"""Rate limits in PostgreSQL: one row for each key, and every decision under its lock.

These transactions do not wait for the disk. What a permit allows is called only after queue.start() has committed,
which does wait: its flush covers all that was committed before. So no crash of the server forgets a permit that was
used.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from tidings.domain.limits import Ask, Rate, Tally, Verdict, Window, decide, release
from tidings.store.database import Connection, Reader, Record

FROZEN_AFTER = "5s"
_ROUNDED = 300  # seconds to which empty_at is rounded up
_AT_ONCE = 500  # array_position() walks the array: in one piece it would cost its square
_FORGOTTEN_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Unused:
    """A permit that was not used, nor will be. end: of the slice that it was counted in."""

    key: str
    end: int


@dataclass(frozen=True, slots=True)
class Taken:
    """verdicts: in the order of the asks. now: the server's clock when they were made, in microseconds. read_at: the
    caller's clock, read when all was locked, and before `now`."""

    verdicts: Sequence[Verdict]
    now: int
    read_at: float


async def take(
    connection: Connection,
    asks: Sequence[Ask],
    *,
    clock: Callable[[], float],
    unused: Sequence[Unused] = (),
) -> Taken:
    """Take permits for many deliveries in one transaction, and put back what was not used. clock: the caller's, by
    which its permits run out."""
    rates = {one.key: one.limit.rate for ask in asks for one in ask.demands}
    while True:
        # A key that is missing at the lock is made, and locked in its turn; it never means "no limit".
        found = await _try(connection, asks, rates, clock, unused)
        if isinstance(found, Taken):
            return found
        await _insert(connection, found)


async def give_back(connection: Connection, unused: Sequence[Unused]) -> None:
    """Put back what was not used, nor will be."""
    await _try(connection, (), {}, lambda: 0.0, unused)


async def _try(
    connection: Connection,
    asks: Sequence[Ask],
    rates: Mapping[str, Rate],
    clock: Callable[[], float],
    unused: Sequence[Unused],
) -> Taken | list[str]:
    """What was taken, or the keys for which there is no row yet."""
    async with connection.transaction():
        before = await _locked(connection, sorted({*rates, *(one.key for one in unused)}))
        if missing := sorted(rates.keys() - before.keys()):
            return missing
        # After the locks, so that waiting for them uses up nothing of a permit's time; and before the server's
        # clock, so that it never lasts longer than it is counted.
        read_at = clock()
        now = await _now(connection)
        after = _put_back(before, unused)
        tallies = {key: Tally(after[key], rate, now) for key, rate in rates.items()}
        verdicts = decide(asks, tallies)
        after |= {key: tally.window() for key, tally in tallies.items() if tally.changed}
        changed = [key for key, window in after.items() if window is not before[key]]
        for first in range(0, len(changed), _AT_ONCE):
            part = changed[first : first + _AT_ONCE]
            await _write(connection, {key: after[key] for key in part}, rates, now)
    return Taken(verdicts, now, read_at)


def _put_back(windows: Mapping[str, Window], unused: Sequence[Unused]) -> dict[str, Window]:
    after = dict(windows)
    for one in unused:
        if one.key in after:
            after[one.key] = release(after[one.key], one.end, 1)
    return after


async def _locked(connection: Connection, keys: Sequence[str]) -> dict[str, Window]:
    """In the order of keys, so that two transactions never wait for each other in a circle. A worker that freezes
    while it has the locks loses them: all the others wait for these."""
    rows = await connection.fetch(
        """WITH relaxed AS MATERIALIZED (
             SELECT set_config('synchronous_commit', 'off', true),
               set_config('idle_in_transaction_session_timeout', $2, true)
           )
           SELECT l.key, l.ends, l.counts, l.spread_until FROM relaxed CROSS JOIN limits l
           WHERE l.key = ANY ($1::text[]) ORDER BY l.key FOR UPDATE OF l""",
        keys,
        FROZEN_AFTER,
    )
    return {row["key"]: _window(row) for row in rows}


async def _now(connection: Connection) -> int:
    """Microseconds. Not now(): that is when the transaction began, before it waited for its locks."""
    found: int = await connection.fetchval(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    )
    return found


async def _insert(connection: Connection, keys: Sequence[str]) -> None:
    """keys: in their order, as they are locked."""
    await connection.execute(
        """WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
           INSERT INTO limits (key) SELECT unnest($1::text[]) FROM relaxed ON CONFLICT DO NOTHING""",
        keys,
    )


async def _write(
    connection: Connection, windows: Mapping[str, Window], rates: Mapping[str, Rate], now: int
) -> None:
    await connection.execute(
        """UPDATE limits SET
             ends = (($2::text[])[array_position($1, key)])::bigint[],
             counts = (($3::text[])[array_position($1, key)])::int[],
             spread_until = ($4::bigint[])[array_position($1, key)],
             empty_at = coalesce(to_timestamp(($5::float8[])[array_position($1, key)]), empty_at)
           WHERE key = ANY ($1::text[])""",
        list(windows),
        [_array(one.ends) for one in windows.values()],
        [_array(one.counts) for one in windows.values()],
        [one.spread_until for one in windows.values()],
        [_empty_at(one, rates.get(key), now) for key, one in windows.items()],
    )


def _array(numbers: Collection[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"


def _empty_at(window: Window, rate: Rate | None, now: int) -> float | None:
    """Seconds since 1970; None where it stays, because the rate is not at hand."""
    if rate is None:
        return None
    seconds = max(window.empty_at(rate), now) // 1_000_000
    return float((seconds // _ROUNDED + 2) * _ROUNDED)


async def forget(connection: Connection) -> int:
    """Delete what says nothing any more; how many."""
    forgotten = 0
    while True:
        deleted: int = await connection.fetchval(
            """WITH empty AS MATERIALIZED (
                 SELECT key FROM limits WHERE empty_at < now() ORDER BY empty_at LIMIT $1 FOR UPDATE SKIP LOCKED
               ), deleted AS (
                 DELETE FROM limits WHERE key = ANY (ARRAY(SELECT key FROM empty)) RETURNING 1
               )
               SELECT count(*) FROM deleted""",
            _FORGOTTEN_AT_ONCE,
        )
        forgotten += deleted
        if deleted < _FORGOTTEN_AT_ONCE:
            return forgotten


@dataclass(frozen=True, slots=True)
class Use:
    """Of a key: permits that count at the moment, and when there is a free one (microseconds), if there is none."""

    key: str
    used: int
    next_at: int | None


async def used(reader: Reader, rates: Mapping[str, Rate], most: int) -> list[Use]:
    """How far each limit is used up, key by key; the most recently used ones of each. rates: by the limits' names."""
    rows = await reader.fetch(
        """SELECT l.key, l.ends, l.counts, l.spread_until, n.name,
             (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
           FROM unnest($1::text[]) AS n (name) CROSS JOIN LATERAL (
             SELECT * FROM limits WHERE key = n.name OR (key > n.name || ':' AND key < n.name || ';')
             ORDER BY empty_at DESC, key LIMIT $2) l""",
        list(rates),
        most,
    )
    found = []
    for row in rows:
        tally = Tally(_window(row), rates[row["name"]], row["now"])
        found.append(Use(row["key"], tally.used, None if tally.free else tally.next_at))
    return found


def _window(row: Record) -> Window:
    return Window(tuple(row["ends"]), tuple(row["counts"]), row["spread_until"])


async def key_names(reader: Reader, numbers: Collection[int]) -> dict[int, str]:
    """The names of API keys, by their numbers."""
    rows = await reader.fetch(
        "SELECT number, name FROM api_keys WHERE number = ANY ($1::int[])", list(numbers)
    )
    return {row["number"]: row["name"] for row in rows}
