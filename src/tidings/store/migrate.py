"""Bring the schema up to date. Safe when several processes start at once."""

from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from tidings.store import database

# One migration at a time, over all processes and hosts: an advisory lock under the project's own number.
_LOCK = 0x7469_6469_6E67


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def newest() -> str:
    """The revision that this version of Tidings expects."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


async def migrate(dsn: str) -> str:
    """Run what is missing; the revision reached. Raises what the database raises."""
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(dsn), poolclass=pool.NullPool
    )
    try:
        async with engine.connect() as connection:
            # The lock is the session's, so it outlives the transactions of the revisions.
            await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
            await connection.commit()
            await connection.run_sync(_upgrade)
            await connection.commit()
    finally:
        await engine.dispose()
    return newest()


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def revision(connection: database.Connection) -> str | None:
    """The revision of this database; None when it has no schema of ours."""
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    value: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return value
