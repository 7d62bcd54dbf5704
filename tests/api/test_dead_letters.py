"""Dead letters: found again, by whoever may, and sent or laid aside by who says which."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code
from tidings.store import dead_letters
from tidings.store.api_keys import Role

pytestmark = pytest.mark.anyio

LETTERS = "/dead-letters"
BROKEN = {"in_app": {"title": "t", "body": "{{ missing }}"}}


@contextlib.asynccontextmanager
async def database(system: System) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(system.dsn)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture(scope="module")
async def broken(busy: System) -> System:
    """With the template `broken`, of which every notification fails before a provider is called."""
    await busy.template(BROKEN, "broken")
    return busy


async def fail(
    system: System, count: int = 1, role: Role = Role.ADMIN, **more: Any
) -> tuple[list[str], str]:
    """Deliveries that failed, in their order, and their batch."""
    item = {"template_id": "broken", "recipient": {"user_id": "ann"}, **more}
    answer = await system.call(
        "POST", "/notifications/bulk", {"notifications": [item] * count}, role=role
    )
    assert answer.body["rejected"] == 0
    deliveries = []
    for one in answer.body["results"]:
        status = await system.settled(one["notification_id"])
        deliveries.append(status["deliveries"][0]["delivery_id"])
    return deliveries, answer.body["batch_id"]


async def listed(system: System, query: str) -> list[Any]:
    answer = await system.call("GET", f"{LETTERS}?{query}")
    assert answer.status == 200, answer.body
    found: list[Any] = answer.body["dead_letters"]
    return found


async def replay(system: System, document: Any, role: Role = Role.ADMIN) -> Any:
    answer = await system.call("POST", f"{LETTERS}/replay", document, role=role)
    assert answer.status == 202, answer.body
    return answer.body


async def mended(system: System) -> None:
    """A new version of the template, which can be rendered."""
    edition = {"content": {"in_app": {"title": "t", "body": "b"}}}
    assert (await system.call("PUT", "/templates/broken", edition)).status == 200


async def test_every_page_once_what_failed_last_first(broken: System) -> None:
    made, batch_id = await fail(broken, 5)
    found: list[Any] = []
    cursor = ""
    while True:
        query = f"batch_id={batch_id}&limit=2{cursor}"
        page = (await broken.call("GET", f"{LETTERS}?{query}")).body
        found += page["dead_letters"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert {one["delivery_id"] for one in found} == set(made)
    assert len(found) == 5
    times = [one["failed_at"] for one in found]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("matching", "other"),
    [
        ("channel=in_app", "channel=email"),
        ("status=failed", "status=unknown"),
        ("reason=undefined_variable", "reason=timed_out"),
        ("template_id=broken", "template_id=note"),
        ("state=waiting", "state=replayed"),
        ("since=2000-01-01T00:00:00Z", "since=2100-01-01T00:00:00Z"),
        ("until=2100-01-01T00:00:00Z", "until=2000-01-01T00:00:00Z"),
        ("mine=true", "account=mail"),
    ],
)
async def test_filters(broken: System, matching: str, other: str) -> None:
    made, batch_id = await fail(broken)
    assert [
        one["delivery_id"] for one in await listed(broken, f"batch_id={batch_id}&{matching}")
    ] == made
    assert await listed(broken, f"batch_id={batch_id}&{other}") == []


async def test_shown_with_what_was_wrong(broken: System) -> None:
    (delivery_id,), batch_id = await fail(broken)
    shown = (await broken.call("GET", f"{LETTERS}/{delivery_id}")).body
    assert (shown["status"], shown["reason"]) == ("failed", "undefined_variable")
    assert "variable" in shown["text"]
    assert "missing" in shown["detail"]
    assert (shown["batch_id"], shown["attempts"], shown["replays"]) == (batch_id, [], [])


async def test_what_did_not_fail_has_none(broken: System) -> None:
    status = await broken.settled(await broken.send({"user_id": "ann"}, {"name": "Ann"}))
    delivery_id = status["deliveries"][0]["delivery_id"]
    for method, path in (("GET", ""), ("POST", "/replay"), ("POST", "/discard")):
        answer = await broken.call(method, f"{LETTERS}/{delivery_id}{path}")
        assert_problem(answer, Code.NOT_FOUND)


async def test_replayed_with_the_current_version_of_its_template(broken: System) -> None:
    (pinned, current), batch_id = await fail(broken, 2)
    await mended(broken)
    try:
        ends = []
        for delivery_id, version in ((pinned, "pinned"), (current, "current")):
            body = {"template_version": version}
            answer = await broken.call("POST", f"{LETTERS}/{delivery_id}/replay", body)
            ends.append(await broken.settled(answer.body["notification_id"]))
        assert [one["status"] for one in ends] == ["failed", "delivered"]
        assert ends[1]["template_version"] == ends[0]["template_version"] + 1
        batch = (await broken.call("GET", f"/batches/{batch_id}")).body
        assert (batch["accepted"], batch["notifications"]["failed"]) == (2, 2)
    finally:
        await broken.call("PUT", "/templates/broken", {"content": BROKEN})


async def test_once_unless_it_is_said(broken: System) -> None:
    (delivery_id,), _ = await fail(broken)
    path = f"{LETTERS}/{delivery_id}/replay"
    first = await broken.call("POST", path)
    assert first.status == 202
    assert_problem(await broken.call("POST", path), Code.NOT_REPLAYABLE, "despite")
    second = await broken.call("POST", path, {"despite": ["already_replayed"]})
    shown = (await broken.call("GET", f"{LETTERS}/{delivery_id}")).body
    assert [one["notification_id"] for one in shown["replays"]] == [
        first.body["notification_id"],
        second.body["notification_id"],
    ]


async def test_by_filter_in_parts_that_go_on(broken: System) -> None:
    made, batch_id = await fail(broken, 5)
    body: dict[str, Any] = {"filter": {"batch_id": batch_id}, "limit": 2}
    counts = []
    while True:
        answer = await replay(broken, body)
        counts.append(answer["replayed"])
        if answer["next_cursor"] is None:
            break
        body["cursor"] = answer["next_cursor"]
    assert counts == [2, 2, 1]
    assert len(await listed(broken, f"batch_id={batch_id}&state=replayed")) == 5
    again = await replay(broken, {"filter": {"batch_id": batch_id}})
    assert (again["replayed"], again["skipped"]) == (0, [])
    despite = {"filter": {"batch_id": batch_id}, "despite": ["already_replayed"]}
    assert (await replay(broken, despite))["replayed"] == 5
    shown = (await broken.call("GET", f"{LETTERS}/{made[0]}")).body
    assert len(shown["replays"]) == 2


async def test_why_some_are_not(broken: System) -> None:
    made, batch_id = await fail(broken, 4)
    expiring, later = await fail(broken, expires_at=broken.from_now(2))
    async with database(broken) as connection:
        await connection.execute(
            "UPDATE dead_letters SET status = 'unknown' WHERE delivery_id = $1", made[0]
        )
        await connection.execute(
            "UPDATE notifications SET expires_at = now() WHERE id = (SELECT notification_id"
            " FROM dead_letters WHERE delivery_id = $1)",
            expiring[0],
        )
        assert (await broken.call("POST", f"{LETTERS}/{made[1]}/discard")).status == 200
        unreadable = "UPDATE notifications SET sealed = '\\x00' WHERE id = (SELECT notification_id"
        await connection.execute(f"{unreadable} FROM dead_letters WHERE delivery_id = $1)", made[2])
        answer = await replay(broken, {"filter": {"batch_id": batch_id}})
        assert answer["replayed"] == 1
        skipped = {one["reason"]: one["count"] for one in answer["skipped"]}
        assert skipped == {"may_have_arrived": 1, "unreadable": 1}
        assert all(one["text"] for one in answer["skipped"])
        late = await replay(broken, {"filter": {"batch_id": later}})
        assert [one["reason"] for one in late["skipped"]] == ["expired"]
        despite = {"despite": ["expired", "discarded", "may_have_arrived"]}
        late = await replay(broken, {"filter": {"batch_id": later}, **despite})
        assert late["replayed"] == 1
        answer = await replay(broken, {"filter": {"batch_id": batch_id}, **despite})
        assert answer["replayed"] == 2
        expires_at = await connection.fetchval(
            "SELECT expires_at FROM notifications WHERE replay_of = $1", expiring[0]
        )
        assert expires_at is None
        # The audit of other tests must find what it expects.
        await connection.execute(
            "UPDATE dead_letters SET status = 'failed' WHERE status = 'unknown'"
        )


async def test_what_the_recipient_turned_off_is_not_replayed(broken: System) -> None:
    (delivery_id,), _ = await fail(broken, recipient={"user_id": "off"})
    path = "/users/off/preferences"
    assert (await broken.call("PUT", path, {"channels": {"in_app": False}})).status == 200
    answer = await broken.call("POST", f"{LETTERS}/{delivery_id}/replay")
    assert_problem(answer, Code.NOT_REPLAYABLE)
    assert "turned" in answer.body["detail"]
    assert (await broken.call("PUT", path, {})).status == 200
    assert (await broken.call("POST", f"{LETTERS}/{delivery_id}/replay")).status == 202


async def test_discarded_is_kept_and_left_out(broken: System) -> None:
    made, batch_id = await fail(broken, 3)
    one = await broken.call("POST", f"{LETTERS}/{made[0]}/discard")
    assert one.body["state"] == "discarded"
    body = {"filter": {"batch_id": batch_id}, "limit": 1}
    answers = [(await broken.call("POST", f"{LETTERS}/discard", body)).body for _ in range(3)]
    assert answers == [
        {"discarded": 1, "more": True},
        {"discarded": 1, "more": True},
        {"discarded": 0, "more": False},
    ]
    assert (await replay(broken, {"filter": {"batch_id": batch_id}}))["replayed"] == 0
    assert len(await listed(broken, f"batch_id={batch_id}&state=discarded")) == 3


@pytest.mark.parametrize("what", ["replay", "discard"])
@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "all"),
        ({"filter": {}}, "all"),
        ({"all": False}, "all"),
        ({"all": True, "filter": {"channel": "sms"}}, "all"),
        ({"all": "yes"}, "all"),
        ({"all": True, "limit": 0}, "limit"),
        ({"all": True, "limit": "10"}, "limit"),
        ({"filter": {"reason": "whim"}}, "filter.reason"),
        ({"filter": {"status": "delivered"}}, "filter.status"),
        ({"filter": {"since": 5}}, "filter.since"),
        ({"filter": {"user": "ann"}}, "filter.user"),
    ],
)
async def test_it_must_be_said_which(broken: System, what: str, body: Any, path: str) -> None:
    answer = await broken.call("POST", f"{LETTERS}/{what}", body)
    assert_problem(answer, Code.INVALID_REQUEST, path)


async def test_only_what_can_be_overcome_can_be_named(broken: System) -> None:
    body = {"all": True, "despite": ["unreadable"]}
    answer = await broken.call("POST", f"{LETTERS}/replay", body)
    assert_problem(answer, Code.INVALID_REQUEST, "despite.0")


async def test_a_sender_replays_its_own(broken: System) -> None:
    (theirs,), other = await fail(broken)
    (mine,), batch_id = await fail(broken, role=Role.SENDER)
    for what in ("replay", "discard"):
        path = f"{LETTERS}/{theirs}/{what}"
        assert_problem(await broken.call("POST", path, role=Role.SENDER), Code.FORBIDDEN)
    by_template = {"filter": {"template_id": "broken"}}
    assert (await replay(broken, by_template, Role.SENDER))["replayed"] >= 1
    assert await listed(broken, f"batch_id={batch_id}&state=waiting") == []
    assert len(await listed(broken, f"batch_id={other}&state=waiting")) == 1
    assert_problem(
        await broken.call("POST", f"{LETTERS}/{mine}/replay", role=Role.VIEWER), Code.FORBIDDEN
    )


async def test_a_retried_batch_takes_its_letters_back(broken: System) -> None:
    """What was replayed is left to its replay, and is not sent a second time."""
    (replayed, waiting), batch_id = await fail(broken, 2)
    assert (await broken.call("POST", f"{LETTERS}/{replayed}/replay")).status == 202
    async with database(broken) as connection:
        before = await connection.fetchval(
            "SELECT id FROM dead_letters WHERE delivery_id = $1", waiting
        )
        assert (await broken.call("POST", f"/batches/{batch_id}/retry")).status == 200
        # It fails once more, which is a new letter.
        newer = "SELECT true FROM dead_letters WHERE delivery_id = $1 AND id > $2"
        async with asyncio.timeout(20):
            while not await connection.fetchval(newer, waiting, before):
                await asyncio.sleep(0.01)
    found = {
        one["delivery_id"]: one["state"] for one in await listed(broken, f"batch_id={batch_id}")
    }
    assert found == {replayed: "replayed", waiting: "waiting"}


async def test_forgotten_when_they_are_old(broken: System) -> None:
    (delivery_id,), batch_id = await fail(broken)
    async with database(broken) as connection:
        long_ago = datetime.now(UTC) - timedelta(days=1)
        assert await dead_letters.forget_before(connection, long_ago) == 0
        assert len(await listed(broken, f"batch_id={batch_id}")) == 1
        now = datetime.now(UTC) + timedelta(seconds=1)
        assert await dead_letters.forget_before(connection, now, most=1) == 1
        while await dead_letters.forget_before(connection, now):
            pass
    assert_problem(await broken.call("GET", f"{LETTERS}/{delivery_id}"), Code.NOT_FOUND)


async def test_those_that_wait_are_counted(broken: System) -> None:
    def waiting(text: str) -> float:
        line = next(
            line
            for line in text.splitlines()
            if line.startswith('tidings_dead_letters{channel="in_app"')
        )
        return float(line.rsplit(" ", 1)[1])

    before = waiting((await broken.call("GET", "/metrics")).body)
    (delivery_id,), _ = await fail(broken)
    assert waiting((await broken.call("GET", "/metrics")).body) == before + 1
    await broken.call("POST", f"{LETTERS}/{delivery_id}/discard")
    assert waiting((await broken.call("GET", "/metrics")).body) == before
