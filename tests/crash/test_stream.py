"""An API killed in the middle of a stream: what goes on from the batch's count has every line once."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pyreqwest.exceptions import PyreqwestError

from tests.crash.test_api import free_port, start_api, until_listening
from tests.support.system import System
from tidings.store.api_keys import Role

pytestmark = [pytest.mark.anyio, pytest.mark.crash]

LINES = 2_500


def body(first: int = 0) -> bytes:
    defaults = {"defaults": {"template_id": "note", "data": {"name": "all"}}}
    lines = [{"recipient": {"user_id": f"user-{n}"}} for n in range(first, LINES)]
    return b"".join(json.dumps(one).encode() + b"\n" for one in (defaults, *lines))


async def stream(system: System, url: str, query: str, sent: bytes) -> list[Any]:
    request = system.client.post(f"{url}/notifications/bulk?{query}")
    request = request.bearer_auth(system.keys[Role.SENDER])
    request = request.header("content-type", "application/x-ndjson").body_bytes(sent)
    response = await request.build().send()
    return [json.loads(one) for one in (await response.text()).splitlines()]


@pytest.mark.parametrize("slices", [1, 3])
async def test_killed_in_the_middle_of_a_stream(
    dsn: str,
    tmp_path: Path,
    connection: "asyncpg.Connection[asyncpg.Record]",
    slices: int,
) -> None:
    async with System.run(dsn, tmp_path, working=False) as system:
        await system.template({"in_app": {"title": "t", "body": "b"}})
        opened = await system.call("POST", "/batches", {}, role=Role.SENDER)
        batch_id = opened.body["batch_id"]
        port = free_port()
        doomed = await start_api(dsn, tmp_path, port, nth=slices)
        await until_listening(port)
        with pytest.raises(PyreqwestError):
            await stream(system, f"http://127.0.0.1:{port}", f"batch_id={batch_id}", body())
        assert await asyncio.wait_for(doomed.wait(), 10) == -signal.SIGKILL

        batch = (await system.call("GET", f"/batches/{batch_id}")).body
        assert batch["lines"] == slices * 500
        # The first of them are the defaults.
        assert batch["accepted"] == slices * 500 - 1
        query = f"batch_id={batch_id}&from_line={batch['lines']}&seal=true"
        answers = await stream(system, system.url, query, body(batch["lines"] - 1))
        assert answers[-1]["done"]

        rows = await connection.fetch(
            "SELECT user_id FROM notifications WHERE batch_id = $1", batch_id
        )
        assert sorted(row["user_id"] for row in rows) == sorted(f"user-{n}" for n in range(LINES))
        assert await connection.fetchval("SELECT count(*) FROM queue") == LINES
