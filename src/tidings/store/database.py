"""Connections to PostgreSQL."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import asyncpg
import orjson

Record: TypeAlias = "asyncpg.Record"
Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Reader: TypeAlias = "Connection | Pool"
"""What runs single statements: a connection, or a pool that lends one."""

# What a dead or restarting server raises, or one whose database or role is being exchanged; all of it passes, so
# callers wait and try again.
UNAVAILABLE = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,  # disk or memory full, too many connections
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,  # after a fail-over
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,  # deadlocks and the like: the same statement succeeds next time
    asyncpg.InvalidAuthorizationSpecificationError,  # among them a wrong password, while it is being changed
    asyncpg.InvalidCatalogNameError,  # no such database, while a restored one takes its place
    asyncpg.ObjectNotInPrerequisiteStateError,  # it takes no connections (ALLOW_CONNECTIONS false)
    asyncpg.IdleInTransactionSessionTimeoutError,  # this process stood still, and lost its connection
    asyncpg.PostgresSystemError,  # errors of the disk
    asyncpg.InternalClientError,  # asyncpg's state machine, when a connection ends between two queries
)

# Batches come as arrays, whose sizes the planner cannot know: left alone it may choose to scan a whole
# table that was small when the plan was made. These statements are always short index look-ups, so one
# generic plan serves every batch, and planning again for each would cost more than running it.
_HOT = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_material": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}


async def open_pool(dsn: str, *, size: int, name: str, hot: bool = False) -> Pool:
    """A pool of at most size connections. hot: for batch work over arrays, planned as index look-ups."""
    settings = {"application_name": f"tidings {name}", "timezone": "UTC", **(_HOT if hot else {})}
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=size,
        init=prepare,
        reset=_keep if hot else None,
        command_timeout=60,
        max_inactive_connection_lifetime=300,
        server_settings=settings,
    )


async def prepare(connection: Connection) -> None:
    """Teach a connection to read and write JSON as Python values."""
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind, schema="pg_catalog", format="text", encoder=_dump, decoder=orjson.loads
        )


def _dump(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


async def _keep(_: Connection) -> None:
    """No reset between uses: we leave nothing behind in a session, and it would cost a round trip. In
    return, hot pools are used through borrow() alone."""


@contextlib.asynccontextmanager
async def borrow(pool: Pool) -> AsyncIterator[Connection]:
    """A connection of the pool; one that fails is not given to the next."""
    async with pool.acquire() as connection:
        try:
            yield connection
        except UNAVAILABLE:
            connection.terminate()
            raise
