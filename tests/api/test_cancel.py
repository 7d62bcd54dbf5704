"""Cancelling: what has not begun is stopped, and nothing else is touched."""

import asyncio
from uuid import UUID

import pytest

from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code

pytestmark = pytest.mark.anyio

LATER = "2100-01-01T00:00:00Z"


async def test_scheduled(busy: System) -> None:
    notification_id = await busy.send(
        {"user_id": "ann", "email": "ann@example.com"}, {"name": "Ann"}, send_at=LATER
    )
    answer = await busy.call("POST", f"/notifications/{notification_id}/cancel")
    assert answer.status == 200
    status = await busy.status(notification_id)
    assert status["status"] == "cancelled"
    assert {one["delivery_id"] for one in status["deliveries"]} == {*answer.body["cancelled"]}
    assert {one["reason"] for one in status["deliveries"]} == {"cancelled"}
    assert [event["type"] for event in status["events"]] == ["cancelled"]
    assert all(one["next_attempt_at"] is None for one in status["deliveries"])


async def test_fallback_with_all_its_channels(quiet: System) -> None:
    notification_id = await quiet.send(
        {"user_id": "ann", "email": "ann@example.com", "phone": "+15551234567"},
        routing="fallback",
        channel_preferences=["push", "email", "sms", "in_app"],
    )
    answer = await quiet.call("POST", f"/notifications/{notification_id}/cancel")
    assert len(answer.body["cancelled"]) == 3
    status = await quiet.status(notification_id)
    assert [one["status"] for one in status["deliveries"]] == ["skipped", *["cancelled"] * 3]


async def test_twice(quiet: System) -> None:
    notification_id = await quiet.send({"user_id": "ann"})
    path = f"/notifications/{notification_id}/cancel"
    assert (await quiet.call("POST", path)).status == 200
    assert_problem(await quiet.call("POST", path), Code.NOT_CANCELLABLE)


async def test_sent_already(busy: System) -> None:
    notification_id = await busy.send({"user_id": "ann"}, {"name": "Ann"})
    before = await busy.settled(notification_id)
    answer = await busy.call("POST", f"/notifications/{notification_id}/cancel")
    assert_problem(answer, Code.NOT_CANCELLABLE)
    assert await busy.status(notification_id) == before


async def test_an_id_close_to_another_cancels_nothing(quiet: System) -> None:
    """A delivery's id, mistaken for its notification's, must not take the others off the queue."""
    notification_id = await quiet.send(
        {"user_id": "ann", "email": "ann@example.com", "phone": "+15551234567"}
    )
    before = await quiet.status(notification_id)
    number = UUID(notification_id).int
    for distance in (-1000, -999, -1, 1, 2, 3):
        near = UUID(int=number + distance)
        answer = await quiet.call("POST", f"/notifications/{near}/cancel")
        assert_problem(answer, Code.NOT_FOUND)
    after = await quiet.status(notification_id)
    assert after == before
    # What is off the queue has no time at which it is tried.
    assert all(one["next_attempt_at"] for one in after["deliveries"])


async def test_racing_the_worker_ends_one_way_or_the_other(busy: System) -> None:
    """Cancelled or delivered, never both and never neither."""
    sent = [await busy.send({"user_id": "race"}, {"name": "Ann"}) for _ in range(20)]
    answers = await asyncio.gather(
        *(busy.call("POST", f"/notifications/{one}/cancel") for one in sent)
    )
    for notification_id, answer in zip(sent, answers, strict=True):
        status = await busy.settled(notification_id)
        assert status["status"] == ("cancelled" if answer.status == 200 else "delivered")
    feed = (await busy.call("GET", "/users/race/inbox?limit=200")).body["entries"]
    assert len(feed) == sum(1 for answer in answers if answer.status == 409)
