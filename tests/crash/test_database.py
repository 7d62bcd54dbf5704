"""PostgreSQL stopped, killed and started again under load."""

import asyncio
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

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
