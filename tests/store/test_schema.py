"""Migrations that start at once, and the partitions that rows land in."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import asyncpg
import pytest
import uuid_utils.compat as uuids

from tests.store.tables import table_names
from tidings.domain import ids
from tidings.store.embedded import EmbeddedServer
from tidings.store.migrate import migrate, newest, revision
from tidings.store.upkeep import PARTITIONED, WEEKS_AHEAD, ensure_partitions

pytestmark = pytest.mark.anyio

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
async def empty_database(server: EmbeddedServer) -> AsyncIterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(server.url.replace("/tidings?", "/postgres?"))
    await admin.execute(f'CREATE DATABASE "{name}"')
    yield server.url.replace("/tidings?", f"/{name}?")
    await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


async def test_processes_that_migrate_at_once(empty_database: str) -> None:
    connection = await asyncpg.connect(empty_database)
    assert await revision(connection) is None
    program = "import asyncio, sys; from tidings.store.migrate import migrate; print(asyncio.run(migrate(sys.argv[1])))"
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", program, empty_database),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for process in started:
        output, errors = await process.communicate()
        assert (process.returncode, output.decode().strip()) == (0, newest()), errors.decode()
    assert await revision(connection) == newest()
    assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1
    before = await table_names(connection)
    assert await migrate(empty_database) == newest()
    assert await table_names(connection) == before
    await connection.close()


async def partitions(connection: Connection, parent: str) -> list[str]:
    rows = await connection.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = $1::regclass",
        parent,
    )
    return sorted(row["name"] for row in rows)


def week_of(parent: str, moment: datetime) -> str:
    year, week, _ = moment.isocalendar()
    return f"{parent}_{year}w{week:02}"


async def test_every_growing_table_has_its_weeks(connection: Connection) -> None:
    now = datetime.now(UTC)
    for parent in PARTITIONED:
        found = await partitions(connection, parent)
        assert f"{parent}_default" in found
        for weeks in range(-1, WEEKS_AHEAD):
            assert week_of(parent, now + timedelta(weeks=weeks)) in found


async def add_receipt(connection: Connection, delivery_id: UUID) -> str:
    """The partition that it landed in."""
    await connection.execute(
        """INSERT INTO receipts (delivery_id, id, type, occurred_at) VALUES ($1, $1, 'opened', now())""",
        delivery_id,
    )
    name: str = await connection.fetchval(
        "SELECT tableoid::regclass::text FROM receipts WHERE delivery_id = $1", delivery_id
    )
    return name


async def test_rows_land_in_the_week_of_their_id(connection: Connection) -> None:
    now = datetime.now(UTC)
    assert await add_receipt(connection, uuids.uuid7()) == week_of("receipts", now)
    # The very first and the very last id of this week.
    monday = (now - timedelta(days=now.weekday())).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    first = ids.first_at(monday)
    last = UUID(int=ids.first_at(monday + timedelta(weeks=1)).int - 1)
    assert await add_receipt(connection, first) == week_of("receipts", now)
    assert await add_receipt(connection, last) == week_of("receipts", now)
    assert await add_receipt(connection, UUID(int=last.int + 1)) == week_of(
        "receipts", monday + timedelta(weeks=1)
    )
    # Accepting never depends on a partition being there.
    assert (
        await add_receipt(connection, ids.first_at(now + timedelta(weeks=100)))
        == "receipts_default"
    )
    assert await add_receipt(connection, UUID(int=0)) == "receipts_default"


async def test_a_notification_lies_in_the_partition_of_its_week(connection: Connection) -> None:
    for parent in ("notifications", "deliveries", "attempts", "inbox"):
        definition = await connection.fetchval("SELECT pg_get_partkeydef($1::regclass)", parent)
        assert definition.startswith("RANGE (")
        assert definition.endswith("id)")


async def test_upkeep_makes_what_is_missing_and_only_once(connection: Connection) -> None:
    assert await ensure_partitions(connection) == 0
    last = week_of("inbox", datetime.now(UTC) + timedelta(weeks=WEEKS_AHEAD - 1))
    await connection.execute(f"DROP TABLE {last}")
    assert await ensure_partitions(connection) == 1
    assert last in await partitions(connection, "inbox")
    assert await ensure_partitions(connection) == 0


async def test_upkeep_after_a_week_was_missed(connection: Connection) -> None:
    """Rows of this week that are in the default partition stay there; the other weeks are made."""
    now = datetime.now(UTC)
    this, after = week_of("receipts", now), week_of("receipts", now + timedelta(weeks=1))
    await connection.execute(f"DROP TABLE {this}, {after}")
    assert await add_receipt(connection, uuids.uuid7()) == "receipts_default"
    assert await ensure_partitions(connection) == 1
    found = await partitions(connection, "receipts")
    assert after in found
    assert this not in found
    assert await add_receipt(connection, uuids.uuid7()) == "receipts_default"


async def test_several_workers_keep_up_at_once(dsn: str, connection: Connection) -> None:
    for weeks in range(WEEKS_AHEAD):
        name = week_of("attempts", datetime.now(UTC) + timedelta(weeks=weeks))
        await connection.execute(f"DROP TABLE {name}")
    others = [await asyncpg.connect(dsn) for _ in range(4)]
    made = await asyncio.gather(*(ensure_partitions(other) for other in others))
    assert sum(made) == WEEKS_AHEAD
    for other in others:
        await other.close()


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2026, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, tzinfo=UTC),
    ],
)
async def test_ids_and_times_are_the_same_in_sql_and_python(
    connection: Connection, moment: datetime
) -> None:
    assert await connection.fetchval("SELECT uuid_first_at($1)", moment) == ids.first_at(moment)
    assert await connection.fetchval("SELECT uuid_time($1)", ids.first_at(moment)) == moment
