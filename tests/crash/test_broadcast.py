"""A worker killed while it sends a broadcast: another goes on, nobody is left out and nobody is reached twice."""

import asyncio
import signal

import asyncpg
import pytest

from tests.crash.test_worker import QUICK, accepting, workers  # noqa: F401 - the fixture is used by name
from tests.support.system import System

pytestmark = [pytest.mark.anyio, pytest.mark.crash]

USERS = [f"user-{number:04}" for number in range(900)]


@pytest.mark.parametrize(
    ("point", "nth"), [("broadcast.page", 2), ("accepted", 2), ("broadcast.stored", 3)]
)
async def test_killed_while_broadcasting(
    point: str,
    nth: int,
    accepting: System,  # noqa: F811 - pytest's way to ask for it
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    await accepting.template({"in_app": {"title": "t", "body": "b"}})
    await accepting.call("PUT", "/topics/news", {})
    await accepting.call("POST", "/topics/news/subscribers", {"user_ids": USERS})
    body = {"template_id": "note", "audience": {"topics": ["news"]}}
    answer = await accepting.call("POST", "/broadcasts", body)
    broadcast_id = answer.body["broadcast_id"]
    async with workers(accepting, **QUICK) as started:
        doomed = await started.start(point, nth)
        assert await asyncio.wait_for(doomed.wait(), 30) == -signal.SIGKILL
        left = await accepting.call("GET", f"/broadcasts/{broadcast_id}")
        assert left.body["state"] == "running"
        assert 0 < left.body["done"] < len(USERS)
        await started.start()
        async with asyncio.timeout(60):
            while not (batch := (await accepting.call("GET", f"/batches/{broadcast_id}")).body)[
                "complete"
            ]:
                await asyncio.sleep(0.1)
    rows = await connection.fetch("SELECT user_id FROM notifications ORDER BY user_id")
    assert [row["user_id"] for row in rows] == USERS
    assert batch["accepted"] == batch["lines"] == batch["expected"] == len(USERS)
    assert batch["notifications"]["delivered"] == len(USERS)
