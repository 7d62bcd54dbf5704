"""Sweeps in the background: an error of one does not end the process beside which they are done."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.support.system import System
from tidings.intake.sweeping import Sweeper
from tidings.store import batch_sweeps
from tidings.store.database import open_pool

pytestmark = pytest.mark.anyio


async def test_a_sweep_that_fails_does_not_end_the_others(dsn: str) -> None:
    failed, again = asyncio.Event(), asyncio.Event()

    async def step(_: Any) -> bool:
        if not failed.is_set():
            failed.set()
            raise RuntimeError("broken")
        again.set()
        return False

    pool = await open_pool(dsn, size=1, name="test", hot=True)
    try:
        sweeper = Sweeper(pool, step)
        sweeping = asyncio.create_task(sweeper.run())
        async with asyncio.timeout(20):
            await failed.wait()
            sweeper.wake()
            await asyncio.wait(
                {sweeping, asyncio.create_task(again.wait())}, return_when=asyncio.FIRST_COMPLETED
            )
        assert not sweeping.done()
        sweeping.cancel()
        await asyncio.wait({sweeping})
    finally:
        await pool.close()


async def test_a_kind_of_sweep_that_always_fails_keeps_no_other_from_being_done(dsn: str) -> None:
    done = asyncio.Event()

    async def broken(_: Any) -> bool:
        raise RuntimeError("broken")

    async def sound(_: Any) -> bool:
        done.set()
        return False

    pool = await open_pool(dsn, size=1, name="test", hot=True)
    try:
        sweeping = asyncio.create_task(Sweeper(pool, broken, sound).run())
        await asyncio.wait_for(done.wait(), 20)
        sweeping.cancel()
        await asyncio.wait({sweeping})
    finally:
        await pool.close()


async def test_one_sweep_that_always_fails_keeps_no_other_of_its_kind_from_being_done(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    withdraw = batch_sweeps.withdraw
    poisoned: set[UUID] = set()
    failed = asyncio.Event()

    async def failing(connection: Any, notification_ids: Sequence[UUID], reason: Any) -> None:
        if poisoned & set(notification_ids):
            failed.set()
            raise RuntimeError
        await withdraw(connection, notification_ids, reason)

    monkeypatch.setattr(batch_sweeps, "withdraw", failing)
    async with System.run(dsn, tmp_path, working=False) as system:
        await system.template({"in_app": {"title": "t", "body": "b"}})
        items = [{"template_id": "note", "recipient": {"user_id": "ann"}}]
        # The first has the lower id, by which they were taken once.
        broken, sound = [
            (await system.call("POST", "/notifications/bulk", {"notifications": items})).body
            for _ in range(2)
        ]
        poisoned.add(UUID(broken["results"][0]["notification_id"]))
        for one in (broken, sound):
            answer = await system.call("POST", f"/batches/{one['batch_id']}/cancel")
            assert answer.status in {200, 202}
            await asyncio.wait_for(failed.wait(), 20)
        cancelled = await system.settled(sound["results"][0]["notification_id"])
        assert cancelled["status"] == "cancelled"
        left = await system.status(broken["results"][0]["notification_id"])
    assert left["status"] == "pending"
