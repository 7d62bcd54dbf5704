"""A worker killed while it tells events: each is told all the same, under one id."""

from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from tests.crash.test_worker import ACCOUNTS, accept, until_settled, workers
from tests.support.sink import Sink
from tests.support.system import System

pytestmark = [pytest.mark.anyio, pytest.mark.crash]

COUNT = 40


@pytest.mark.parametrize("point", ["events.telling", "events.told", "settling"])
async def test_killed_while_telling(
    dsn: str, tmp_path: Path, point: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    options: dict[str, Any] = {"accounts": ACCOUNTS}
    async with (
        Sink.run() as people,
        Sink.run() as application,
        System.run(dsn, tmp_path, working=False, **options) as system,
        workers(system, lease=2, heartbeat=0.5) as started,
    ):
        wish = {"url": application.url, "event_types": ["delivery.delivered"]}
        assert (await system.call("POST", "/event-subscriptions", wish)).status == 201
        await accept(system, people, COUNT)
        doomed = await started.start(point, 2 if point == "settling" else 1)
        assert await doomed.wait() == -9
        await started.start()
        await application.arrived(COUNT)
        await until_settled(connection)
        assert await connection.fetchval("SELECT count(*) FROM events") == 0
    told = [orjson.loads(body)["data"]["delivery_id"] for body in application.bodies]
    ids = {headers["webhook-id"] for headers in application.headers}
    assert len(set(told)) == len(ids) == COUNT


async def test_recorded_with_what_it_tells(
    dsn: str, tmp_path: Path, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """What is taken back is not told."""
    async with System.run(dsn, tmp_path, working=False) as system:
        wish = {"url": "https://example.com", "event_types": ["delivery.cancelled"]}
        assert (await system.call("POST", "/event-subscriptions", wish)).status == 201
        await system.template({"in_app": {"title": "t", "body": "b"}})
        sent = await system.send({"user_id": "ada"})
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("UPDATE deliveries SET status = 'cancelled'")
        assert await connection.fetchval("SELECT count(*) FROM events") == 1
        await transaction.rollback()
        assert await connection.fetchval("SELECT count(*) FROM events") == 0
        await system.call("POST", f"/notifications/{sent}/cancel")
        assert await connection.fetchval("SELECT count(*) FROM events") == 1
