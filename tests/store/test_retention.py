"""Retention: what is old is forgotten, all of it together; what is still needed is not, and nobody is held up."""

import asyncio
import contextlib
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.store.ageing import age
from tests.support.system import System
from tidings.settings import RetentionSettings
from tidings.store import retention
from tidings.store.audit import audit
from tidings.store.database import Connection
from tidings.store.retention import forget
from tidings.store.upkeep import elected

pytestmark = pytest.mark.anyio

CONTENT = {"email": {"subject": "Hi", "text": "Hi"}, "in_app": {"title": "Hi", "body": "Hi"}}
LATER = "2100-01-01T00:00:00Z"
ANN = {"user_id": "ann", "email": "ann@example.com"}
KEPT = RetentionSettings(notifications=90, inbox=90)
TOGETHER = (
    "notifications",
    "deliveries",
    "attempts",
    "receipts",
    "link_targets",
    "attachments",
    "engagements",
)


async def counted(connection: Connection) -> dict[str, int]:
    return {
        table: await connection.fetchval(f"SELECT count(*) FROM {table}")
        for table in (*TOGETHER, "inbox", "queue", "idempotency_keys", "batches")
    }


async def forgotten(
    connection: Connection, keep: RetentionSettings = KEPT
) -> tuple[Counter[str], Counter[str]]:
    """Partitions dropped, and rows deleted one by one, by table."""
    partitions, rows = Counter[str](), Counter[str]()
    async for one in forget(connection, keep):
        partitions[one.table] += one.partitions
        rows[one.table] += one.rows
    return +partitions, +rows


async def faults(connection: Connection) -> dict[str, list[str]]:
    return {
        one.check.name: list(one.samples) async for one in audit(connection, lease=60) if one.count
    }


@pytest.fixture
async def filled(dsn: str, tmp_path: Path) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Six that were delivered, one of them with a key and one failed; nothing works on it any more."""
    async with System.run(dsn, tmp_path) as system:
        await system.template(CONTENT)
        file = {"filename": "terms.txt", "content": "VGVybXM="}
        sent = [await system.send(ANN, idempotency_key="once", email={"attachments": [file]})]
        sent += [await system.send(ANN) for _ in range(5)]
        for one in sent:
            await system.settled(one)
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def test_old_weeks_go_as_partitions(filled: Any) -> None:
    await age(filled, 200)
    partitions, rows = await forgotten(filled)
    assert partitions == Counter(dict.fromkeys((*TOGETHER, "inbox"), 2))
    assert not rows
    left = await counted(filled)
    assert [left[table] for table in (*TOGETHER, "inbox")] == [0] * (len(TOGETHER) + 1)
    assert left["idempotency_keys"] == 1
    assert await faults(filled) == {}
    assert await forgotten(filled) == (Counter(), Counter())


async def test_what_is_young_or_kept_for_ever_stays(filled: Any) -> None:
    before = await counted(filled)
    assert await forgotten(filled) == (Counter(), Counter())
    await age(filled, 200)
    everything = RetentionSettings(notifications=0, inbox=0, batches=0, dead_letters=0)
    assert await forgotten(filled, everything) == (Counter(), Counter())
    assert await counted(filled) == before


async def test_an_inbox_is_kept_longer(filled: Any) -> None:
    before = await counted(filled)
    await age(filled, 200)
    await forgotten(filled, RetentionSettings(notifications=90, inbox=365))
    left = await counted(filled)
    assert (left["notifications"], left["inbox"]) == (0, before["inbox"])
    assert await faults(filled) == {}
    partitions, _ = await forgotten(filled, RetentionSettings(notifications=90, inbox=100))
    assert partitions == Counter(inbox=2)


@pytest.mark.parametrize("partitions", [True, False])
async def test_what_still_waits_is_kept(dsn: str, tmp_path: Path, *, partitions: bool) -> None:
    """It moves to the default partition, with all that belongs to it, or lies there already."""
    async with System.run(dsn, tmp_path) as system:
        await system.template(CONTENT)
        for one in [await system.send(ANN) for _ in range(3)]:
            await system.settled(one)
        await system.send(ANN, send_at=LATER)
    connection = await asyncpg.connect(dsn)
    await age(connection, 200, partitions=partitions)
    await forgotten(connection)
    left = await counted(connection)
    assert (left["notifications"], left["deliveries"], left["queue"]) == (1, 2, 2)
    assert await connection.fetchval("SELECT count(*) FROM notifications_default") == 1
    assert await faults(connection) == {}
    await connection.execute("UPDATE queue SET due_at = now()")
    # What is sealed is bound to the id that it had: it cannot be read, and ends as that.
    waiting = await connection.fetchval("SELECT id FROM notifications")
    async with System.run(dsn, tmp_path) as system:
        await system.call("POST", f"/notifications/{waiting}/cancel")
        assert (await system.status(str(waiting)))["status"] == "cancelled"
    assert await forgotten(connection) == (Counter(), Counter()), "it was done with just now"
    await connection.execute("UPDATE deliveries SET updated_at = now() - interval '91 days'")
    _, rows = await forgotten(connection)
    assert rows == Counter(notifications=1, deliveries=2)
    await connection.close()


async def test_a_week_of_which_too_much_waits_is_kept(
    filled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MOST_MOVED", 3)
    await filled.execute("UPDATE deliveries SET status = 'pending' WHERE channel = 'email'")
    before = await counted(filled)
    await age(filled, 200)
    await forgotten(filled)
    left = await counted(filled)
    assert left["notifications"] == before["notifications"]
    await filled.execute("UPDATE deliveries SET status = 'delivered'")
    await forgotten(filled)
    assert (await counted(filled))["notifications"] == 0


async def test_what_was_delivered_late_is_kept_from_then_on(filled: Any) -> None:
    await age(filled, 200)
    late = await filled.fetchval(
        "UPDATE deliveries SET updated_at = now() WHERE id = (SELECT max(id::text)::uuid FROM deliveries)"
        " RETURNING notification_id"
    )
    await filled.execute("UPDATE inbox SET stored_at = now() WHERE id > $1", late)
    await forgotten(filled)
    assert [row["id"] for row in await filled.fetch("SELECT id FROM notifications")] == [late]
    left = await counted(filled)
    assert (left["deliveries"], left["attempts"], left["inbox"]) == (2, 2, 1)
    assert await faults(filled) == {}


async def test_rows_without_partitions_go_in_chunks(
    filled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_CHUNK", 2)
    before = await counted(filled)
    await age(filled, 200, partitions=False)
    _, rows = await forgotten(filled)
    assert rows["notifications"] == before["notifications"] == 6
    assert (rows["deliveries"], rows["inbox"]) == (before["deliveries"], before["inbox"])
    assert await faults(filled) == {}


async def test_a_week_that_has_only_some_of_its_partitions(filled: Any) -> None:
    await age(filled, 200, partitions=False)
    for table in ("attempts", "receipts"):
        await filled.execute(
            "CREATE TEMP TABLE aside AS SELECT * FROM attempts WHERE $1 = 'attempts'", table
        )
        if table == "attempts":
            await filled.execute("DELETE FROM attempts")
        await filled.execute("SELECT ensure_partitions($1, now() - interval '200 days', 2)", table)
        if table == "attempts":
            await filled.execute("INSERT INTO attempts SELECT * FROM aside")
        await filled.execute("DROP TABLE aside")
    partitions, rows = await forgotten(filled)
    assert partitions == Counter(attempts=2, receipts=2)
    assert rows["notifications"] == 6
    left = await counted(filled)
    assert [left[table] for table in TOGETHER] == [0] * len(TOGETHER)
    assert await faults(filled) == {}


async def test_who_uses_a_table_is_not_held_up(
    filled: Any, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long transaction keeps the week; others get through between the tries, and it goes when that has ended."""
    monkeypatch.setattr(retention, "_TRIES", 3)
    monkeypatch.setattr(retention, "_PAUSE", 0.01)
    await age(filled, 200)
    reader, writer = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    async with reader.transaction():
        await reader.fetchval("SELECT count(*) FROM deliveries")
        trying = asyncio.create_task(forgotten(filled))
        while not trying.done():
            await writer.execute("UPDATE deliveries SET detail = 'seen'")
        partitions, _ = trying.result()
        assert partitions.keys() <= {"inbox"}
        assert await writer.fetchval("SELECT count(*) FROM notifications") == 6
    partitions, _ = await forgotten(filled)
    assert partitions["notifications"] == 2
    await reader.close()
    await writer.close()


async def test_batches_and_events_go_by_their_age(dsn: str, tmp_path: Path) -> None:
    async with System.run(dsn, tmp_path) as system:
        await system.template(CONTENT)
        items = [{"template_id": "note", "recipient": ANN}] * 2
        answer = await system.call("POST", "/notifications/bulk", {"notifications": items})
        assert answer.status == 202, answer.body
        for result in answer.body["results"]:
            await system.settled(result["notification_id"])
        still_open = (await system.call("POST", "/batches", {"name": "open"})).body["batch_id"]
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        """INSERT INTO account_events (id, account, state_from, state_to, reason)
           VALUES (uuid_first_at(now()), 'mail', 'closed', 'open', 'failing')"""
    )
    await age(connection, 200)
    await connection.execute(
        "UPDATE batches SET id = pg_temp.older(id, 200);"
        "UPDATE notifications SET batch_id = pg_temp.older(batch_id, 200)"
    )
    long = RetentionSettings(notifications=0, inbox=0, account_events=0)
    assert await forgotten(connection, long) == (Counter(), Counter()), "it has notifications"
    _, rows = await forgotten(connection)
    assert rows == Counter(batches=1, account_events=1)
    assert await connection.fetchval("SELECT count(*) FROM batches") == 1, still_open
    assert await faults(connection) == {}
    await connection.close()


async def test_a_worker_forgets_and_counts(filled: Any, dsn: str, tmp_path: Path) -> None:
    await age(filled, 200)
    async with System.run(dsn, tmp_path) as _, asyncio.timeout(20):
        while (await counted(filled))["notifications"]:
            await asyncio.sleep(0.02)


HOLDER = """
import asyncio, sys, asyncpg
from tidings.store.upkeep import elected
async def hold():
    connection = await asyncpg.connect(sys.argv[1])
    async with elected(connection, "retention") as mine:
        print(mine, flush=True)
        await asyncio.Event().wait()
asyncio.run(hold())
"""


async def test_another_goes_on_when_the_one_that_does_it_is_killed(
    connection: Connection, dsn: str
) -> None:
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, dsn, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    assert (await holder.stdout.readline()).strip() == b"True"
    async with elected(connection, "retention") as mine:
        assert not mine
    async with elected(connection, "something else") as mine:
        assert mine
    holder.send_signal(signal.SIGKILL)
    await holder.wait()
    async with asyncio.timeout(20):
        taken = False
        while not taken:
            async with elected(connection, "retention") as taken:
                pass


async def test_one_that_fails_does_not_keep_the_task(dsn: str, connection: Connection) -> None:
    failing = await asyncpg.connect(dsn)
    with contextlib.suppress(ZeroDivisionError):
        async with elected(failing, "retention"):
            raise ZeroDivisionError
    assert failing.is_closed()
    async with asyncio.timeout(20):
        taken = False
        while not taken:
            async with elected(connection, "retention") as taken:
                pass
