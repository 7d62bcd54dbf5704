"""An account's places: whose turn it is, and how much is worth to be claimed for it."""

import asyncio

import pytest

from tidings.delivery.places import Places
from tidings.domain.fairness import Room

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_urgent_calls_have_a_place_that_others_never_take() -> None:
    places = Places(4, Clock())
    for _ in range(3):
        await places.take_turn(urgent=False)
    ordinary = asyncio.create_task(places.take_turn(urgent=False))
    await asyncio.sleep(0)
    assert not ordinary.done()
    await asyncio.wait_for(places.take_turn(urgent=True), 5)
    places.end_turn()
    await asyncio.sleep(0)
    assert not ordinary.done(), "the last free place is kept"
    places.end_turn()
    await asyncio.wait_for(ordinary, 5)


async def test_who_is_urgent_goes_before_who_waits_longer() -> None:
    places = Places(1, Clock())
    await places.take_turn(urgent=False)
    order: list[str] = []

    async def call(name: str, urgent: bool) -> None:
        await places.take_turn(urgent=urgent)
        order.append(name)
        places.end_turn()

    waiting = [
        asyncio.create_task(call(name, urgent))
        for name, urgent in (("a", False), ("b", False), ("urgent", True))
    ]
    await asyncio.sleep(0)
    places.end_turn()
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert order == ["urgent", "a", "b"]


async def test_who_gives_up_waiting_takes_no_place_along() -> None:
    places = Places(1, Clock())
    await places.take_turn(urgent=False)
    first, second = (asyncio.create_task(places.take_turn(urgent=False)) for _ in range(2))
    await asyncio.sleep(0)
    places.end_turn()  # the place is the first one's now, who has not run yet
    first.cancel()
    await asyncio.wait_for(second, 5)
    assert first.cancelled()
    third = asyncio.create_task(places.take_turn(urgent=False))
    await asyncio.sleep(0)
    assert not third.done(), "the only place is the second one's"
    places.end_turn()
    await asyncio.wait_for(third, 5)


async def test_a_slow_account_is_not_worth_many_claims_and_a_fast_one_is() -> None:
    clock = Clock()
    places = Places(20, clock)
    assert places.room() == Room(ordinary=34, critical=36)
    for _ in range(36):
        places.hold()
    assert places.room() == Room(0, 0)
    for _ in range(10):
        clock.now += 0.05
        for _ in range(100):
            places.let_go(called=True)
            places.hold()
    assert places.room().critical > 300, "it finishes 2,000 a second"
    clock.now += 10
    assert places.room() == Room(0, 0), "and then nothing for ten seconds"


async def test_what_is_given_back_without_a_call_makes_no_account_look_fast() -> None:
    clock = Clock()
    places = Places(20, clock)
    for _ in range(10):
        clock.now += 0.05
        for _ in range(100):
            places.hold()
            places.let_go(called=False)
        assert places.room() == Room(ordinary=34, critical=36)
