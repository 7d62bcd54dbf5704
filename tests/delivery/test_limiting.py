"""Rate limits at the engine's door: which hold, who waits how, and what is not sent because it came too late."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.delivery.test_calling import ACCOUNT, Heard, Told
from tidings.delivery.accounts import OpenAccount
from tidings.delivery.gates import Gates
from tidings.delivery.limiting import Limits, Permit, Skip, Wait, patience_of
from tidings.delivery.places import Places
from tidings.delivery.settling import Held
from tidings.domain import ids
from tidings.domain.channels import Channel
from tidings.domain.lanes import Lane, lane_number
from tidings.domain.limits import SECOND, Limit, Rate, Scope
from tidings.domain.priorities import Priority
from tidings.store import api_keys
from tidings.store.categories import CategoryCache
from tidings.store.database import Pool, open_pool
from tidings.store.keyring import KeyRing, Keys

pytestmark = pytest.mark.anyio

RATE = Rate.parse("2/h")
LANE = Lane(Priority.MEDIUM, lane_number(1, Channel.CHAT))
OTHER = Lane(Priority.LOW, lane_number(1, Channel.CHAT))


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn, size=2, name="test", hot=True)
    try:
        yield opened
    finally:
        await opened.close()


def heard() -> Heard:
    return Heard(Told())


def opened(name: str = "main") -> OpenAccount:
    return replace(heard().opened, account=replace(ACCOUNT, name=name))


def made(pool: Pool, *limits: Limit, accounts: int = 1) -> Limits:
    serving = [opened(str(number)) for number in range(accounts)]
    return Limits(pool, KeyRing(Keys.generate()), limits, serving, time.monotonic, CategoryCache())


def held(address: str = "a", user: str | None = None, app: int = 1, *, waited: float = 0) -> Held:
    """waited: hours since it was accepted."""
    one = heard().ready().held
    lane = Lane(Priority.MEDIUM, lane_number(app, Channel.CHAT))
    accepted = ids.time_of(one.claim.notification_id)
    claim = replace(one.claim, lane=lane, due_at=accepted + timedelta(hours=waited))
    return Held(claim, replace(one.work, address=address, user_id=user))


async def took(limits: Limits, *wanted: Held, account: str = "main") -> list[str]:
    grants = await limits.take([(one, account) for one in wanted])
    return ["free" if one is None else type(one).__name__.lower() for one in grants]


async def test_no_limits_cost_nothing(pool: Pool) -> None:
    limits = made(pool)
    assert not limits.applies
    assert await took(limits, held(), held()) == ["free", "free"]
    assert await pool.fetchval("SELECT count(*) FROM limits") == 0


async def test_a_limit_that_does_not_hold_lets_pass(pool: Pool) -> None:
    limits = made(pool, Limit("x", RATE, Scope.GLOBAL, channel="sms"))
    assert await took(limits, *[held()] * 3) == ["free"] * 3


async def test_each_recipient_by_itself_in_the_order_of_the_batch(pool: Pool) -> None:
    limits = made(pool, Limit("x", RATE, Scope.RECIPIENT, over="skip"))
    ada, grace = held("ada"), held("grace")
    assert await took(limits, ada, ada, grace, ada, grace) == ["permit"] * 3 + ["skip", "permit"]


async def test_who_has_no_user_id_has_no_user_to_count(pool: Pool) -> None:
    limits = made(pool, Limit("x", RATE, Scope.USER))
    ada, nobody = held(user="ada"), held()
    assert await took(limits, ada, ada, ada, nobody) == ["permit", "permit", "wait", "free"]


async def test_a_key_can_be_meant_by_its_name(pool: Pool) -> None:
    async with pool.acquire() as connection:
        key = await api_keys.create(connection, "shop", api_keys.Role.SENDER, "secret")
    limits = made(pool, Limit("x", RATE, Scope.API_KEY, api_key="shop"))
    mine, others = held(app=key.number), held(app=key.number + 1)
    grants = await took(limits, mine, others, mine, mine)
    assert grants == ["permit", "free", "permit", "wait"]


@pytest.mark.parametrize(
    ("limit", "accounts", "lane"),
    [
        (Limit("x", RATE, Scope.GLOBAL), 2, True),
        (Limit("x", RATE, Scope.CHANNEL, channel="chat"), 2, True),
        (Limit("x", RATE, Scope.API_KEY), 2, True),
        (Limit("x", RATE, Scope.ACCOUNT), 1, True),
        (Limit("x", RATE, Scope.ACCOUNT), 2, False),
        (Limit("x", RATE, Scope.GLOBAL, account="main"), 2, False),
        (Limit("x", RATE, Scope.GLOBAL, category="c"), 1, False),
        (Limit("x", RATE, Scope.CHANNEL, template="t"), 1, False),
        (Limit("x", RATE, Scope.RECIPIENT), 1, False),
        (Limit("x", RATE, Scope.CATEGORY), 1, False),
    ],
)
async def test_what_concerns_the_whole_lane(
    pool: Pool, limit: Limit, accounts: int, lane: bool
) -> None:
    limits = made(pool, limit, accounts=accounts)
    *_, last = await limits.take([(held(), "main")] * 3)
    assert isinstance(last, Wait)
    assert last.lane is lane
    assert last.limit == "x"
    hour = RATE.period / SECOND
    assert hour < last.at - time.monotonic() < 1.1 * hour


async def test_a_permit_that_was_not_used_is_put_back_with_the_next(pool: Pool) -> None:
    limits = made(pool, Limit("x", RATE, Scope.GLOBAL))
    first, second = await limits.take([(held(), "main")] * 2)
    assert isinstance(first, Permit)
    assert isinstance(second, Permit)
    first.give_back()
    assert await took(limits, held(), held()) == ["permit", "wait"]
    second.give_back()
    await limits.close()
    assert await took(limits, held(), held()) == ["permit", "wait"]


async def test_what_waits_for_its_turn_beyond_its_permit_is_not_sent(pool: Pool) -> None:
    now = 0.0
    limits = Limits(
        pool,
        KeyRing(Keys.generate()),
        [Limit("x", RATE, Scope.GLOBAL)],
        [],
        lambda: now,
        CategoryCache(),
    )
    provider = Told()
    told = Heard(provider)
    in_time, late = await limits.take([(told.ready().held, "main")] * 2)
    assert isinstance(in_time, Permit)
    assert isinstance(late, Permit)
    first = replace(told.ready(), permit=in_time)
    second = replace(told.ready(), permit=late)
    told.caller.call([first], 0.0)
    await asyncio.wait_for(provider.called.wait(), 5)
    told.caller.call([second], 0.0)
    now = RATE.hold / SECOND + 0.001
    provider.go.set()
    await told.caller.drain(5)
    assert [message.delivery_id for message in provider.sent] == [first.message.delivery_id]
    assert told.late == [second.held]
    assert await took(limits, held(), held()) == ["permit", "wait"], "one was put back"


def test_a_gate_is_shut_until_its_time_and_then_opens_as_far_as_passed() -> None:
    now = 100.0
    gates = Gates[Lane](lambda: now)
    assert (gates.opens_in(LANE), gates.most(LANE, 256)) == (0, 256)
    gates.learn(Counter({LANE: 10, OTHER: 3}), {LANE: 101.5})
    assert gates.opens_in(LANE) == 1.5
    assert gates.opens_in(OTHER) == 0
    now = 102.0
    assert gates.opens_in(LANE) == 0
    assert gates.most(LANE, 256) == 13
    gates.learn(Counter({LANE: 13}), {})
    assert gates.most(LANE, 256) == 26, "all of it passed"
    gates.learn(Counter({LANE: 3}), {LANE: 103.0})
    assert gates.most(LANE, 256) == 21, "what passed since it opened"
    assert gates.most(LANE, 5) == 5


def test_a_turn_that_another_worker_had_costs_half_of_the_next_and_not_all_of_it() -> None:
    gates = Gates[Lane](lambda: 100.0)
    gates.learn(Counter({LANE: 40}), {LANE: 100.0})
    assert gates.most(LANE, 256) == 51
    claimed = []
    for _ in range(8):
        gates.learn(Counter(), {LANE: 100.0})
        claimed.append(gates.most(LANE, 256))
    assert claimed == [20, 10, 5, 2, 1, 1, 1, 1]


def test_a_gate_that_nothing_is_refused_at_goes() -> None:
    gates = Gates[Lane](lambda: 100.0)
    gates.learn(Counter(), {LANE: 1.0})
    for _ in range(12):
        gates.learn(Counter({LANE: gates.most(LANE, 100_000)}), {})
    assert gates.most(LANE, 100_000) == 100_000


def test_fewer_are_claimed_at_once_while_some_come_too_late() -> None:
    now = 100.0
    gates = Gates[Lane](lambda: now)
    gates.learn(Counter({LANE: 200}), {})
    gates.late(LANE)
    fewer = gates.most(LANE, 256)
    assert fewer <= 128
    gates.late(LANE)
    assert gates.most(LANE, 256) == fewer, "late together, for one cause"
    now = 101.0
    gates.learn(Counter({LANE: fewer}), {})
    assert gates.most(LANE, 256) > fewer, "all of them in time: a few more"
    gates.late(LANE)
    assert gates.most(LANE, 256) == fewer // 2


def test_no_more_waits_for_a_turn_than_will_have_it_before_permits_run_out() -> None:
    limit = Limit("x", Rate.parse("100/s"), Scope.GLOBAL, channel="chat")
    patience = patience_of(ACCOUNT, [limit, Limit("y", RATE, Scope.GLOBAL)])
    assert patience == limit.rate.hold / SECOND
    assert patience_of(ACCOUNT, [replace(limit, channel="sms")]) is None
    now = 0.0
    places = Places(10, lambda: now, patience)
    assert places.room().critical == 10, "none beyond those who are served at once"
    for _ in range(1000):
        places.hold()
        places.let_go(called=True)
    now = 1.0
    assert places.room().critical == 10 + int(1000 * patience / 2)


async def test_a_skip_names_the_limit(pool: Pool) -> None:
    limits = made(pool, Limit("gentle", RATE, Scope.RECIPIENT, over="skip"))
    *_, last = await limits.take([(held(), "main")] * 3)
    assert last == Skip("gentle")


async def test_nothing_that_is_stored_can_be_computed_without_the_key_ring(pool: Pool) -> None:
    """The same person is another with another key ring."""
    limit = Limit("x", RATE, Scope.USER)
    for _ in range(2):
        assert await took(made(pool, limit), *[held(user="zoe")] * 2) == ["permit"] * 2
    keys = [row["key"] for row in await pool.fetch("SELECT key FROM limits")]
    assert len(set(keys)) == 2
    assert all(key.startswith("x:") and "zoe" not in key for key in keys)
