"""The in-app feed; preferences and suppressions, and what they do to a notification."""

from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code
from tidings.bootstrap.foundation import open_keyring
from tidings.domain.channels import Channel
from tidings.store import suppressions

pytestmark = pytest.mark.anyio

ANN = {"user_id": "ann", "email": "ann@example.com", "phone": "+15551234567"}


async def feed(system: System, user: str, query: str = "") -> Any:
    answer = await system.call("GET", f"/users/{quote(user)}/inbox{query}")
    assert answer.status == 200, answer.body
    return answer.body


async def fill(system: System, user: str, count: int) -> list[str]:
    """Entry ids, oldest first."""
    for number in range(count):
        await system.settled(await system.send({"user_id": user}, {"name": f"n{number}"}))
    return [entry["id"] for entry in (await feed(system, user))["entries"]][::-1]


async def test_feed_newest_first(busy: System) -> None:
    ids = await fill(busy, "reader", 5)
    page = await feed(busy, "reader")
    assert [entry["body"] for entry in page["entries"]] == ["n4", "n3", "n2", "n1", "n0"]
    assert (page["unread"], page["next_cursor"]) == (5, None)
    entry = page["entries"][0]
    assert (entry["title"], entry["category"], entry["read_at"]) == ("Hi", "transactional", None)
    first = await feed(busy, "reader", "?limit=2")
    second = await feed(busy, "reader", f"?limit=2&cursor={first['next_cursor']}")
    third = await feed(busy, "reader", f"?limit=2&cursor={second['next_cursor']}")
    walked = [entry["id"] for page in (first, second, third) for entry in page["entries"]]
    assert walked == ids[::-1]


async def test_mark_read(busy: System) -> None:
    first, second, third = await fill(busy, "marker", 3)
    count = "/users/marker/inbox/unread_count"
    before = (await busy.call("GET", count)).body
    assert before == {"unread": 3, "unseen": 3, "total": 3, "number": before["number"]}
    answer = await busy.call("POST", f"/users/marker/inbox/{second}/read")
    after = {"unread": 2, "unseen": 2, "total": 3, "number": before["number"] + 1}
    assert answer.body == {"marked": 1, **after}
    unread = await feed(busy, "marker", "?unread=true")
    assert [entry["id"] for entry in unread["entries"]] == [third, first]
    read_at = [e["read_at"] for e in (await feed(busy, "marker"))["entries"] if e["id"] == second]
    again = await busy.call("POST", f"/users/marker/inbox/{second}/read")
    assert again.body == {"marked": 0, **after}
    assert [
        e["read_at"] for e in (await feed(busy, "marker"))["entries"] if e["id"] == second
    ] == read_at
    everything = await busy.call("POST", "/users/marker/inbox/read")
    read = {"unread": 0, "unseen": 0, "total": 3, "number": before["number"] + 2}
    assert everything.body == {"marked": 2, **read}
    assert (await feed(busy, "marker", "?unread=true"))["entries"] == []
    assert (await busy.call("GET", count)).body == read


async def test_a_feed_belongs_to_its_user(busy: System) -> None:
    (entry,) = await fill(busy, "owner", 1)
    assert (await feed(busy, "stranger"))["entries"] == []
    answer = await busy.call("POST", f"/users/stranger/inbox/{entry}/read")
    assert_problem(answer, Code.NOT_FOUND)
    assert (await busy.call("POST", "/users/stranger/inbox/read")).body["marked"] == 0
    assert (await feed(busy, "owner"))["unread"] == 1


@pytest.mark.parametrize(
    "user", ["Ünïcødé", "a b", "名前", "a%2Fb"[:1] + "?x=y", "#", "👩‍👩‍👧", "'; --"]
)
async def test_users_of_all_kinds(busy: System, user: str) -> None:
    await busy.settled(await busy.send({"user_id": user}, {"name": "hello"}))
    answer = await busy.call("GET", f"/users/{quote(user, safe='')}/inbox")
    assert [entry["body"] for entry in answer.body["entries"]] == ["hello"]


async def preferences(system: System, user: str, **choices: Any) -> None:
    answer = await system.call("PUT", f"/users/{user}/preferences", choices)
    assert answer.status == 200, answer.body


async def test_preferences_are_kept_whole(quiet: System) -> None:
    path = "/users/chooser/preferences"
    assert (await quiet.call("GET", path)).body == {"channels": {}, "categories": {}}
    choices = {"channels": {"sms": False}, "categories": {"news": {"email": False, "push": True}}}
    answer = await quiet.call("PUT", path, choices)
    assert (answer.status, answer.body) == (200, choices)
    assert (await quiet.call("GET", path)).body == choices
    await preferences(quiet, "chooser", categories={"social": {"chat": False}})
    assert (await quiet.call("GET", path)).body == {
        "channels": {},
        "categories": {"social": {"chat": False}},
    }


async def test_preferences_decide_what_is_sent(quiet: System) -> None:
    await quiet.template(
        {"email": {"subject": "s", "text": "t"}, "sms": {"body": "b"}}, "news", category="news"
    )
    await preferences(
        quiet, "picky", channels={"in_app": False}, categories={"news": {"email": False}}
    )
    recipient = {**ANN, "user_id": "picky"}

    async def found(template_id: str) -> list[tuple[str, str, str | None]]:
        notification_id = await quiet.send(recipient, template_id=template_id)
        deliveries = (await quiet.status(notification_id))["deliveries"]
        return [(one["channel"], one["status"], one["reason"]) for one in deliveries]

    assert await found("news") == [
        ("email", "skipped", "preference_off"),
        ("sms", "pending", None),
    ]
    assert await found("note") == [
        ("email", "pending", None),
        ("sms", "pending", None),
        ("in_app", "skipped", "preference_off"),
    ]


async def test_what_nobody_wants_is_accepted_and_skipped(quiet: System) -> None:
    await preferences(quiet, "silent", channels=dict.fromkeys(Channel, False))
    notification_id = await quiet.send({**ANN, "user_id": "silent"})
    status = await quiet.status(notification_id)
    assert status["status"] == "skipped"
    assert {one["reason"] for one in status["deliveries"]} == {"preference_off"}


async def test_a_fallback_passes_over_what_is_not_wanted(quiet: System) -> None:
    await preferences(quiet, "nomail", channels={"email": False})
    notification_id = await quiet.send(
        {**ANN, "user_id": "nomail"}, routing="fallback", channel_preferences=["email", "sms"]
    )
    status = await quiet.status(notification_id)
    assert [(one["channel"], one["status"]) for one in status["deliveries"]] == [
        ("email", "skipped"),
        ("sms", "pending"),
    ]
    assert status["deliveries"][1]["next_attempt_at"]


async def suppress(system: System, *addresses: tuple[Channel, str]) -> None:
    connection = await asyncpg.connect(system.dsn)
    keyring = open_keyring(system.settings)
    await suppressions.suppress(
        connection,
        [(channel, address, "mailbox_not_found") for channel, address in addresses],
        keyring,
    )
    await connection.close()


async def test_suppressed_addresses_are_not_sent_to(quiet: System) -> None:
    await suppress(quiet, (Channel.EMAIL, "Dead@Example.com"), (Channel.PUSH, "dead-token"))
    recipient = {"email": "dead@example.com", "push_tokens": ["dead-token", "live-token"]}
    status = await quiet.status(await quiet.send(recipient))
    found = [(one["channel"], one["status"], one["reason"]) for one in status["deliveries"]]
    assert found == [
        ("email", "suppressed", "address_suppressed"),
        ("push", "suppressed", "address_suppressed"),
        ("push", "pending", None),
    ]
    # The same text on another channel is another address.
    status = await quiet.status(await quiet.send({"user_id": "dead-token"}))
    assert status["status"] == "pending"


async def test_every_spelling_of_a_suppressed_address_in_one_batch(quiet: System) -> None:
    await suppress(quiet, (Channel.EMAIL, "once@example.com"))
    spellings = ["once@example.com", "Once@example.com", "ONCE@example.com", "oncE@example.com"]
    answer = await quiet.call(
        "POST",
        "/notifications/bulk",
        {
            "notifications": [
                {"template_id": "note", "recipient": {"email": spelling}} for spelling in spellings
            ]
        },
    )
    for result in answer.body["results"]:
        status = await quiet.status(result["notification_id"])
        assert status["status"] == "suppressed"


async def test_a_suppression_that_has_ended(quiet: System) -> None:
    await suppress(quiet, (Channel.SMS, "+15550000001"))
    connection = await asyncpg.connect(quiet.dsn)
    await connection.execute("UPDATE suppressions SET expires_at = now() WHERE channel = 'sms'")
    await connection.close()
    status = await quiet.status(await quiet.send({"phone": "+15550000001"}))
    assert status["status"] == "pending"
