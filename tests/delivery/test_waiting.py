"""What waits for a small account is not looked at in circles, and holds up nobody beside it."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.sink import Sink
from tests.support.system import System
from tidings.delivery.waiting import Lines

pytestmark = pytest.mark.anyio

SECRET = "whsec_" + "c2VjcmV0" * 4
ALLOWED: dict[str, Any] = {"outbound": {"allow": ["127.0.0.0/8"]}}


def hooks(**more: Any) -> dict[str, Any]:
    return {"provider": "webhook", "secret": SECRET, **more}


def test_a_line_moves_no_faster_than_its_accounts_by_much() -> None:
    lines = Lines(lambda: 50.0)
    waits = [lines.join(("a",), 200.0, 1.0) for _ in range(1000)]
    assert waits == sorted(waits)
    assert waits[0] >= 1
    assert waits[-1] == pytest.approx(1 + 1000 / 400)
    assert lines.join(("b",), 200.0, 1.0) < 1.1, "a line of its own"
    assert max(lines.join(("slow",), 0.0, 1.0) for _ in range(20_000)) == 120


async def test_a_full_account_costs_few_looks_and_the_other_is_sent_on(
    dsn: str, tmp_path: Path, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """One lane, two accounts by category; the one never answers."""
    accounts = {
        # Not one of its calls ends meanwhile, however slow the machine is.
        "small": hooks(categories=["slow"], timeout=300),
        "large": hooks(categories=["fast"]),
    }
    worker = {"shutdown_grace": 0.1, "lease": 400, "heartbeat": 5}
    async with (
        Sink.run() as never,
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=accounts, worker=worker, **ALLOWED) as system,
    ):
        never.delay = 600
        await system.template({"webhook": {}}, "slow", category="slow")
        await system.template({"webhook": {}}, "fast", category="fast")
        for _ in range(4):
            await many(system, "slow", never.url, 500)
        await many(system, "fast", sink.url, 200)
        await sink.arrived(200)
        async with asyncio.timeout(30):
            while await connection.fetchval("SELECT count(*) FROM queue WHERE due_at <= now()"):
                await asyncio.sleep(0.05)
        due = await connection.fetchval(
            "SELECT count(*) FROM queue WHERE due_at < now() + interval '3 s' AND lease IS NULL"
        )
    assert due < 600, "of 2,000 that wait"


async def many(system: System, template: str, url: str, count: int) -> None:
    items = [{"template_id": template, "recipient": {"webhook_url": url}}] * count
    answer = await system.call("POST", "/notifications/bulk", {"notifications": items})
    assert answer.status == 202, answer.body
