"""What the database needs from time to time; harmless in several processes at once."""

from tidings.store.database import Connection

PARTITIONED = ("notifications", "deliveries", "attempts", "receipts", "inbox")
WEEKS_AHEAD = 5
_LOCK = 0x7061_7274  # one process at a time makes partitions; the others need not wait


async def ensure_partitions(connection: Connection) -> int:
    """Make the partitions of the weeks to come; how many were made."""
    made = 0
    async with connection.transaction():
        if await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK):
            for table in PARTITIONED:
                made += await connection.fetchval(
                    "SELECT ensure_partitions($1, now(), $2)", table, WEEKS_AHEAD
                )
    return made
