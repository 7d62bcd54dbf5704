"""An account that fails is stepped around: by each message at first, and then by all of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.cli.conftest import free_port
from tests.providers.smtp_server import mail_server
from tests.support.system import System

pytestmark = pytest.mark.anyio


def mail(port: int, **more: Any) -> dict[str, Any]:
    return {
        "provider": "smtp",
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "from": "shop@example.com",
        **more,
    }


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


@contextlib.asynccontextmanager
async def door(port: int, to: int) -> AsyncIterator[None]:
    """Lets connections through to another port."""

    async def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to)
        await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer))

    server = await asyncio.start_server(enter, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()


async def test_what_fails_is_held_back_and_the_next_account_takes_its_place(
    dsn: str, tmp_path: Path, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async with mail_server() as server:
        accounts = {"dead": mail(free_port(), order=1), "alive": mail(server.port, order=2)}
        async with System.run(dsn, tmp_path, accounts=accounts) as system:
            await system.template({"email": {"subject": "s", "text": "t"}})
            sent: list[str] = []
            async with asyncio.timeout(30):
                while not await connection.fetchval(
                    "SELECT true FROM attempts WHERE choice = 'after_blocked'"
                ):
                    sent.append(await system.send({"email": "ada@example.com"}))
                    await system.settled(sent[-1])
            for notification_id in sent:
                assert (await system.status(notification_id))["status"] == "sent"
        assert len(server.envelopes) == len(sent)
    row = await connection.fetchrow(
        "SELECT account, outcome FROM attempts WHERE choice = 'after_blocked'"
    )
    assert row is not None
    assert tuple(row) == ("alive", "accepted")


async def test_what_waits_for_the_only_account_is_sent_when_it_is_back(
    dsn: str, tmp_path: Path, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """Held back meanwhile, it burns no attempts, and nothing is lost."""
    port = free_port()
    options: dict[str, Any] = {
        "accounts": {"mail": mail(port)},
        "breaker": {"minimum_calls": 3, "open_seconds": 0.5, "open_cap": 1},
        "retry": {"base": 0.1, "cap": 1, "attempts": 100},
    }
    async with System.run(dsn, tmp_path, **options) as system:
        await system.template({"email": {"subject": "s", "text": "t"}})
        first = [await system.send({"email": "ada@example.com"}) for _ in range(5)]
        async with asyncio.timeout(20):
            while not await connection.fetchval(
                "SELECT true FROM account_health WHERE state = 'open'"
            ):
                await asyncio.sleep(0.01)
        later = [await system.send({"email": "ada@example.com"}) for _ in range(5)]
        async with mail_server() as server, door(port, server.port):
            for notification_id in first + later:
                assert (await system.settled(notification_id, 30))["status"] == "sent"
            assert len(server.envelopes) == 10
