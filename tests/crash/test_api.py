"""An API killed right after the commit, before it could answer."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import asyncpg
import pytest
from pyreqwest.exceptions import PyreqwestError

from tests.support.system import System
from tidings.store.api_keys import Role

pytestmark = [pytest.mark.anyio, pytest.mark.crash]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def start_api(
    dsn: str, directory: Path, port: int, nth: int = 1
) -> asyncio.subprocess.Process:
    """Kills itself after its nth commit."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDINGS_")}
    environment = {
        **kept,
        "TIDINGS_CONFIG": os.devnull,
        "TIDINGS_DATABASE_URL": dsn,
        "TIDINGS_DATA_DIR": str(directory),
        "TIDINGS_API__PORT": str(port),
        "TIDINGS_LOG__LEVEL": "error",
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.crash.process", "api", "accepted", str(nth)),
        env=environment,
        cwd=Path(__file__).parents[2],
    )


async def test_killed_after_the_commit(
    dsn: str, tmp_path: Path, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """The caller sees a broken connection, repeats with the same key, and there is one notification."""
    async with System.run(dsn, tmp_path) as system:
        await system.template({"in_app": {"title": "t", "body": "b"}})
        request = {
            "template_id": "note",
            "recipient": {"user_id": "u"},
            "idempotency_key": "order-1",
        }
        port = free_port()
        doomed = await start_api(dsn, tmp_path, port)
        call = system.client.post(f"http://127.0.0.1:{port}/notifications/send")
        await until_listening(port)
        with pytest.raises(PyreqwestError):
            await call.bearer_auth(system.keys[Role.SENDER]).body_json(request).build().send()
        assert await asyncio.wait_for(doomed.wait(), 10) == -signal.SIGKILL
        stored = await connection.fetchval("SELECT id FROM notifications")
        assert stored is not None, "it was committed before the crash"

        answer = await system.call("POST", "/notifications/send", request, role=Role.SENDER)
        assert answer.status == 202
        assert answer.body["notification_id"] == str(stored)
        assert await connection.fetchval("SELECT count(*) FROM notifications") == 1
        assert (await system.settled(str(stored)))["status"] == "delivered"


async def until_listening(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
