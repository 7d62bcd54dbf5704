"""Conversions: what the application tells is put down to the message that led to it, once, and is forgotten with the person."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.api.conftest import own_database
from tests.api.problem import assert_problem
from tests.support.system import System
from tests.tracking.test_tracking import CONTENT, PUBLIC, paths, sent, visit
from tidings.api.problems import Code
from tidings.domain import ids
from tidings.store.api_keys import Role
from tidings.store.embedded import EmbeddedServer

pytestmark = pytest.mark.anyio

NOBODY = "01890000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
async def system(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    async with (
        own_database(server) as dsn,
        System.run(
            dsn,
            tmp_path_factory.mktemp("conversions"),
            web={"public_url": PUBLIC},
            tracking={"judged_after": 0, "too_soon": 0, "conversion_window": 3600},
        ) as system,
    ):
        await system.template(CONTENT, track_opens=True, track_clicks=True)
        yield system


async def tell(system: System, **event: Any) -> str:
    answer = await system.call("POST", "/events", {"name": "purchased", **event})
    assert answer.status == 202, answer.body
    told: str = answer.body["id"]
    return told


async def attributed(
    system: System, told: str, is_done: Callable[[Any], bool] = lambda one: one["attributed"]
) -> Any:
    async with asyncio.timeout(20):
        while not is_done(found := (await system.call("GET", f"/events/{told}")).body):
            await asyncio.sleep(0.02)
    return found


async def clicked(system: System, user_id: str) -> str:
    """The id of a message whose link this user has just followed; it may not be judged yet."""
    recipient = {"email": f"{user_id}@example.com", "user_id": user_id}
    notification_id, content = await sent(system, "email", recipient=recipient)
    link = paths(content["html"], "c")[0]
    assert (await visit(system, link)).status == 302
    return notification_id


async def test_told_at_once_after_a_click_it_is_put_down_to_it(system: System) -> None:
    notification_id = await clicked(system, "ann")
    before = (await system.call("GET", "/templates/note/engagement")).body["conversions"]
    assert before == []
    told = await tell(system, user_id="ann", value="12.50", currency="EUR", metadata={"o": "7"})
    found = await attributed(system, told)
    status = await system.status(notification_id)
    assert found["attribution"] == {
        "delivery_id": status["deliveries"][0]["delivery_id"],
        "by": "clicked",
        "template_id": "note",
        "template_version": 1,
        "channel": "email",
        "batch_id": None,
    }
    assert (found["value"], found["metadata"]) == ("12.500000", {"o": "7"})
    [total] = (await system.call("GET", "/templates/note/engagement")).body["conversions"]
    assert total == {
        "channel": "email",
        "name": "purchased",
        "count": 1,
        "users": 1,
        "value": "12.500000",
        "currency": "EUR",
    }


async def test_a_message_that_is_named_counts_without_a_click(system: System) -> None:
    notification_id, _ = await sent(
        system, "email", recipient={"email": "c@example.com", "user_id": "cleo"}
    )
    delivery_id = (await system.status(notification_id))["deliveries"][0]["delivery_id"]
    for named in ({"notification_id": notification_id}, {"delivery_id": delivery_id}):
        found = await attributed(system, await tell(system, **named))
        assert found["attribution"]["delivery_id"] == delivery_id
        assert (found["attribution"]["by"], found["user_id"]) == ("named", "cleo")


async def test_what_came_of_nothing_is_put_down_to_nothing(system: System) -> None:
    await clicked(system, "dora")
    await asyncio.gather(
        *(
            check_nothing(system, event)
            for event in (
                {"user_id": "stranger"},
                {"delivery_id": NOBODY},
                {"user_id": "dora", "occurred_at": past(minutes=5)},  # before the click
            )
        )
    )


async def test_a_click_counts_for_as_long_as_the_window(system: System) -> None:
    notification_id = await clicked(system, "gus")
    await attributed(system, await tell(system, user_id="gus"))
    connection = await asyncpg.connect(system.dsn)
    try:
        for hours, by in ((0.9, "clicked"), (1.1, None)):
            await connection.execute(
                """UPDATE engagements SET person_at = now() - make_interval(hours => 1) * $2::float8
                   WHERE delivery_id = $1""",
                ids.delivery_id(UUID(notification_id), 1),
                hours,
            )
            found = await attributed(system, await tell(system, user_id="gus"))
            assert (found["attribution"] and found["attribution"]["by"]) == by
    finally:
        await connection.close()


async def test_a_message_of_another_is_not_what_led_to_it(system: System) -> None:
    notification_id = await clicked(system, "hal")
    told = await tell(system, user_id="ida", notification_id=notification_id)
    assert (await attributed(system, told))["attribution"] is None


async def test_what_names_only_the_message_is_forgotten_with_its_reader(system: System) -> None:
    notification_id = await clicked(system, "jon")
    told = await tell(system, notification_id=notification_id, metadata={"pet": "Fido"})
    assert (await system.call("POST", "/users/jon/erase", {})).status in (200, 202)
    found = (await system.call("GET", f"/events/{told}")).body
    assert (found["user_id"], found["metadata"]) == (None, {})


async def check_nothing(system: System, event: dict[str, Any]) -> None:
    found = await attributed(system, await tell(system, **event))
    assert found["attribution"] is None


def past(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


async def test_told_again_it_counts_once(system: System) -> None:
    event = {"name": "signed up", "user_id": "eve", "event_id": "signup-1"}
    first = await system.call("POST", "/events", event)
    again = await system.call("POST", "/events", event)
    assert (first.body["repeated"], again.body["repeated"]) == (False, True)
    assert first.body["id"] == again.body["id"]
    other = await system.call("POST", "/events", {**event, "user_id": "bob"})
    assert_problem(other, Code.IDEMPOTENCY_CONFLICT)
    many = await system.call(
        "POST", "/events/bulk", {"events": [event, {**event, "event_id": "2"}]}
    )
    assert [one["repeated"] for one in many.body["events"]] == [True, False]
    both = [{**event, "event_id": "3"}, {**event, "event_id": "3", "user_id": "bob"}]
    assert_problem(
        await system.call("POST", "/events/bulk", {"events": both}), Code.IDEMPOTENCY_CONFLICT
    )
    third = await system.call("POST", "/events", {**event, "event_id": "3"})
    assert third.body["repeated"] is False  # nothing of the refused two was stored


async def test_many_at_the_same_moment_count_once(system: System) -> None:
    event = {"name": "raced", "user_id": "eve", "event_id": "race"}
    answers = await asyncio.gather(*(system.call("POST", "/events", event) for _ in range(20)))
    assert len({one.body["id"] for one in answers}) == 1
    assert sum(not one.body["repeated"] for one in answers) == 1


async def test_it_is_had_and_forgotten_with_the_person(system: System) -> None:
    await clicked(system, "finn")
    told = await tell(system, user_id="finn", metadata={"pet": "Fido"}, event_id="finn-1")
    await attributed(system, told)
    request = system.client.get(f"{system.url}/users/finn/export").bearer_auth(
        system.keys[Role.ADMIN]
    )
    exported = await (await request.build().send()).text()
    assert '"kind":"conversion"' in exported
    assert "Fido" in exported
    assert (await system.call("POST", "/users/finn/erase", {})).status in (200, 202)
    found = (await system.call("GET", f"/events/{told}")).body
    assert (found["user_id"], found["metadata"], found["event_id"]) == (None, {}, None)
    assert found["attribution"]["template_id"] == "note"  # what is counted stays


@pytest.mark.parametrize(
    ("event", "path"),
    [
        ({}, ""),
        ({"user_id": "a/b"}, "user_id"),
        ({"user_id": "ann", "value": 1}, ""),
        ({"user_id": "ann", "value": "1", "currency": "euro"}, "currency"),
        ({"user_id": "ann", "value": "0.1234567", "currency": "EUR"}, "value"),
        ({"user_id": "ann", "occurred_at": "2199-01-01T00:00:00Z"}, ""),
        ({"user_id": "ann", "occurred_at": "yesterday"}, "occurred_at"),
        ({"notification_id": NOBODY, "delivery_id": NOBODY}, ""),
        ({"user_id": "ann", "name": ""}, "name"),
        ({"user_id": "ann", "more": 1}, "more"),
    ],
)
async def test_what_is_wrong_is_refused(system: System, event: dict[str, Any], path: str) -> None:
    answer = await system.call("POST", "/events", {"name": "purchased", **event})
    assert_problem(answer, Code.INVALID_REQUEST)
    assert [one["path"] for one in answer.body["errors"]] == [path]
