"""Workers killed with SIGKILL at the worst moments: nothing is lost, and what may be doubled is marked."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import pytest

from tests.support.sink import Sink
from tests.support.system import System

pytestmark = [pytest.mark.anyio, pytest.mark.crash]

COUNT = 60
CONCURRENCY = 20
SECRET = "whsec_" + "c2VjcmV0" * 4
ACCOUNTS = {"hooks": {"provider": "webhook", "secret": SECRET, "timeout": 1.5}}
# Short leases, so that the tests need not wait long; test_default_settings has the real ones.
QUICK = {"concurrency": CONCURRENCY, "claim_batch": 10, "lease": 2.5, "heartbeat": 0.5, "poll": 0.2}
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Workers:
    """Starts worker processes on a system's database, and ends those that still run."""

    def __init__(self, system: System, options: dict[str, str]) -> None:
        self._environment = {
            **{
                name: value for name, value in os.environ.items() if not name.startswith("TIDINGS_")
            },
            "TIDINGS_CONFIG": os.devnull,
            "TIDINGS_DATABASE_URL": system.dsn,
            "TIDINGS_DATA_DIR": str(system.settings.data_dir),
            "TIDINGS_OUTBOUND__ALLOW": '["127.0.0.0/8"]',
            "TIDINGS_RETRY__BASE": "0.1",
            "TIDINGS_LOG__LEVEL": "error",
            "TIDINGS_ACCOUNTS__HOOKS__PROVIDER": "webhook",
            "TIDINGS_ACCOUNTS__HOOKS__SECRET": SECRET,
            "TIDINGS_ACCOUNTS__HOOKS__TIMEOUT": "1.5",
            **options,
        }
        self.started: list[asyncio.subprocess.Process] = []

    async def start(self, point: str = "never", nth: int = 1) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.crash.process", "worker", point, str(nth)),
            env=self._environment,
            cwd=Path(__file__).parents[2],
        )
        self.started.append(process)
        return process

    async def end(self) -> None:
        for process in self.started:
            if process.returncode is None:
                process.terminate()
                await process.wait()


@contextlib.asynccontextmanager
async def workers(system: System, **options: Any) -> AsyncIterator[Workers]:
    started = Workers(
        system, {f"TIDINGS_WORKER__{name}".upper(): str(value) for name, value in options.items()}
    )
    try:
        yield started
    finally:
        await started.end()


@pytest.fixture
async def accepting(dsn: str, tmp_path: Path) -> AsyncIterator[System]:
    """An API without a worker."""
    async with System.run(dsn, tmp_path, working=False, accounts=ACCOUNTS) as system:
        yield system


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with Sink.run() as running:
        yield running


async def accept(system: System, sink: Sink, count: int = COUNT, **template: Any) -> None:
    await system.template({"webhook": {"payload": {"number": "{{ number }}"}}}, **template)
    items = [
        {"template_id": "note", "recipient": {"webhook_url": sink.url}, "data": {"number": number}}
        for number in range(count)
    ]
    answer = await system.call("POST", "/notifications/bulk", {"notifications": items})
    assert answer.body["accepted"] == count


async def until_settled(connection: Connection, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while await connection.fetchval("SELECT count(*) FROM queue"):
            await asyncio.sleep(0.05)


async def by_status(connection: Connection) -> dict[str, int]:
    rows = await connection.fetch("SELECT status, count(*) AS n FROM deliveries GROUP BY status")
    return {row["status"]: row["n"] for row in rows}


async def with_unknown_attempt(connection: Connection) -> set[str]:
    rows = await connection.fetch("SELECT delivery_id FROM attempts WHERE outcome = 'unknown'")
    return {str(row["delivery_id"]) for row in rows}


@pytest.mark.parametrize(
    ("point", "nth"), [("claimed", 1), ("started", 2), ("sent", 15), ("settling", 2)]
)
async def test_killed_at_least_once(
    point: str, nth: int, accepting: System, sink: Sink, connection: Connection
) -> None:
    await accept(accepting, sink)
    async with workers(accepting, **QUICK) as started:
        doomed = await started.start(point, nth)
        assert await asyncio.wait_for(doomed.wait(), 30) == -signal.SIGKILL
        await started.start()
        await until_settled(connection)
    assert await by_status(connection) == {"delivered": COUNT}
    assert len(sink.seen) == COUNT
    unknown = await with_unknown_attempt(connection)
    assert sink.doubled <= unknown
    assert len(sink.doubled) <= CONCURRENCY
    if point == "claimed":
        assert not sink.doubled, "what was only claimed was not sent, so nothing is sent again"
    attempts = await connection.fetch(
        "SELECT delivery_id, count(*) AS rows, max(number) AS last FROM attempts GROUP BY delivery_id"
    )
    assert all(row["rows"] == row["last"] for row in attempts), "every attempt is on record, once"


@pytest.mark.parametrize(("point", "nth"), [("started", 2), ("sent", 15), ("settling", 2)])
async def test_killed_at_most_once(
    point: str, nth: int, accepting: System, sink: Sink, connection: Connection
) -> None:
    await accept(accepting, sink, on_unknown="hold")
    async with workers(accepting, **QUICK) as started:
        doomed = await started.start(point, nth)
        assert await asyncio.wait_for(doomed.wait(), 30) == -signal.SIGKILL
        await started.start()
        await until_settled(connection)
    assert not sink.doubled
    found = await by_status(connection)
    assert found.keys() <= {"delivered", "unknown"}
    assert sum(found.values()) == COUNT
    assert 0 < found["unknown"] <= CONCURRENCY
    assert len(sink.seen) >= found["delivered"]


async def test_one_that_kills_whoever_prepares_it_is_given_up(
    accepting: System, sink: Sink, connection: Connection
) -> None:
    """And what was claimed beside it is sent once, and blamed for nothing."""
    await accept(accepting, sink)
    answer = await accepting.call(
        "POST",
        "/notifications/send",
        {
            "template_id": "note",
            "recipient": {"webhook_url": sink.url},
            "data": {"number": 0, "poison": True},
            "priority": "high",
        },
    )
    poison = answer.body["notification_id"]
    deaths = 0
    async with workers(accepting, **QUICK) as started, asyncio.timeout(60):
        doomed = await started.start("preparing")
        while await connection.fetchval("SELECT count(*) FROM queue"):
            if doomed.returncode is not None:
                assert doomed.returncode == -signal.SIGKILL
                deaths += 1
                doomed = await started.start("preparing")
            await asyncio.sleep(0.05)
    assert deaths == 4, "with others, and three times alone"
    assert await by_status(connection) == {"delivered": COUNT, "failed": 1}
    assert len(sink.seen) == COUNT
    assert not sink.doubled
    (delivery,) = (await accepting.status(poison))["deliveries"]
    assert (delivery["reason"], delivery["attempts"]) == ("kills_workers", 0)
    explained = await accepting.call("GET", f"/notifications/{poison}/explain")
    steps = [step["code"] for step in explained.body["deliveries"][0]["steps"]]
    assert steps.count("prepared_alone") == 3
    marked = await connection.fetchval(
        "SELECT count(*) FROM deliveries WHERE decisions ~ 'prepared_alone'"
    )
    assert marked == 1
    letters = await accepting.call("GET", "/dead-letters")
    assert [one["notification_id"] for one in letters.body["dead_letters"]] == [poison]


async def test_default_settings_take_over_within_thirty_seconds(
    accepting: System, sink: Sink, connection: Connection
) -> None:
    await accept(accepting, sink)
    async with workers(accepting) as started:
        doomed = await started.start("started", 1)
        assert await asyncio.wait_for(doomed.wait(), 30) == -signal.SIGKILL
        died = await connection.fetchval("SELECT clock_timestamp()")
        await started.start()
        await until_settled(connection, 60)
    assert await by_status(connection) == {"delivered": COUNT}
    taken_over = await connection.fetchval(
        "SELECT max(finished_at) FROM attempts WHERE outcome = 'unknown'"
    )
    assert (taken_over - died).total_seconds() < 30


async def test_a_late_worker_overwrites_nothing(
    accepting: System, sink: Sink, connection: Connection
) -> None:
    """A worker that stood still (SIGSTOP) beyond its lease wakes up when others have done its work."""
    sink.delay = 0.2
    await accept(accepting, sink)
    async with workers(accepting, **QUICK) as started:
        frozen = await started.start()
        await sink.arrived(10)
        frozen.send_signal(signal.SIGSTOP)
        await started.start()
        await until_settled(connection)
        before = await connection.fetch("SELECT * FROM deliveries ORDER BY id")
        attempts = await connection.fetch("SELECT * FROM attempts ORDER BY delivery_id, number")
        frozen.send_signal(signal.SIGCONT)
        frozen.terminate()
        await asyncio.wait_for(frozen.wait(), 30)
    assert await connection.fetch("SELECT * FROM deliveries ORDER BY id") == before
    assert await connection.fetch("SELECT * FROM attempts ORDER BY delivery_id, number") == attempts
    assert await by_status(connection) == {"delivered": COUNT}
    assert sink.doubled <= await with_unknown_attempt(connection)


async def test_sigterm_finishes_what_is_under_way(
    accepting: System, sink: Sink, connection: Connection
) -> None:
    sink.delay = 0.3
    await accept(accepting, sink)
    async with workers(accepting, **QUICK) as started:
        asked = await started.start()
        await sink.arrived(5)
        asked.terminate()
        assert await asyncio.wait_for(asked.wait(), 15) == 0
        held = await connection.fetchval("SELECT count(*) FROM queue WHERE lease IS NOT NULL")
        assert held == 0
        assert (
            await connection.fetchval("SELECT count(*) FROM attempts WHERE outcome <> 'accepted'")
            == 0
        )
        sink.delay = 0
        await started.start()
        await until_settled(connection)
    assert await by_status(connection) == {"delivered": COUNT}
    assert not sink.doubled
