"""Leases: which are surely held, after the process stood still or the database was away."""

import asyncio

import pytest

from tidings.delivery.holding import Holdings
from tidings.store.database import open_pool

pytestmark = pytest.mark.anyio

START = 1_000.0  # seconds
LEASE = 20.0


async def test_leases_are_sure_until_they_could_have_run_out(dsn: str) -> None:
    now = START
    beats: asyncio.Queue[None] = asyncio.Queue()

    async def beat() -> None:
        """The second begins after the first has renewed."""
        while not beats.empty():
            beats.get_nowait()
        await asyncio.wait_for(beats.get(), 10)
        await asyncio.wait_for(beats.get(), 10)

    pool = await open_pool(dsn, size=1, name="test", hot=True)
    holdings = Holdings(
        pool,
        lease=LEASE,
        heartbeat=0.01,
        beat=lambda: beats.put_nowait(None),
        clock=lambda: now,
    )
    assert holdings.are_sure(START)
    now = START + LEASE / 2
    assert holdings.are_sure(START)
    beating = asyncio.create_task(holdings.run())
    await beat()
    now = START + LEASE * 5 / 4
    assert holdings.are_sure(START), "renewed at half time"

    await beat()
    now += LEASE
    assert not holdings.are_sure(START), "nothing was renewed for as long as a lease"
    await beat()
    assert not holdings.are_sure(START), "what was renewed then may have been another's before"
    assert holdings.are_sure(now)
    beating.cancel()
    await asyncio.wait({beating})
    await pool.close()
