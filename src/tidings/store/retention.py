"""Retention: what has been kept for long enough is forgotten. Why so: docs/adr/0016-retention.md.

One process at a time does it, whichever comes first; when it dies, the next one goes on. Each step is a short
transaction, so it may end anywhere.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import structlog

from tidings.domain import ids
from tidings.settings import RetentionSettings
from tidings.store import (
    account_health,
    batches,
    callback_proofs,
    callbacks,
    conversions,
    dead_letters,
    digests,
    feeds,
    receipts,
)
from tidings.store.database import Connection
from tidings.store.weeks import (
    INBOX,
    NOTIFICATIONS,
    Group,
    Week,
    drop,
    remember,
    weeks_before,
)

log: structlog.stdlib.BoundLogger = structlog.get_logger()

MOST_MOVED = 2_000
"""Notifications of a week that move when it is dropped, at the most; with more, the week is kept."""
_PAGE = 10_000  # rows looked at by one statement, in some 10 ms
_CHUNK = 500  # notifications deleted by one transaction
_TRIES = 20
_PAUSE = 0.5  # seconds between tries to have the tables for a moment
_LOWEST = UUID(int=0)
_PROOFS = 0.5
"""Days; vendors' proofs are taken for 9 hours at the most, and then refused for their age."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """table: of which. partitions: dropped; rows: deleted one by one."""

    table: str
    partitions: int = 0
    rows: int = 0


async def forget(connection: Connection, keep: RetentionSettings) -> AsyncIterator[Forgotten]:
    """All that the settings no longer keep; what was forgotten, step by step."""
    now: datetime = await connection.fetchval("SELECT now()")
    for group, days in ((NOTIFICATIONS, keep.notifications), (INBOX, keep.inbox)):
        if days:
            async for one in forget_weeks(connection, group, now - timedelta(days=days)):
                yield one
    more = True
    while more:
        more = await feeds.recount(connection)
    for table, days, step in (
        ("batches", keep.batches, batches.forget_before),
        ("digests", keep.notifications, digests.forget_before),
        ("stray_receipts", keep.notifications, receipts.forget_strays_before),
        ("callbacks", keep.notifications, callbacks.forget_before),
        ("callback_proofs", _PROOFS, callback_proofs.forget_before),
        ("conversions", keep.notifications, conversions.forget_before),
        ("account_events", keep.account_events, account_health.forget_before),
        ("dead_letters", keep.dead_letters, dead_letters.forget_before),
    ):
        while days and (rows := await step(connection, now - timedelta(days=days))):
            yield Forgotten(table, rows=rows)


async def forget_weeks(
    connection: Connection, group: Group, since: datetime
) -> AsyncIterator[Forgotten]:
    """Forget that to which nothing happened since: whole weeks, and then what lies in the default partitions."""
    beyond = ids.first_at(since)
    first = group.first.name
    for week in await weeks_before(connection, group, beyond):
        if not week.whole:
            async for one in _delete(connection, group, first, week.first, week.beyond, since):
                yield one
        if await _drop(connection, week, since):
            for table in week.partitions:
                yield Forgotten(table, partitions=1)
    async for one in _delete(connection, group, f"{first}_default", _LOWEST, beyond, since):
        yield one


async def _drop(connection: Connection, week: Week, since: datetime) -> bool:
    """False when it has to wait for another time."""
    kept = [one async for one in _alive(connection, week, since)]
    for _ in range(_TRIES):
        try:
            if len(kept) <= MOST_MOVED and await drop(connection, week, kept, MOST_MOVED):
                return True
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(_PAUSE)
            continue
        log.warning("retention.week_still_needed", **_named(week))
        return False
    log.warning("retention.postponed", **_named(week))
    return False


def _named(week: Week) -> Mapping[str, str]:
    return {"group": week.group.name, "week": ids.time_of(week.first).date().isoformat()}


async def _alive(connection: Connection, week: Week, since: datetime) -> AsyncIterator[UUID]:
    """What is to be kept on of a week; not much more than can be moved."""
    table, key = week.group.alive.name, week.group.alive.key
    after, found = week.first, 0
    while found <= MOST_MOVED:
        end = await connection.fetchval(
            f"SELECT {key} FROM {table} WHERE {key} >= $1 AND {key} < $2 ORDER BY {key} OFFSET {_PAGE} LIMIT 1",
            after,
            week.beyond,
        )
        rows = await connection.fetch(
            f"""SELECT DISTINCT {key} AS id FROM {table}
                WHERE {key} >= $2 AND {key} < $3 AND {week.group.still} LIMIT {MOST_MOVED + 1}""",
            since,
            after,
            end or week.beyond,
        )
        found += len(rows)
        for row in rows:
            yield row["id"]
        if end is None:
            return
        after = end


async def _delete(
    connection: Connection, group: Group, table: str, first: UUID, beyond: UUID, since: datetime
) -> AsyncIterator[Forgotten]:
    """Row by row, in bounded chunks: what lies in the default partitions, because a week had none of its own when
    it came or was needed for longer than its week was kept."""
    after = UUID(int=max(0, first.int - 1))
    while True:
        async with connection.transaction():
            page = [
                row["id"]
                for row in await connection.fetch(
                    f"""SELECT {group.first.key} AS id FROM {table} WHERE {group.first.key} > $1
                          AND {group.first.key} < $2 ORDER BY {group.first.key} LIMIT {_CHUNK}""",
                    after,
                    beyond,
                )
            ]
            if not page:
                return
            deleted = await _delete_chunk(connection, group, page, since)
            if any(deleted.values()):
                await remember(connection, group, beyond)
        for name, rows in deleted.items():
            if rows:
                yield Forgotten(name, rows=rows)
        after = page[-1]


async def _delete_chunk(
    connection: Connection, group: Group, page: list[UUID], since: datetime
) -> dict[str, int]:
    """Delete those of a page that nothing keeps. Whoever would put one of them on the queue needs the lock of its
    delivery's row, so none is put there behind the look at the queue."""
    alive = group.alive
    owned = await connection.fetch(
        f"""SELECT id, {alive.key} AS owner, coalesce({group.still}, false) AS still FROM {alive.name}
            WHERE {alive.key} = ANY ($2::uuid[]) ORDER BY {alive.key}, id FOR UPDATE""",
        since,
        page,
    )
    staying = {row["owner"] for row in owned if row["still"]}
    if group.queued:
        staying |= {
            row["notification_id"]
            for row in await connection.fetch(
                "SELECT notification_id FROM queue WHERE delivery_id = ANY ($1::uuid[])",
                [row["id"] for row in owned],
            )
        }
    going = [one for one in page if one not in staying]
    parts = [row["id"] for row in owned if row["owner"] not in staying]
    return {
        table.name: _count(
            await connection.execute(
                f"DELETE FROM {table.name} WHERE {table.key} = ANY ($1::uuid[])",
                parts if table.of_deliveries else going,
            )
        )
        for table in group.tables
    }


def _count(status: str) -> int:
    """Of a command's tag, as `DELETE 5`."""
    return int(status.rpartition(" ")[2])
