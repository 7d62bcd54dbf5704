"""The queue's contract: exclusive claims, fenced leases, order, and nothing that waits in a circle."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import uuid_utils.compat as uuids

from tidings.domain import ids
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.lanes import Lane
from tidings.domain.priorities import Priority
from tidings.queue import postgres as queue
from tidings.queue.postgres import Entry, Wanted
from tidings.store.database import Pool, open_pool
from tidings.store.settlements import SettlementRow, settle

pytestmark = pytest.mark.anyio

LEASE = 30.0


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn, size=8, name="test", hot=True)
    try:
        yield opened
    finally:
        await opened.close()


async def enqueue(
    pool: Pool,
    count: int,
    *,
    priority: Priority = Priority.MEDIUM,
    due_at: datetime | None = None,
    lane: int = 1,
) -> list[UUID]:
    notifications = [uuids.uuid7() for _ in range(count)]
    entries = [
        Entry(ids.delivery_id(one, 1), one, Lane(priority, lane), due_at) for one in notifications
    ]
    await queue.enqueue(pool, entries)
    return [entry.delivery_id for entry in entries]


async def claim(pool: Pool, limit: int = 100, seconds: float = LEASE) -> list[queue.Claimed]:
    """From the lanes there are, in their order."""
    wanted = [Wanted(head.lane, limit) for head in await queue.heads(pool)]
    return await queue.claim(pool, lease=uuids.uuid7(), wanted=wanted, limit=limit, seconds=seconds)


async def start(pool: Pool, *claimed: queue.Claimed) -> set[UUID]:
    calls = {one.delivery_id: "main" for one in claimed}
    return await queue.start(pool, claimed[0].lease, calls, LEASE)


async def expire(pool: Pool) -> None:
    """As if time had passed: every lease has run out."""
    await pool.execute(
        "UPDATE queue SET due_at = now() - interval '1 second' WHERE lease IS NOT NULL"
    )


async def test_concurrent_claims_share_nothing(pool: Pool) -> None:
    expected = await enqueue(pool, 200)
    batches = await asyncio.gather(*(claim(pool, 40) for _ in range(8)))
    claimed = [one.delivery_id for batch in batches for one in batch]
    claimed += [one.delivery_id for one in await claim(pool, 200)]
    assert sorted(claimed) == sorted(expected)


async def test_urgent_first_then_by_due_time(pool: Pool) -> None:
    now = datetime.now(UTC)
    low = await enqueue(pool, 1, priority=Priority.LOW, due_at=now - timedelta(hours=2))
    late = await enqueue(pool, 1, priority=Priority.HIGH, due_at=now - timedelta(minutes=1))
    early = await enqueue(pool, 1, priority=Priority.HIGH, due_at=now - timedelta(hours=1))
    critical = await enqueue(pool, 1, priority=Priority.CRITICAL)
    order = [(await claim(pool, 1))[0].delivery_id for _ in range(4)]
    assert order == [*critical, *early, *late, *low]


async def test_what_is_scheduled_waits(pool: Pool) -> None:
    await enqueue(pool, 1, due_at=datetime.now(UTC) + timedelta(hours=1))
    assert await claim(pool) == []
    (head,) = await queue.heads(pool)
    assert 3500 < head.due_in <= 3600


async def test_heads_name_each_lane_with_its_first_entry(pool: Pool) -> None:
    assert await queue.heads(pool) == []
    now = datetime.now(UTC)
    lanes = [(Priority.LOW, 9), (Priority.HIGH, 7), (Priority.HIGH, 3), (Priority.CRITICAL, 9)]
    for minutes, (priority, lane) in enumerate(lanes, start=-2):
        for later in (60, 0, 30):
            due_at = now + timedelta(minutes=minutes + later)
            await enqueue(pool, 1, priority=priority, lane=lane, due_at=due_at)
    heads = await queue.heads(pool)
    assert [head.lane for head in heads] == sorted(Lane(*lane) for lane in lanes)
    assert [round(head.due_in / 60) for head in heads] == [1, 0, -1, -2]


async def test_a_parked_entry_is_never_due(pool: Pool) -> None:
    await enqueue(pool, 1)
    await pool.execute("UPDATE queue SET due_at = 'infinity'")
    (head,) = await queue.heads(pool)
    assert head.due_in == float("inf")
    assert await claim(pool) == []


async def test_each_lane_gives_no_more_than_is_wanted_of_it(pool: Pool) -> None:
    for lane in (1, 2, 3):
        await enqueue(pool, 10, lane=lane)
    wanted = [Wanted(Lane(Priority.MEDIUM, lane), most) for lane, most in ((3, 4), (1, 20), (2, 5))]
    claimed = await queue.claim(pool, lease=uuids.uuid7(), wanted=wanted, limit=17, seconds=LEASE)
    assert Counter(one.lane.number for one in claimed) == {3: 4, 1: 10, 2: 3}


async def test_an_expired_lease_is_taken_over_and_tells_of_a_started_call(pool: Pool) -> None:
    await enqueue(pool, 2)
    first = await claim(pool)
    started = await start(pool, first[0])
    assert started == {first[0].delivery_id}
    assert await claim(pool) == [], "what is leased is not due"
    await expire(pool)
    again = {one.delivery_id: one for one in await claim(pool)}
    assert all(one.rescued for one in again.values())
    assert again[first[0].delivery_id].started_at is not None
    assert again[first[0].delivery_id].account == "main", "who may have sent it"
    assert again[first[1].delivery_id].started_at is None


async def test_a_late_holder_can_do_nothing(pool: Pool) -> None:
    await enqueue(pool, 1)
    (late,) = await claim(pool)
    await expire(pool)
    (holder,) = await claim(pool)
    before = await pool.fetchrow("SELECT * FROM queue")
    assert await start(pool, late) == set()
    await queue.renew(pool, [late.hold], 3 * LEASE)
    await queue.give_back(pool, late.lease, [late])
    await queue.remove(pool, late.lease, [late.delivery_id])
    assert await pool.fetchrow("SELECT * FROM queue") == before
    held = await start(pool, holder)
    assert held == {holder.delivery_id}


async def test_heartbeat_extends_only_what_is_held(pool: Pool) -> None:
    await enqueue(pool, 2)
    (mine,) = await claim(pool, 1, seconds=5)
    (other,) = await claim(pool, 1, seconds=5)
    await queue.renew(pool, [mine.hold], 500)
    left = {
        row["delivery_id"]: row["left"]
        for row in await pool.fetch(
            "SELECT delivery_id, extract(epoch FROM due_at - now()) AS left FROM queue"
        )
    }
    assert left[mine.delivery_id] > 400
    assert left[other.delivery_id] <= 5


async def test_heartbeat_does_not_wait_for_what_is_being_settled(pool: Pool) -> None:
    """It would hold some rows and wait for others: two of those in a circle are a deadlock."""
    await enqueue(pool, 50)
    held = [one.hold for one in await claim(pool)]
    async with pool.acquire() as settling, settling.transaction():
        await settling.execute("SELECT FROM queue WHERE delivery_id = $1 FOR UPDATE", held[25][0])
        await asyncio.wait_for(queue.renew(pool, held, 500), 10)
    renewed = await pool.fetchval(
        "SELECT count(*) FROM queue WHERE due_at > now() + interval '400 seconds'"
    )
    assert renewed == 49


async def test_give_back_keeps_what_has_started(pool: Pool) -> None:
    await enqueue(pool, 2)
    first, second = await claim(pool)
    await start(pool, first)
    await queue.give_back(pool, first.lease, [first, second])
    (again,) = await claim(pool)
    assert again.delivery_id == second.delivery_id
    assert again.due_at == second.due_at, "at its place in the line"
    assert not again.rescued


async def test_withdraw_leaves_calls_under_way(pool: Pool) -> None:
    notification = uuids.uuid7()
    deliveries = [ids.delivery_id(notification, ordinal) for ordinal in (1, 2, 3)]
    await queue.enqueue(
        pool, [Entry(one, notification, Lane(Priority.MEDIUM, 1)) for one in deliveries]
    )
    bystander = await enqueue(pool, 1)
    first, second = await claim(pool, 2)
    await start(pool, first)
    withdrawn = await queue.withdraw(pool, notification)
    assert {one.delivery_id for one in withdrawn} == set(deliveries) - {first.delivery_id}
    assert await start(pool, second) == set(), "its holder learns of it before the call"
    left = {row["delivery_id"] for row in await pool.fetch("SELECT delivery_id FROM queue")}
    assert left == {first.delivery_id, *bystander}


async def test_depth_by_priority(pool: Pool) -> None:
    await enqueue(pool, 3, priority=Priority.HIGH)
    await enqueue(pool, 2, priority=Priority.HIGH, due_at=datetime.now(UTC) + timedelta(hours=1))
    await enqueue(pool, 1, priority=Priority.LOW, due_at=datetime.now(UTC) - timedelta(minutes=5))
    await claim(pool, 2)
    high, low = await queue.depth(pool)
    assert (high.priority, high.waiting, high.scheduled, high.leased) == (Priority.HIGH, 1, 2, 2)
    assert (low.priority, low.waiting) == (Priority.LOW, 1)
    assert low.age >= 300


async def test_plans_made_for_an_empty_queue_do_not_read_a_full_one(dsn: str) -> None:
    """Statistics of an emptied queue say that it has no rows: the plans must not depend on them."""
    pool = await open_pool(dsn, size=1, name="test", hot=True)

    async def entries_read() -> int:
        await pool.execute("SELECT pg_stat_force_next_flush()")
        read: int = await pool.fetchval(
            "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relname = 'queue'"
        )
        return read

    async def work() -> None:
        claimed = await claim(pool, 10)
        await start(pool, *claimed)
        await queue.renew(pool, [one.hold for one in claimed], LEASE)
        rows = [
            SettlementRow(
                one.notification_id,
                *one.hold,
                None,
                DeliveryStatus.SENT,
                "provider_accepted",
                None,
                1,
            )
            for one in claimed
        ]
        async with pool.acquire() as connection:
            assert len(await settle(connection, rows, datetime.now(UTC))) == len(claimed)

    try:
        await pool.execute("VACUUM ANALYZE queue")
        await enqueue(pool, 1)
        await work()
        await enqueue(pool, 5_000)
        before = await entries_read()
        await work()
        assert 10 <= await entries_read() - before < 1_000
    finally:
        await pool.close()
