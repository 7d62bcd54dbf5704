"""Rate limits in PostgreSQL: exact over any number of processes."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence

import pytest

from tidings.domain.limits import SECOND, Ask, Demand, Granted, Limit, Rate, Refused, Scope
from tidings.store import limits
from tidings.store.database import UNAVAILABLE, Pool, borrow, open_pool
from tidings.store.limits import Taken, Unused

pytestmark = pytest.mark.anyio

PROCESSES = 8
SECONDS = 6.0


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn, size=10, name="test", hot=True)
    try:
        yield opened
    finally:
        await opened.close()


def demand(key: str, rate: str = "3/h") -> Demand:
    return Demand(Limit(key.partition(":")[0], Rate.parse(rate), Scope.GLOBAL), key)


async def take(pool: Pool, *asks: Sequence[Demand], unused: Sequence[Unused] = ()) -> Taken:
    async with borrow(pool) as connection:
        return await limits.take(
            connection, [Ask(one) for one in asks], clock=time.monotonic, unused=unused
        )


def granted(taken: Taken) -> list[bool]:
    return [isinstance(one, Granted) for one in taken.verdicts]


async def test_no_stretch_of_time_holds_more_over_all_processes(dsn: str) -> None:
    rates = {"wide": "200 per 2 s", "narrow": "40 per 2 s", "small": "5 per 1 s"}
    takers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.store.taker"),
            *(dsn, json.dumps(rates), str(SECONDS), str(seed)),
            stdout=asyncio.subprocess.PIPE,
        )
        for seed in range(PROCESSES)
    ]
    outputs = await asyncio.gather(*(one.communicate() for one in takers))
    assert [one.returncode for one in takers] == [0] * PROCESSES
    calls = [json.loads(output) for output, _ in outputs]
    for name, text in rates.items():
        rate = Rate.parse(text)
        times = sorted(at for one in calls for at in one[name])
        period = rate.period / SECOND
        for first, at in enumerate(times[rate.count :]):
            assert at - times[first] >= period, f"{rate.count + 1} of {name} within {text}"
        assert len(times) >= rate.count
        # From the first call on, as many full windows as there were, each with the whole of it.
        print(
            f"{name}: {len(times)} calls in {times[-1] - times[0]:.2f} s, {used(times, rate):.1%}"
        )


def used(times: Sequence[float], rate: Rate) -> float:
    """The share of the limit that was used from the first call to the last that began a new round."""
    rounds = (len(times) - 1) // rate.count
    if not rounds:
        return 1.0
    return rounds * rate.period / SECOND / (times[rounds * rate.count] - times[0])


async def test_it_is_taken_once_by_many_at_a_time(pool: Pool) -> None:
    taken = await asyncio.gather(*(take(pool, [demand("a")], [demand("a")]) for _ in range(8)))
    assert sum(sum(granted(one)) for one in taken) == 3


async def test_many_keys_in_any_order_wait_for_each_other_in_no_circle(pool: Pool) -> None:
    """New keys and known ones, wanted by all at once, each in another order."""
    keys = [f"each:{number}" for number in range(30)]
    await take(pool, *([demand(key)] for key in keys[::3]))
    orders = [keys, keys[::-1], keys[15:] + keys[:15], keys[::2] + keys[1::2]] * 2
    taken = await asyncio.gather(
        *(take(pool, *([demand(key)] for key in order)) for order in orders)
    )
    assert sum(sum(granted(one)) for one in taken) == 3 * 30 - 10


async def test_what_was_not_used_is_there_again(pool: Pool) -> None:
    taken = await take(pool, *[[demand("a")]] * 4)
    assert granted(taken) == [True, True, True, False]
    (first, *_) = taken.verdicts
    assert isinstance(first, Granted)
    again = await take(pool, *[[demand("a")]] * 2, unused=[Unused("a", first.slices[0])])
    assert granted(again) == [True, False]
    async with borrow(pool) as connection:
        await limits.give_back(connection, [Unused("a", first.slices[0]), Unused("gone", 1)])
    assert granted(await take(pool, [demand("a")], [demand("a")])) == [True, False]


async def test_a_refusal_says_when_to_ask_again(pool: Pool) -> None:
    taken = await take(pool, *[[demand("a", "1/h")]] * 3)
    _, second, third = taken.verdicts
    assert isinstance(second, Refused)
    assert isinstance(third, Refused)
    assert second.until is not None
    assert third.until is not None
    hour = 3600 * SECOND
    assert hour < second.until - taken.now < 1.05 * hour
    assert third.until - second.until > hour, "one after the other"
    (fourth,) = (await take(pool, [demand("a", "1/h")])).verdicts
    assert isinstance(fourth, Refused)
    assert fourth.until is not None
    assert fourth.until > third.until, "the line is remembered"


async def test_only_what_says_nothing_is_forgotten(pool: Pool) -> None:
    await take(pool, [demand("old")], [demand("new")])
    await pool.execute("UPDATE limits SET empty_at = now() - interval '1 second' WHERE key = 'old'")
    async with borrow(pool) as connection:
        assert await limits.forget(connection) == 1
        assert await limits.forget(connection) == 0
    assert [row["key"] for row in await pool.fetch("SELECT key FROM limits")] == ["new"]


async def test_it_is_kept_for_as_long_as_it_counts(pool: Pool) -> None:
    await take(pool, [demand("day", "1/d")])
    kept = await pool.fetchval("SELECT empty_at > now() + interval '1 day' FROM limits")
    assert kept


async def test_a_key_that_is_forgotten_meanwhile_is_no_open_door(pool: Pool) -> None:
    """Its row is deleted just when it is to be locked: it is made again, and counted."""
    await take(pool, [demand("a")])
    async with borrow(pool) as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("DELETE FROM limits WHERE key = 'a'")
        waiting = asyncio.create_task(take(pool, *[[demand("a")]] * 5))
        await until_blocked(pool)
        await transaction.commit()
    assert granted(await waiting) == [True, True, True, False, False]
    assert await pool.fetchval("SELECT count(*) FROM limits") == 1


async def test_time_spent_waiting_for_the_lock_costs_a_permit_nothing(pool: Pool) -> None:
    await take(pool, [demand("a")])
    async with borrow(pool) as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT * FROM limits FOR UPDATE")
        waiting = asyncio.create_task(take(pool, [demand("a")]))
        await until_blocked(pool)
        released_at = time.monotonic()
        await transaction.commit()
    assert (await waiting).read_at >= released_at


async def test_a_worker_that_freezes_does_not_keep_the_others_waiting(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def freeze() -> float:
        time.sleep(1)
        return time.monotonic()

    await take(pool, [demand("a")])
    monkeypatch.setattr(limits, "FROZEN_AFTER", "100ms")
    with pytest.raises(UNAVAILABLE):
        async with borrow(pool) as connection:
            await limits.take(connection, [Ask([demand("a")])], clock=freeze)
    assert granted(await take(pool, *[[demand("a")]] * 3)) == [True, True, False]


async def test_nothing_stays_behind_in_the_session(pool: Pool) -> None:
    async with borrow(pool) as connection:
        await limits.take(connection, [Ask([demand("a")])], clock=time.monotonic)
        assert await connection.fetchval("SHOW synchronous_commit") == "on"
        assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == "0"


async def test_how_far_limits_are_used_up(pool: Pool) -> None:
    await take(pool, *[[demand("mail:a")]] * 4, [demand("mail:b")], [demand("mai_:c")])
    rate = Rate.parse("3/h")
    found = {one.key: one for one in await limits.used(pool, {"mail": rate, "none": rate}, 10)}
    assert {key: one.used for key, one in found.items()} == {"mail:a": 3, "mail:b": 1}
    assert found["mail:a"].next_at is not None
    assert found["mail:b"].next_at is None


async def until_blocked(pool: Pool) -> None:
    async with asyncio.timeout(10):
        while not await pool.fetchval(
            """SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock'"""
        ):
            await asyncio.sleep(0.01)
