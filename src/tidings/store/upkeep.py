"""What the database needs from time to time; harmless in several processes at once."""

import contextlib
from collections.abc import AsyncIterator

import asyncpg
import structlog

from tidings.store.database import Connection

log: structlog.stdlib.BoundLogger = structlog.get_logger()

PARTITIONED = (
    "notifications",
    "deliveries",
    "attempts",
    "receipts",
    "link_targets",
    "attachments",
    "engagements",
    "inbox",
)
WEEKS_AHEAD = 5
_LOCK = 0x7061_7274  # one process at a time does each thing; the others need not wait


@contextlib.asynccontextmanager
async def elected(connection: Connection, task: str) -> AsyncIterator[bool]:
    """Whether this process is the one that does the task now, over all hosts. The database lets the task go when
    the connection of whoever does it ends, so it goes on elsewhere after a crash. One that fails here closes its
    connection, which would otherwise keep the task in the pool."""
    mine = await connection.fetchval(
        "SELECT pg_try_advisory_lock($1::int, hashtext($2))", _LOCK, task
    )
    try:
        yield mine
    except BaseException:
        connection.terminate()
        raise
    if mine:
        await connection.execute("SELECT pg_advisory_unlock($1::int, hashtext($2))", _LOCK, task)


async def ensure_partitions(connection: Connection) -> int:
    """Make the partitions of the weeks to come; how many were made.

    A new partition needs a short lock on its table. It is not waited for: behind the wait, everything
    that accepts and settles would queue up. There are weeks of time to try again.
    """
    made = 0
    for table in PARTITIONED:
        try:
            async with connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '500ms'")
                mine = await connection.fetchval(
                    "SELECT pg_try_advisory_xact_lock($1::int, hashtext($2))", _LOCK, table
                )
                if mine:
                    made += await connection.fetchval(
                        "SELECT ensure_partitions($1, now(), $2)", table, WEEKS_AHEAD
                    )
        except asyncpg.LockNotAvailableError:
            log.warning("partitions.postponed", table=table)
    return made
