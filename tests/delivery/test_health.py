"""Accounts' health, shared by several workers over one real database."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tidings.delivery.health import Health, Permit
from tidings.domain.breaker import BreakerPolicy, State
from tidings.domain.outcomes import Accepted, Outcome, Transient
from tidings.domain.reasons import Reason
from tidings.metrics import Metrics
from tidings.store import account_health
from tidings.store.database import UNAVAILABLE, Pool, open_pool
from tidings.store.embedded import EmbeddedServer
from tidings.store.listener import Listener
from tidings.store.migrate import migrate

pytestmark = pytest.mark.anyio

BAD = Transient(Reason.PROVIDER_UNAVAILABLE)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn, size=8, name="test", hot=True)
    try:
        yield opened
    finally:
        await opened.close()


def worker(
    pool: Pool,
    name: str,
    clock: Clock | None = None,
    registry: CollectorRegistry | None = None,
    **changes: float,
) -> Health:
    return Health(
        pool,
        {"main": BreakerPolicy(**{"slow_after": 3, **changes})},  # type: ignore[arg-type]  # by name
        worker=name,
        metrics=Metrics(registry or CollectorRegistry()),
        clock=clock or Clock(),
        uniform=lambda: 0.5,
        freed=lambda: None,
    )


def fail(health: Health, times: int) -> None:
    for _ in range(times):
        health.ended(health.started("main"), BAD)


async def due(pool: Pool) -> None:
    """As if time had passed: a probe may be made."""
    await pool.execute("UPDATE account_health SET probe_at = now() - interval '1 second'")


async def state(pool: Pool) -> State:
    (shared,) = await account_health.read(pool)
    return shared.breaker.state


async def test_what_several_count_opens_it_for_all(pool: Pool) -> None:
    first, second, third = (worker(pool, name) for name in "abc")
    fail(first, 5)
    await first.tick()
    assert first.may_call("main"), "too few calls to say"
    fail(second, 5)
    await second.tick()
    assert not second.may_call("main")
    until = second.blocked_until("main")
    assert until is not None
    assert until > datetime.now(UTC)
    third.change_heard("main")
    await third.tick()
    assert not third.may_call("main")
    (event,) = await account_health.events(pool, 10)
    assert (event.reason, event.detail) == ("failing", "10 of 10 failed, 0 slow")


async def test_probes_are_granted_exactly_over_all_workers(pool: Pool) -> None:
    workers = [worker(pool, str(number)) for number in range(4)]
    fail(workers[0], 10)
    await workers[0].tick()
    await due(pool)
    for one in workers:
        one.change_heard()
        await one.tick()
        assert not any(one.may_call("main") for _ in range(5))
    await asyncio.gather(*(one.tick() for one in workers))
    permits: list[tuple[Health, Permit]] = []
    for one in workers:
        while permit := one.take("main"):
            permits.append((one, permit))
    assert len(permits) == 3
    for one, permit in permits:
        one.ended(one.started("main", permit), Accepted())
    await asyncio.gather(*(one.tick() for one in workers))
    assert await state(pool) is State.CLOSED
    for one in workers:
        await one.tick()
        assert one.may_call("main")


async def test_one_bad_probe_opens_it_again(pool: Pool) -> None:
    health = worker(pool, "a")
    fail(health, 10)
    await health.tick()
    await due(pool)
    await health.tick()
    for _ in range(3):
        health.may_call("main")
    await health.tick()
    assert await state(pool) is State.HALF_OPEN
    permits = [health.take("main") for _ in range(3)]
    assert all(permits)
    outcomes: list[Outcome] = [Accepted(), BAD, Accepted()]
    for permit, outcome in zip(permits, outcomes, strict=True):
        health.ended(health.started("main", permit), outcome)
    await health.tick()
    assert await state(pool) is State.OPEN
    events = await account_health.events(pool, 10)
    assert [one.reason for one in events] == ["probe_failed", "probing", "failing"]


async def test_a_call_counts_as_slow_before_it_ends_and_only_once(pool: Pool) -> None:
    clock = Clock()
    health = worker(pool, "a", clock)
    permits = [health.started("main") for _ in range(10)]
    clock.now += 3.5
    await health.tick()
    assert await state(pool) is State.OPEN
    for permit in permits:
        health.ended(permit, Accepted())
    assert (await account_health.events(pool, 10))[0].reason == "slow"
    assert health._reports() == []


async def test_throttling_pauses_all_then_shares_a_lower_rate(pool: Pool) -> None:
    clock = Clock()
    first, second = worker(pool, "a", clock), worker(pool, "b", clock)
    for one in (first, second):
        for _ in range(50):
            one.ended(one.started("main"), Accepted())
        await one.tick()
    first.ended(first.started("main"), Transient(Reason.PROVIDER_THROTTLED, retry_after=30))
    assert not first.may_call("main"), "at once"
    await first.tick()
    second.change_heard()
    await second.tick()
    assert not second.may_call("main")
    (shared,) = await account_health.read(pool)
    assert shared.breaker.state is State.CLOSED
    assert shared.pace.rate is not None
    assert second.allowance("main") == pytest.approx(shared.pace.rate / 2)


async def test_nothing_to_tell_is_no_query(pool: Pool) -> None:
    health = worker(pool, "a")
    await health.tick()
    await pool.close()
    assert health.may_call("main")
    await health.tick()


async def test_a_change_is_heard_and_a_reset_recorded(pool: Pool, dsn: str) -> None:
    first, second = worker(pool, "a"), worker(pool, "b")
    heard = asyncio.Event()

    def hear(payload: str) -> None:
        second.change_heard(payload)
        if payload == "main":
            heard.set()

    listener = Listener(dsn, {account_health.CHANNEL: hear})
    listening = asyncio.create_task(listener.run())
    await asyncio.wait_for(listener.connected.wait(), 10)
    fail(first, 10)
    await first.tick()
    await asyncio.wait_for(heard.wait(), 10)
    await second.tick()
    assert not second.may_call("main")
    heard.clear()
    async with pool.acquire() as connection:
        await account_health.reset(connection, "main", "a person")
    await asyncio.wait_for(heard.wait(), 10)
    await second.tick()
    assert second.may_call("main")
    assert (await account_health.events(pool, 1))[0].reason == "reset"
    listening.cancel()


async def test_what_was_counted_outlives_a_restart_of_the_database() -> None:
    with tempfile.TemporaryDirectory(prefix="tidings-test-", ignore_cleanup_errors=True) as made:
        server = EmbeddedServer(Path(made) / "pg")
        await asyncio.to_thread(server.start)
        try:
            await server.ensure_database()
            await migrate(server.url)
            pool = await open_pool(server.url, size=2, name="test", hot=True)
            health = worker(pool, "a")
            await health.tick()
            fail(health, 10)
            await asyncio.to_thread(server.stop)
            with pytest.raises(UNAVAILABLE):
                await health.tick()
            await asyncio.to_thread(server.start)
            await health.tick()
            assert not health.may_call("main")
            await pool.close()
        finally:
            await asyncio.to_thread(server.stop)


async def test_an_error_of_another_kind_is_shown_and_not_the_end(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, failing, report = CollectorRegistry(), True, account_health.report
    health = worker(pool, "a", registry=registry)

    async def broken(*rest: Any) -> account_health.Told:
        if failing:
            raise KeyError("as a row of a later version might cause")
        return await report(*rest)

    monkeypatch.setattr(account_health, "report", broken)
    fail(health, 10)
    running = asyncio.create_task(health.run())
    try:
        async with asyncio.timeout(20):
            await shown(registry, 1.0)
            failing = False
            await shown(registry, 0.0)
            while health.may_call("main"):
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
    assert await state(pool) is State.OPEN, "what could not be told is told later"


async def shown(registry: CollectorRegistry, value: float) -> None:
    while registry.get_sample_value("tidings_health_failing") != value:
        await asyncio.sleep(0.01)
