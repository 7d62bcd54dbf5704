"""What passes its expiry while it waits for something that does not come ends as expired, and says meanwhile why it
waits."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.cli.conftest import free_port
from tests.delivery.test_failing_accounts import mail
from tests.delivery.test_stopped_batches import ALLOWED, HOOKS, act, send, until
from tests.support.sink import Sink
from tests.support.system import System

pytestmark = pytest.mark.anyio

# Opened once, it stays open for longer than a test takes.
HELD_BACK: dict[str, Any] = {
    "breaker": {"minimum_calls": 3, "open_seconds": 300, "open_cap": 300},
    "retry": {"base": 0.1, "cap": 1, "attempts": 100},
}
EMAIL = {"email": {"subject": "s", "text": "t"}}


async def hold_back(system: System, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Until the breaker of the only account is open."""
    for _ in range(5):
        await system.send({"email": "ada@example.com"})
    async with asyncio.timeout(20):
        while not await connection.fetchval("SELECT true FROM account_health WHERE state = 'open'"):
            await asyncio.sleep(0.01)


async def test_what_waits_for_an_account_that_is_held_back_expires(
    dsn: str, tmp_path: Path, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    accounts = {"mail": mail(free_port())}
    async with System.run(dsn, tmp_path, accounts=accounts, **HELD_BACK) as system:
        await system.template(EMAIL)
        await hold_back(system, connection)
        waits = await system.send({"email": "ada@example.com"})
        told = await system.until(waits, lambda one: not one["in_flight"])
        waiting = told["deliveries"][0]["waiting_for"]
        assert waiting["reason"] == "accounts_held_back"
        assert waiting["detail"] == "mail: open"
        assert datetime.fromisoformat(waiting["until"]) > datetime.now(UTC) + timedelta(seconds=60)
        late = await system.send({"email": "ada@example.com"}, expires_at=system.from_now(1))
        status = await system.settled(late, 30)
        assert status["status"] == "expired"
        [delivery] = status["deliveries"]
        assert (delivery["reason"], delivery["attempts"]) == ("expired", 0)
        assert await connection.fetchval("SELECT state FROM account_health") == "open"
    assert not await connection.fetchval("SELECT count(*) FROM queue WHERE expires_at IS NOT NULL")


async def test_what_waits_in_a_paused_batch_expires(
    dsn: str, tmp_path: Path, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=HOOKS, **ALLOWED) as system,
    ):
        await system.template({"webhook": {}})
        times = {"send_at": system.from_now(1), "expires_at": system.from_now(4)}
        batch_id = await send(system, sink, 5, **times)
        await act(system, batch_id, "pause")
        async with asyncio.timeout(20):
            while await connection.fetchval("SELECT count(*) FROM queue WHERE due_at < 'infinity'"):
                await asyncio.sleep(0.01)
        one = await system.status(str(await connection.fetchval("SELECT id FROM notifications")))
        assert one["deliveries"][0]["waiting_for"]["reason"] == "batch_paused"
        assert one["deliveries"][0]["next_attempt_at"] is None
        batch = await until(system, batch_id, lambda one: not one["notifications"]["pending"])
        assert batch["notifications"]["expired"] == 5
        assert batch["state"] == "paused"
    assert not sink.seen
    assert not await connection.fetchval("SELECT count(*) FROM queue")


async def test_what_a_limit_holds_up_says_which(
    dsn: str, tmp_path: Path, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    limits = {"mails": {"rate": "1/h", "scope": "channel"}}
    accounts = {"mail": {"provider": "outbox", "channels": ["email"]}}
    async with System.run(dsn, tmp_path, accounts=accounts, limits=limits) as system:
        await system.template(EMAIL)
        await system.settled(await system.send({"email": "ada@example.com"}))
        over = await system.send({"email": "ada@example.com"})
        async with asyncio.timeout(20):
            while True:
                [one] = (await system.status(over))["deliveries"]
                if (waiting := one["waiting_for"]) and waiting["reason"] == "rate_limited":
                    break
                await asyncio.sleep(0.01)
    assert waiting["detail"] == "mails"
    assert datetime.fromisoformat(waiting["until"]) > datetime.now(UTC) + timedelta(minutes=30)


async def test_what_waits_for_its_time_or_for_an_earlier_channel_says_so(
    dsn: str, tmp_path: Path
) -> None:
    accounts = {"all": {"provider": "outbox", "channels": ["email", "sms"]}}
    async with System.run(dsn, tmp_path, working=False, accounts=accounts) as system:
        await system.template({**EMAIL, "sms": {"body": "b"}})
        recipient = {"email": "ada@example.com", "phone": "+15551234567"}
        at = system.from_now(3600)
        later = await system.send(recipient, routing="fallback", send_at=at)
        email, sms = (one["waiting_for"] for one in (await system.status(later))["deliveries"])
        assert (email["reason"], sms["reason"]) == ("scheduled", "fallback_waiting")
        assert datetime.fromisoformat(email["until"]) == datetime.fromisoformat(at)
        now = await system.send(recipient)
        for one in (await system.status(now))["deliveries"]:
            assert one["waiting_for"]["reason"] == "queued"
            assert one["waiting_for"]["text"]
