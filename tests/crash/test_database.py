"""PostgreSQL stopped, killed and started again under load."""

import asyncio
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.crash.test_worker import ACCOUNTS
from tests.support.sink import Sink
from tests.support.system import System
from tidings.store.embedded import EmbeddedServer
from tidings.store.migrate import migrate

pytestmark = [pytest.mark.anyio, pytest.mark.crash]


def stop_orderly(server: EmbeddedServer) -> None:
    server.stop()


def kill(server: EmbeddedServer) -> None:
    """As the kernel does when memory is short: the postmaster is gone at once, its children follow."""
    pid = int((server.directory / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("end", [stop_orderly, kill])
async def test_database_restarts_under_load(
    end: Callable[[EmbeddedServer], None], tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory(
        prefix="tidings-test-", ignore_cleanup_errors=True
    ) as directory:
        server = EmbeddedServer(Path(directory) / "pg")
        await asyncio.to_thread(server.start)
        try:
            await server.ensure_database()
            await migrate(server.url)
            await _restart_under_load(server, end, tmp_path)
        finally:
            await asyncio.to_thread(server.stop)


async def _restart_under_load(
    server: EmbeddedServer, end: Callable[[EmbeddedServer], None], directory: Path
) -> None:
    quick = {"lease": 2.5, "heartbeat": 0.5, "concurrency": 50}
    outbound = {"allow": ["127.0.0.0/8"]}
    running = System.run(server.url, directory, accounts=ACCOUNTS, worker=quick, outbound=outbound)
    async with Sink.run() as sink, running as system:
        sink.delay = 0.02
        await system.template({"webhook": {"payload": {}}})
        accepted: list[str] = []
        answers: Counter[int] = Counter()
        enough = asyncio.Event()

        async def load() -> None:
            while not enough.is_set():
                answer = await system.call(
                    "POST",
                    "/notifications/send",
                    {"template_id": "note", "recipient": {"webhook_url": sink.url}},
                )
                answers[answer.status] += 1
                if answer.status == 202:
                    accepted.append(answer.body["notification_id"])
                else:
                    await asyncio.sleep(0.05)

        async with asyncio.TaskGroup() as callers:
            for _ in range(8):
                callers.create_task(load())
            await sink.arrived(100)
            await asyncio.to_thread(end, server)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(server.start)
            seen = len(sink.seen)
            await sink.arrived(seen + 200)
            enough.set()
        await _check(system, sink, accepted, answers)


async def _check(system: System, sink: Sink, accepted: list[str], answers: Counter[int]) -> None:
    assert answers.keys() <= {202, 503}, (
        "while the database is away, callers are told to come again"
    )
    connection = await asyncpg.connect(system.dsn)
    try:
        async with asyncio.timeout(40):
            while await connection.fetchval("SELECT count(*) FROM queue"):
                await asyncio.sleep(0.05)
        stored = await connection.fetch("SELECT notification_id, id, status FROM deliveries")
        unknown = {
            str(row["delivery_id"])
            for row in await connection.fetch(
                "SELECT delivery_id FROM attempts WHERE outcome = 'unknown'"
            )
        }
    finally:
        await connection.close()
    assert set(accepted) <= {str(row["notification_id"]) for row in stored}, (
        "nothing accepted is lost"
    )
    assert {row["status"] for row in stored} == {"delivered"}
    assert {str(row["id"]) for row in stored} == set(sink.seen)
    assert sink.doubled <= unknown


@pytest.mark.parametrize("how", ["closed", "renamed"])
async def test_a_database_that_is_taken_away_for_a_while_costs_no_outcome(
    how: str, server: EmbeddedServer, dsn: str, tmp_path: Path
) -> None:
    """The server answers, but not with this database: as while a restored one takes its place."""
    name = urlsplit(dsn).path[1:]
    quick = {"lease": 30, "heartbeat": 0.2}
    outbound = {"allow": ["127.0.0.0/8"]}
    admin = await asyncpg.connect(server.url.replace("/tidings?", "/postgres?"))
    running = System.run(dsn, tmp_path, accounts=ACCOUNTS, worker=quick, outbound=outbound)
    async with Sink.run() as sink, running as system:
        sink.delay = 1
        await system.template({"webhook": {"payload": {}}})
        request = {"template_id": "note", "recipient": {"webhook_url": sink.url}}
        notification_id = await system.send({"webhook_url": sink.url})
        await sink.arrived(1)
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await admin.fetch(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", name
        )
        if how == "renamed":
            await admin.execute(f"ALTER DATABASE {name} RENAME TO {name}_old")
        answers = {
            (await system.call("POST", "/notifications/send", request)).status for _ in range(10)
        }
        await asyncio.sleep(1.5)  # the call ends meanwhile, and heartbeats fail
        if how == "renamed":
            await admin.execute(f"ALTER DATABASE {name}_old RENAME TO {name}")
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        status = await system.settled(notification_id)
    await admin.close()
    assert answers == {503}
    assert (status["status"], status["deliveries"][0]["attempts"]) == ("delivered", 1)
