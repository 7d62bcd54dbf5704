"""Sweeps in the background: an error of one does not end the process beside which they are done."""

import asyncio
from typing import Any

import pytest

from tidings.intake.sweeping import Sweeper
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
