"""Once only: collapse keys and deduplication windows, over several APIs at the same time."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.system import System
from tidings.store import once
from tidings.store.api_keys import Role

pytestmark = pytest.mark.anyio

CONTENT = {"in_app": {"title": "t", "body": "b"}, "email": {"subject": "s", "text": "t"}}


async def states(system: System, notification_id: str) -> list[tuple[str, str | None]]:
    deliveries = (await system.status(notification_id))["deliveries"]
    return [(one["status"], one["reason"]) for one in deliveries]


PENDING = ("pending", None)
COLLAPSED = ("cancelled", "collapsed")
DUPLICATE = ("skipped", "duplicate")


async def test_a_newer_one_takes_the_place_of_what_waits(quiet: System) -> None:
    first = await quiet.send({"user_id": "c-1"}, collapse_key="score")
    second = await quiet.send({"user_id": "c-1"}, collapse_key="score")
    other = await quiet.send({"user_id": "c-2"}, collapse_key="score")
    another = await quiet.send({"user_id": "c-1"}, collapse_key="weather")
    assert await states(quiet, first) == [COLLAPSED]
    for one in (second, other, another):
        assert await states(quiet, one) == [PENDING]
    third = await quiet.send({"user_id": "c-1"}, collapse_key="score")
    assert await states(quiet, second) == [COLLAPSED]
    assert await states(quiet, third) == [PENDING]


async def test_a_recipient_without_a_user_is_their_addresses(quiet: System) -> None:
    first = await quiet.send({"email": "c@example.com"}, collapse_key="k")
    other = await quiet.send({"email": "d@example.com"}, collapse_key="k")
    second = await quiet.send({"email": "C@example.com"}, collapse_key="k")
    assert await states(quiet, first) == [COLLAPSED]
    assert await states(quiet, other) == await states(quiet, second) == [PENDING]


async def test_another_application_has_keys_of_its_own(quiet: System) -> None:
    first = await quiet.send({"user_id": "c-3"}, collapse_key="k")
    body = {"template_id": "note", "recipient": {"user_id": "c-3"}, "collapse_key": "k"}
    assert (await quiet.call("POST", "/notifications/send", body, role=Role.SENDER)).status == 202
    assert await states(quiet, first) == [PENDING]


async def test_a_fallback_is_withdrawn_whole(quiet: System) -> None:
    recipient = {"user_id": "c-4", "email": "c4@example.com"}
    more: dict[str, Any] = {
        "routing": "fallback",
        "channel_preferences": ["email", "in_app"],
        "collapse_key": "k",
    }
    first = await quiet.send(recipient, **more)
    await quiet.send(recipient, **more)
    assert await states(quiet, first) == [COLLAPSED, COLLAPSED]


async def test_what_is_being_sent_stays(quiet: System) -> None:
    first = await quiet.send({"user_id": "c-5"}, collapse_key="k")
    connection = await asyncpg.connect(quiet.dsn)
    try:
        await connection.execute(
            "UPDATE queue SET started_at = now() WHERE notification_id = $1", first
        )
    finally:
        await connection.close()
    second = await quiet.send({"user_id": "c-5"}, collapse_key="k")
    assert await states(quiet, first) == await states(quiet, second) == [PENDING]


async def test_in_one_request_the_last_is_left(quiet: System) -> None:
    items = [
        {"template_id": "note", "recipient": {"user_id": "c-6"}, "collapse_key": "k"}
        for _ in range(5)
    ]
    answer = await quiet.call("POST", "/notifications/bulk", {"notifications": items})
    found = [await states(quiet, one["notification_id"]) for one in answer.body["results"]]
    assert found == [[COLLAPSED]] * 4 + [[PENDING]]


async def test_a_repeat_is_accepted_and_not_sent(quiet: System) -> None:
    await quiet.template(CONTENT, "daily", deduplicate_seconds=3600)
    recipient = {"user_id": "d-1", "email": "d1@example.com"}
    first = await quiet.send(recipient, template_id="daily")
    second = await quiet.send(recipient, template_id="daily")
    other = await quiet.send({"user_id": "d-2"}, template_id="daily")
    assert await states(quiet, first) == [PENDING, PENDING]
    assert await states(quiet, second) == [DUPLICATE, DUPLICATE]
    assert await states(quiet, other) == [PENDING]
    connection = await asyncpg.connect(quiet.dsn)
    try:
        await connection.execute("UPDATE deduplication SET until = now() - interval '1 second'")
        third = await quiet.send(recipient, template_id="daily")
        assert await states(quiet, third) == [PENDING, PENDING]
        await connection.execute("UPDATE deduplication SET until = now() - interval '1 second'")
        await once.forget(connection)
        assert await connection.fetchval("SELECT count(*) FROM deduplication") == 0
    finally:
        await connection.close()


async def test_a_duplicate_takes_no_ones_place(quiet: System) -> None:
    await quiet.template(CONTENT, "both", deduplicate_seconds=3600)
    more: dict[str, Any] = {"template_id": "both", "collapse_key": "k"}
    first = await quiet.send({"user_id": "d-3"}, **more)
    second = await quiet.send({"user_id": "d-3"}, **more)
    assert await states(quiet, first) == [PENDING]
    assert await states(quiet, second) == [DUPLICATE]


async def test_what_nothing_waits_under_is_forgotten(quiet: System) -> None:
    ended = await quiet.send({"user_id": "f-1"}, collapse_key="k")
    waiting = await quiet.send({"user_id": "f-2"}, collapse_key="k")
    assert (await quiet.call("POST", f"/notifications/{ended}/cancel")).status == 200
    connection = await asyncpg.connect(quiet.dsn)
    try:
        held = "SELECT count(*) FROM collapsing WHERE notification_id = $1"
        await connection.execute("UPDATE collapsing SET used_at = now() - interval '2 days'")
        await once.forget(connection)
        assert await connection.fetchval(held, ended) == 0
        assert await connection.fetchval(held, waiting) == 1
    finally:
        await connection.close()


@pytest.mark.parametrize("seconds", [0, -1, "60", True, 1.5])
async def test_a_wrong_window(quiet: System, seconds: Any) -> None:
    body = {"id": "wrong", "content": CONTENT, "deduplicate_seconds": seconds}
    answer = await quiet.call("POST", "/templates", body)
    assert answer.status == 400
    assert answer.body["errors"][0]["path"] == "deduplicate_seconds"


async def test_at_the_same_time_over_two_apis(dsn: str, tmp_path: Path) -> None:
    """Of each collapse key one is left, the others are cancelled; of each window one is sent."""
    async with (
        System.run(dsn, tmp_path, working=False) as one,
        System.run(dsn, tmp_path, working=False) as two,
    ):
        await one.template(CONTENT)
        await one.template(CONTENT, "daily", deduplicate_seconds=3600)
        headers = {"Authorization": f"Bearer {one.keys[Role.ADMIN]}"}

        async def send(number: int, **more: Any) -> None:
            body = {"template_id": "note", "recipient": {"user_id": f"u{number % 3}"}, **more}
            system = (one, two)[number % 2]
            path = "/notifications/send"
            answer = await system.call("POST", path, body, role=None, headers=headers)
            assert answer.status == 202, answer.body

        await asyncio.gather(
            *(send(n, collapse_key=f"k{n % 2}") for n in range(120)),
            *(send(n, template_id="daily") for n in range(60)),
        )
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            """SELECT n.user_id, n.collapse_key, d.status, count(*) AS count
               FROM notifications n JOIN deliveries d ON d.notification_id = n.id GROUP BY 1, 2, 3"""
        )
        found = {(row["user_id"], row["collapse_key"], row["status"]): row["count"] for row in rows}
        for user in ("u0", "u1", "u2"):
            for key in ("k0", "k1"):
                assert found[user, key, "pending"] == 1
                assert found[user, key, "cancelled"] == 19
            assert found[user, None, "pending"] == 1
            assert found[user, None, "skipped"] == 19
        assert await connection.fetchval("SELECT count(*) FROM queue") == 9
    finally:
        await connection.close()
