"""Feeds that move while someone watches: over Server-Sent Events and WebSockets, with the same events."""

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from tests.inbox.conftest import notify
from tests.inbox.watchers import event_source, socket, token_for
from tests.support.system import System

pytestmark = pytest.mark.anyio

Watch = Callable[..., Any]
BOTH = pytest.mark.parametrize("watch", [event_source, socket], ids=["sse", "websocket"])


def after(watch: Watch, number: int) -> str:
    return f"{'?' if watch is socket else '&'}after={number}"


@BOTH
async def test_what_happens_to_a_feed(live: System, watch: Watch) -> None:
    user = f"happens-{watch.__name__}"
    async with watch(live, user, await token_for(live, user)) as watcher:
        ready = await watcher.next()
        nothing = {"unread": 0, "unseen": 0, "total": 0}
        assert ready == {"event": "ready", "number": 0, "counters": nothing}
        await notify(live, user, "first")
        added = await watcher.next()
        (entry,) = added["entries"]
        number = added["number"]
        assert (entry["title"], entry["body"], entry["url"]) == ("Hi", "first", None)
        assert entry["created_at"].endswith("Z")
        assert (added["event"], added["counters"]) == (
            "added",
            {"unread": 1, "unseen": 1, "total": 1},
        )
        await notify(live, user, "second")
        added = await watcher.next()
        assert added["number"] == number + 1
        assert added["counters"] == {"unread": 2, "unseen": 2, "total": 2}
        path = f"/users/{user}/inbox"
        seen: list[Any] = []
        for what in (
            "/seen",
            f"/{entry['id']}/read",
            f"/{entry['id']}/unread",
            f"/{entry['id']}/archive",
            f"/{entry['id']}/unarchive",
            "/read",
            "/archive",
        ):
            answer = await live.call("POST", path + what)
            event = await watcher.next()
            assert answer.body["number"] == event["number"] == number + 2 + len(seen)
            assert event["counters"].items() <= answer.body.items()
            which = "all" if event.get("all") else len(event["entry_ids"])
            seen.append((event["event"], which, *event["counters"].values()))
        assert seen == [
            ("seen", "all", 2, 0, 2),
            ("read", 1, 1, 0, 2),
            ("unread", 1, 2, 0, 2),
            ("archived", 1, 1, 0, 1),
            ("unarchived", 1, 2, 0, 2),
            ("read", "all", 0, 0, 2),
            ("archived", "all", 0, 0, 0),
        ]


@BOTH
async def test_what_was_missed_is_replayed(live: System, watch: Watch) -> None:
    user = f"missed-{watch.__name__}"
    token = await token_for(live, user)
    async with watch(live, user, token) as watcher:
        await watcher.next()
        await notify(live, user, "1")
        number = (await watcher.next())["number"]
    for text in ("2", "3"):
        await live.settled(
            await live.send({"user_id": user}, {"name": text}, channel_preferences=["in_app"])
        )
    await live.call("POST", f"/users/{user}/inbox/read")
    async with watch(live, user, token, after(watch, number)) as watcher:
        ready = await watcher.next()
        assert (ready["event"], ready["number"]) == ("ready", number)
        missed = [await watcher.next() for _ in range(3)]
        assert [one["number"] for one in missed] == [number + 1, number + 2, number + 3]
        assert [one["event"] for one in missed] == ["added", "added", "read"]
        assert [one["entries"][0]["body"] for one in missed[:2]] == ["2", "3"]
    # From the beginning.
    async with watch(live, user, token, after(watch, 0)) as watcher:
        assert (await watcher.next())["number"] == number - 1
        assert [(await watcher.next())["number"] for _ in range(4)] == [
            number + n for n in range(4)
        ]


@BOTH
async def test_what_is_not_kept_any_more_is_loaded_anew(live: System, watch: Watch) -> None:
    user = f"trimmed-{watch.__name__}"
    token = await token_for(live, user)
    for text in "abc":
        await live.settled(
            await live.send({"user_id": user}, {"name": text}, channel_preferences=["in_app"])
        )
    last = (await live.call("GET", f"/users/{user}/inbox")).body["number"]
    connection = await asyncpg.connect(live.dsn)
    try:
        await connection.execute(
            "DELETE FROM feed_changes WHERE user_id = $1 AND number < $2", user, last
        )
    finally:
        await connection.close()
    for number in (0, 7, last - 3, last - 2, last + 1, 2**53):
        async with watch(live, user, token, after(watch, number)) as watcher:
            assert await watcher.next() == {
                "event": "reset",
                "number": last,
                "counters": {"unread": 3, "unseen": 3, "total": 3},
            }, number
            page = (await live.call("GET", f"/users/{user}/inbox/events?after={number}")).body
            assert [one["event"] for one in page["events"]] == ["reset"]
    async with watch(live, user, token, after(watch, last - 1)) as watcher:
        assert [(await watcher.next())["event"] for _ in range(2)] == ["ready", "added"]


async def test_a_browser_comes_back_with_its_last_event_id(live: System) -> None:
    """Of an address that says something older."""
    user = "comes-back"
    token = await token_for(live, user)
    async with event_source(live, user, token, "&after=0") as watcher:
        await watcher.next()
        await notify(live, user, "1")
        await watcher.next()
        last = watcher.last_event_id
    await live.settled(
        await live.send({"user_id": user}, {"name": "2"}, channel_preferences=["in_app"])
    )
    headers = {"Last-Event-ID": str(last)}
    async with event_source(live, user, token, "&after=0", headers) as watcher:
        assert (await watcher.next())["number"] == last
        assert (await watcher.next())["entries"][0]["body"] == "2"


async def test_those_who_poll_get_the_same(live: System) -> None:
    user = "polling"
    token = await token_for(live, user)
    path = f"/users/{user}/inbox/events"
    own = {"Authorization": f"Bearer {token}"}
    first = (await live.call("GET", path, role=None, headers=own)).body
    assert [one["event"] for one in first["events"]] == ["ready"]
    async with event_source(live, user, token) as watcher:
        await watcher.next()
        await notify(live, user, "1")
        await watcher.next()
        await live.call("POST", f"/users/{user}/inbox/seen")
        await watcher.next()
    after_first = f"{path}?after={first['events'][0]['number']}"
    events = (await live.call("GET", after_first, role=None, headers=own)).body["events"]
    assert [one["event"] for one in events] == ["ready", "added", "seen"]
    rest = (await live.call("GET", f"{path}?after={events[-1]['number']}")).body["events"]
    assert [one["event"] for one in rest] == ["ready"]


async def test_a_second_watcher_sees_the_same(live: System) -> None:
    user = "two-tabs"
    token = await token_for(live, user)
    async with event_source(live, user, token) as one, socket(live, user, token) as other:
        await one.next()
        await other.next()
        await notify(live, user)
        added = await other.next()
        assert await one.next() == added
        await other.ask(id=1, do="read", entry_ids=[added["entries"][0]["id"]])
        done = await other.answer()
        assert (done["event"], done["id"], done["marked"]) == ("done", 1, 1)
        assert (await one.next())["event"] == "read"


async def test_commands_over_a_websocket(live: System) -> None:
    user = "commander"
    async with socket(live, user, await token_for(live, user)) as watcher:
        await watcher.next()
        await notify(live, user)
        entry = (await watcher.next())["entries"][0]["id"]
        for do, counters in (
            ("seen", (1, 0, 1)),
            ("read", (0, 0, 1)),
            ("unread", (1, 0, 1)),
            ("archive", (0, 0, 0)),
            ("unarchive", (1, 0, 1)),
        ):
            for marked in (1, 0):
                await watcher.ask(id=do, do=do, entry_ids=[entry])
                answer = await watcher.answer()
                assert (answer["id"], answer["marked"]) == (do, marked)
            feed = (await live.call("GET", f"/users/{user}/inbox/unread_count")).body
            assert (feed["unread"], feed["unseen"], feed["total"]) == counters
        await watcher.ask(do="read", all=True)
        assert (await watcher.answer())["marked"] == 1


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "malformed_json"),
        ("[]", "invalid_request"),
        ('{"do": "read"}', "invalid_request"),
        (
            '{"do": "read", "all": true, "entry_ids": ["01890000-0000-7000-8000-000000000000"]}',
            "invalid_request",
        ),
        ('{"do": "burn", "all": true}', "invalid_request"),
        ('{"do": "read", "all": false}', "invalid_request"),
        ('{"do": "read", "entry_ids": ["x"]}', "invalid_request"),
        ('{"do": "read", "all": true, "user_id": "ann"}', "invalid_request"),
        (b"\xff\x00", "malformed_json"),
    ],
)
async def test_bad_commands(live: System, message: str | bytes, code: str) -> None:
    async with socket(live, "bad", await token_for(live, "bad")) as watcher:
        await watcher.next()
        await watcher.connection.send(message)
        answer = await watcher.answer()
        assert (answer["event"], answer["problem"]["code"]) == ("refused", code)
        await watcher.ask(id=5, do="read", all=True)  # and it goes on
        assert (await watcher.answer())["id"] == 5


async def test_entries_of_others_are_left_alone(live: System) -> None:
    await live.settled(
        await live.send({"user_id": "rightful"}, {"name": "n"}, channel_preferences=["in_app"])
    )
    (entry,) = (await live.call("GET", "/users/rightful/inbox")).body["entries"]
    async with socket(live, "thief", await token_for(live, "thief")) as watcher:
        await watcher.next()
        for do in ("seen", "read", "archive"):
            await watcher.ask(do=do, entry_ids=[entry["id"]])
            assert (await watcher.answer())["marked"] == 0
    assert (await live.call("GET", "/users/rightful/inbox")).body["entries"] == [entry]


async def test_many_at_once_have_numbers_without_gaps(live: System) -> None:
    """Accepted together, delivered in whatever order, and changed meanwhile by the user."""
    user = "many"
    count = 60
    async with event_source(live, user, await token_for(live, user)) as watcher:
        await watcher.next()
        body = {
            "notifications": [
                {
                    "template_id": "note",
                    "recipient": {"user_id": user},
                    "data": {"name": str(n)},
                    "channel_preferences": ["in_app"],
                }
                for n in range(count)
            ]
        }
        assert (await live.call("POST", "/notifications/bulk", body)).status == 202
        bodies: list[str] = []
        numbers: list[int] = []
        unread = 0
        while len(bodies) < count or unread:
            event = await watcher.next()
            numbers.append(event["number"])
            bodies += [one["body"] for one in event.get("entries", ())]
            unread = event["counters"]["unread"]
            if event["event"] == "added":
                await live.call("POST", f"/users/{user}/inbox/read")
        assert sorted(bodies, key=int) == [str(n) for n in range(count)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
