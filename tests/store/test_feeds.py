"""Feeds in the database: numbers without gaps, and counters that are those of the entries."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest
import uuid_utils.compat as uuids

from tidings.store import feeds, inbox
from tidings.store.database import Pool, open_pool
from tidings.store.feeds import NO_CHANGES, Counters, Kind
from tidings.store.keyring import KeyRing, Keys

pytestmark = pytest.mark.anyio

RING = KeyRing(Keys.generate())
MARKS = [Kind.SEEN, Kind.READ, Kind.UNREAD, Kind.ARCHIVED, Kind.UNARCHIVED]


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    """A hot one, as the workers' is."""
    opened = await open_pool(dsn, size=8, name="test", hot=True)
    try:
        yield opened
    finally:
        await opened.close()


def entries(user_ids: Sequence[str]) -> list[inbox.Entry]:
    return [
        inbox.Entry(uuids.uuid7(), one, "social", {"title": "t", "body": "b"}) for one in user_ids
    ]


async def assert_sound(pool: Pool) -> None:
    """Counters are those of the entries, after the last change and now; numbers have no gaps."""
    counted = {
        row["user_id"]: tuple(row)[1:]
        for row in await pool.fetch(
            """SELECT user_id, count(*) FILTER (WHERE read_at IS NULL AND archived_at IS NULL),
                 count(*) FILTER (WHERE seen_at IS NULL AND archived_at IS NULL),
                 count(*) FILTER (WHERE archived_at IS NULL) FROM inbox GROUP BY user_id"""
        )
    }
    kept = await pool.fetch("SELECT user_id, first, last, unread, unseen, total FROM feeds")
    assert {row["user_id"]: tuple(row)[3:] for row in kept} == counted
    found = await feeds.read(pool, dict.fromkeys(counted, 0), limit=10_000)
    for row in kept:
        feed = found[row["user_id"]]
        assert [one.number for one in feed.changes] == list(
            range(row["first"] + 1, row["last"] + 1)
        )
        assert feed.changes[-1].counters == feed.counters == Counters(*tuple(row)[3:])


async def test_many_at_once(pool: Pool) -> None:
    """Batches over the same users in any order, doubled ones, and the users' own changes: nobody waits in a circle."""
    users = [f"user-{number}" for number in range(12)]

    async def deliver(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(15):
            batch = entries(dice.choices(users, k=20))
            dice.shuffle(batch)
            await asyncio.gather(inbox.add(pool, batch, RING), inbox.add(pool, batch[::-1], RING))

    async def use(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(40):
            user = dice.choice(users)
            page = await inbox.listed(pool, user, RING, before=None, limit=5, archived=None)
            some = [one.id for one in dice.sample(page, min(2, len(page)))]
            async with pool.acquire() as connection:
                await feeds.change(connection, user, dice.choice(MARKS), dice.choice([some, None]))

    await asyncio.gather(*map(deliver, range(4)), *map(use, range(4)))
    assert await pool.fetchval("SELECT count(*) FROM inbox") == 4 * 15 * 20
    await assert_sound(pool)


async def test_a_repeat_changes_nothing(pool: Pool) -> None:
    batch = entries(["ann", "bob", "ann"])
    assert sorted(await inbox.add(pool, batch, RING)) == ["ann", "bob"]
    before = await feeds.read(pool, {"ann": 0, "bob": 0})
    assert [len(feed.changes) for feed in before.values()] == [1, 1]
    assert await inbox.add(pool, batch, RING) == []
    assert await feeds.read(pool, {"ann": 0, "bob": 0}) == before
    more = entries(["ann"])
    assert await inbox.add(pool, [*batch, *more], RING) == ["ann"]
    found = (await feeds.read(pool, {"ann": before["ann"].last}))["ann"]
    (change,) = found.changes
    assert change.entry_ids == [more[0].id]
    await assert_sound(pool)


async def test_an_entry_that_comes_while_all_are_marked(pool: Pool) -> None:
    """What waits for the one who adds sees what was added: its number is the later one."""
    await inbox.add(pool, entries(["ann"]), RING)
    async with pool.acquire() as adding, pool.acquire() as marking:
        transaction = adding.transaction()
        await transaction.start()
        await inbox.add(adding, entries(["ann"]), RING)
        marked = asyncio.create_task(feeds.change(marking, "ann", Kind.READ, None))
        await _waits(pool)
        await transaction.commit()
        assert (await marked).entries == 2
    await assert_sound(pool)


async def _waits(pool: Pool) -> None:
    async with asyncio.timeout(20):
        while not await pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)


async def test_counted_anew_when_entries_were_forgotten(pool: Pool) -> None:
    await inbox.add(pool, entries(["ann", "bob", "bob"]), RING)
    async with pool.acquire() as connection:
        assert not await feeds.recount(connection)
        await connection.execute(
            "DELETE FROM inbox WHERE id = (SELECT min(id::text)::uuid FROM inbox WHERE user_id = 'bob')"
        )
        await connection.execute(
            "INSERT INTO forgotten (what, before) VALUES ('inbox', gen_random_uuid())"
        )
        before = await feeds.read(connection, {"ann": NO_CHANGES, "bob": NO_CHANGES})
        assert await feeds.recount(connection)
        assert not await feeds.recount(connection)
        after = {user: feed.last for user, feed in before.items()}
        found = await feeds.read(connection, after)
    assert [one.kind for one in found["bob"].changes] == [Kind.COUNTED]
    assert not found["ann"].changes
    await assert_sound(pool)


async def test_old_changes_are_forgotten(pool: Pool) -> None:
    await inbox.add(pool, entries(["ann"]), RING)
    await pool.execute("UPDATE feed_changes SET at = now() - interval '2 hours'")
    await inbox.add(pool, entries(["ann"]), RING)
    await feeds.forget_changes(pool, 3600)
    feed = (await feeds.read(pool, {"ann": 0}))["ann"]
    assert [one.number for one in feed.changes] == [feed.last] == [feed.first + 2]


async def test_an_erased_feed_begins_with_other_numbers(pool: Pool) -> None:
    await inbox.add(pool, entries(["ann"]), RING)
    last = (await feeds.find(pool, "ann")).last
    await feeds.erase(pool, "ann")
    assert await feeds.find(pool, "ann") == feeds.NOBODYS
    await inbox.add(pool, entries(["ann"]), RING)
    assert (await feeds.find(pool, "ann")).first >= last
