"""An API killed while it reads what a vendor called back: what was answered is read by another, and counted once."""

import asyncio
import hashlib
import hmac
import os
import signal
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
from pyreqwest.exceptions import PyreqwestError

from tests.crash.test_api import free_port, until_listening
from tests.support.system import System

pytestmark = [pytest.mark.anyio, pytest.mark.crash]

SECRET = "the signing key"
MAIL = {
    "provider": "mailgun",
    "api_key": "key",
    "domain": "example.com",
    "from": "a@example.com",
    "webhook_signing_keys": [SECRET],
}
COUNT = 40


def callback(delivery_id: str) -> bytes:
    timestamp, token = str(int(time.time())), uuid.uuid4().hex
    signed = hmac.new(SECRET.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    return orjson.dumps(
        {
            "signature": {"timestamp": timestamp, "token": token, "signature": signed},
            "event-data": {
                "event": "delivered",
                "id": f"event-of-{delivery_id}",
                "timestamp": time.time(),
                "user-variables": {"delivery_id": delivery_id},
            },
        }
    )


async def doomed_api(
    dsn: str, directory: Path, port: int, point: str
) -> asyncio.subprocess.Process:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDINGS_")}
    accounts = {
        f"TIDINGS_ACCOUNTS__MAIL__{name.upper()}": value
        if isinstance(value, str)
        else orjson.dumps(value).decode()
        for name, value in MAIL.items()
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.crash.process", "api", point, "1"),
        env={
            **kept,
            **accounts,
            "TIDINGS_CONFIG": os.devnull,
            "TIDINGS_DATABASE_URL": dsn,
            "TIDINGS_DATA_DIR": str(directory),
            "TIDINGS_API__PORT": str(port),
            "TIDINGS_LOG__LEVEL": "error",
        },
        cwd=Path(__file__).parents[2],
    )


@pytest.mark.parametrize("point", ["receipts.reading", "receipts.read"])
async def test_killed_while_reading(
    dsn: str, tmp_path: Path, point: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    options: dict[str, Any] = {"accounts": {"mail": MAIL}}
    async with System.run(dsn, tmp_path, working=False, **options) as system:
        await system.template({"email": {"subject": "s", "text": "t"}})
        for number in range(COUNT):
            await system.send({"email": f"u{number}@example.com"})
        client = system.client
        await connection.execute("DELETE FROM queue")
        await connection.execute("UPDATE deliveries SET status = 'sent', sent_at = now()")
    rows = await connection.fetch("SELECT id FROM deliveries")
    port = free_port()
    doomed = await doomed_api(dsn, tmp_path, port, point)
    await until_listening(port)

    async def told(delivery_id: str) -> bool:
        url = f"http://127.0.0.1:{port}/callbacks/mailgun/mail"
        call = client.post(url).header("content-type", "application/json")
        try:
            answer = await call.body_bytes(callback(delivery_id)).build().send()
        except PyreqwestError:
            return False
        return bool(answer.status == 200)

    answered = await asyncio.gather(*(told(str(row["id"])) for row in rows))
    assert await asyncio.wait_for(doomed.wait(), 20) == -signal.SIGKILL
    async with System.run(dsn, tmp_path, working=False, **options):
        async with asyncio.timeout(30):
            while await connection.fetchval("SELECT count(*) FROM callbacks"):
                await asyncio.sleep(0.05)
    found = await connection.fetch(
        """SELECT d.id, d.status, (SELECT count(*) FROM receipts r WHERE r.delivery_id = d.id) AS receipts
           FROM deliveries d"""
    )
    counts = {row["id"]: (row["status"], row["receipts"]) for row in found}
    for row, taken in zip(rows, answered, strict=True):
        status, receipts = counts[row["id"]]
        assert receipts == (1 if status == "delivered" else 0)
        if taken:
            assert status == "delivered"
