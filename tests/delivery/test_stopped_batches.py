"""Batches that do not run: what is claimed of them is laid aside or cancelled, and a new round of tries is a whole one."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.sink import Sink
from tests.support.system import System

pytestmark = pytest.mark.anyio

SECRET = "whsec_" + "c2VjcmV0" * 4
HOOKS = {"hooks": {"provider": "webhook", "secret": SECRET}}
ALLOWED: dict[str, Any] = {
    "outbound": {"allow": ["127.0.0.0/8"]},
    "retry": {"base": 0.01, "attempts": 2},
}


async def send(system: System, sink: Sink, count: int, **more: Any) -> str:
    item = {"template_id": "note", "recipient": {"webhook_url": sink.url}, **more}
    answer = await system.call("POST", "/notifications/bulk", {"notifications": [item] * count})
    assert answer.status == 202, answer.body
    batch_id: str = answer.body["batch_id"]
    return batch_id


async def act(system: System, batch_id: str, what: str) -> None:
    answer = await system.call(
        "POST", f"/batches/{batch_id}/{what}", {} if what == "retry" else None
    )
    assert answer.status == 200, answer.body


async def until(system: System, batch_id: str, holds: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(20):
        while True:
            answer = await system.call("GET", f"/batches/{batch_id}")
            if holds(answer.body):
                return answer.body
            await asyncio.sleep(0.01)


async def test_what_falls_due_in_a_paused_batch_is_laid_aside_until_it_is_resumed(
    dsn: str, tmp_path: Path, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=HOOKS, **ALLOWED) as system,
    ):
        await system.template({"webhook": {}})
        batch_id = await send(system, sink, 20, send_at=system.from_now(1.5))
        await act(system, batch_id, "pause")
        async with asyncio.timeout(20):
            while await connection.fetchval("SELECT count(*) FROM queue WHERE due_at < 'infinity'"):
                await asyncio.sleep(0.01)
        assert not sink.seen
        assert not await connection.fetchval("SELECT count(*) FROM queue WHERE lease IS NOT NULL")
        await act(system, batch_id, "resume")
        batch = await until(system, batch_id, lambda one: one["complete"])
    assert batch["notifications"]["delivered"] == 20


async def test_workers_hear_of_a_batch_that_goes_on(dsn: str, tmp_path: Path) -> None:
    """They look by themselves once a minute only."""
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=HOOKS, worker={"poll": 60}, **ALLOWED) as system,
    ):
        await system.template({"webhook": {}})
        sink.status = 400
        batch_id = await send(system, sink, 3)
        await until(system, batch_id, lambda one: one["notifications"]["failed"] == 3)
        sink.status = 200
        await act(system, batch_id, "retry")
        await until(system, batch_id, lambda one: one["notifications"]["delivered"] == 3)
    assert sink.seen.total() == 6


async def test_failed_deliveries_that_are_retried_have_all_their_tries_again(
    dsn: str, tmp_path: Path
) -> None:
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=HOOKS, **ALLOWED) as system,
    ):
        await system.template({"webhook": {}})
        sink.status = 503
        batch_id = await send(system, sink, 3)
        await until(system, batch_id, lambda one: one["complete"])
        assert sink.seen.total() == 6
        await act(system, batch_id, "retry")
        await until(system, batch_id, lambda one: one["complete"] and sink.seen.total() == 12)
