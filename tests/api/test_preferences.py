"""Preferences, categories, quiet hours, windows and caps: what is kept, and what becomes of notifications."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code

pytestmark = pytest.mark.anyio

BOTH = {"email": {"subject": "s", "text": "t"}, "in_app": {"title": "t", "body": "b"}}
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


async def put(system: System, path: str, **body: Any) -> Any:
    answer = await system.call("PUT", path, body)
    assert answer.status == 200, answer.body
    return answer.body


async def patch(system: System, user: str, **body: Any) -> Any:
    answer = await system.call("PATCH", f"/users/{user}/preferences", body)
    assert answer.status == 200, answer.body
    return answer.body


async def found(system: System, recipient: dict[str, Any], **more: Any) -> dict[str, Any]:
    """(status, reason) by channel."""
    status = await system.status(await system.send(recipient, **more))
    return {one["channel"]: (one["status"], one["reason"]) for one in status["deliveries"]}


def around_now(before: float, after: float) -> dict[str, str]:
    """Hours of the day in UTC, from so many hours before now up to so many after it."""
    now = datetime.now(UTC)
    return {
        "from": f"{now - timedelta(hours=before):%H:%M}",
        "to": f"{now + timedelta(hours=after):%H:%M}",
    }


async def test_a_patch_changes_what_it_names(quiet: System) -> None:
    await put(
        quiet,
        "/users/patched/preferences",
        channels={"sms": False},
        categories={"news": {"email": False, "push": True}, "ads": {"sms": False}},
        quiet_hours={"from": "22:00", "to": "07:00"},
    )
    after = await patch(
        quiet,
        "patched",
        channels={"chat": False, "sms": None},
        categories={"news": {"push": None, "sms": True}, "ads": None},
        templates={"note": {"email": True}},
        digests={"news": "weekly"},
        digest_time={"at": "18:30", "weekday": "friday"},
    )
    assert after == {
        "channels": {"chat": False},
        "categories": {"news": {"email": False, "sms": True}},
        "templates": {"note": {"email": True}},
        "quiet_hours": {"from": "22:00", "to": "07:00", "days": DAYS},
        "digests": {"news": "weekly"},
        "digest_time": {"at": "18:30", "weekday": "friday"},
    }
    assert (await quiet.call("GET", "/users/patched/preferences")).body == after
    assert await patch(quiet, "patched", quiet_hours=None, digests=None, digest_time=None) == {
        "channels": {"chat": False},
        "categories": {"news": {"email": False, "sms": True}},
        "templates": {"note": {"email": True}},
    }


async def test_the_history_tells_who_changed_what(quiet: System) -> None:
    await put(quiet, "/users/told/preferences", channels={"sms": False})
    await put(quiet, "/users/told/preferences", channels={"sms": False})  # changes nothing
    await patch(quiet, "told", channels={"sms": True}, categories={"news": {"email": False}})
    page = (await quiet.call("GET", "/users/told/preferences/history?limit=1")).body
    (latest,) = page["changes"]
    assert latest["source"] == "api"
    assert latest["changes"] == [
        {"path": "categories.news.email", "before": None, "after": False},
        {"path": "channels.sms", "before": False, "after": True},
    ]
    rest = (
        await quiet.call(
            "GET", f"/users/told/preferences/history?cursor={page['next_cursor']}&limit=5"
        )
    ).body
    assert [one["changes"] for one in rest["changes"]] == [
        [{"path": "channels.sms", "before": None, "after": False}]
    ]
    keys = await asyncpg.connect(quiet.dsn)
    try:
        name = await keys.fetchval(
            "SELECT name FROM api_keys WHERE id = $1::uuid", latest["api_key_id"]
        )
    finally:
        await keys.close()
    assert name == "test admin"
    assert datetime.fromisoformat(latest["at"]) > datetime.now(UTC) - timedelta(minutes=5)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"quiet_hours": {"from": "22:00", "to": "22:00"}}, "quiet_hours.to"),
        ({"quiet_hours": {"from": "24:00", "to": "07:00"}}, "quiet_hours.from"),
        ({"quiet_hours": {"from": "22:00", "to": "07:00", "days": []}}, "quiet_hours.days"),
        ({"digests": {"news": "yearly"}}, "digests.news"),
        ({"channels": {"sms": 1}}, "channels.sms"),
        ({"templates": {"a b": {"sms": True}}}, None),
    ],
)
async def test_what_is_no_preference_is_refused(
    quiet: System, body: dict[str, Any], path: str | None
) -> None:
    for method in ("PUT", "PATCH"):
        answer = await quiet.call(method, "/users/wrong/preferences", body)
        assert_problem(answer, Code.INVALID_REQUEST)
        if path is not None:
            assert answer.body["errors"][0]["path"] == path
    assert (await quiet.call("GET", "/users/wrong/preferences")).body == {
        "channels": {},
        "categories": {},
    }


async def test_categories_are_declared_and_taken_back(quiet: System) -> None:
    declared = {
        "id": "promotions",
        "name": "Promotions",
        "channels": {"sms": False},
        "mandatory": False,
        "cap": {"rate": "3/d", "over": "wait"},
        "window": {"from": "09:00", "to": "18:00", "days": DAYS[:5]},
        "quiet_hours": True,
        "digest": "weekly",
    }
    body = {name: value for name, value in declared.items() if name != "id"}
    assert await put(quiet, "/categories/promotions", **body) == declared
    assert (await quiet.call("GET", "/categories/promotions")).body == declared
    await put(quiet, "/categories/quoted")
    page = (await quiet.call("GET", "/categories?limit=1")).body
    following = (await quiet.call("GET", f"/categories?cursor={page['next_cursor']}")).body
    ids = [one["id"] for one in [*page["categories"], *following["categories"]]]
    assert ids == sorted(ids)
    assert {"promotions", "quoted"} <= set(ids)
    assert (await quiet.call("DELETE", "/categories/promotions")).status == 204
    assert_problem(await quiet.call("GET", "/categories/promotions"), Code.NOT_FOUND)
    assert_problem(await quiet.call("DELETE", "/categories/promotions"), Code.NOT_FOUND)


@pytest.mark.parametrize(
    "body",
    [
        {"mandatory": True, "cap": {"rate": "1/d"}},
        {"mandatory": True, "channels": {"sms": False}},
        {"cap": {"rate": "1/s"}},
        {"cap": {"rate": "often"}},
        {"window": {"from": "9", "to": "18:00"}},
    ],
)
async def test_what_is_no_category_is_refused(quiet: System, body: dict[str, Any]) -> None:
    assert_problem(await quiet.call("PUT", "/categories/wrong", body), Code.INVALID_REQUEST)


async def test_a_default_holds_for_those_who_did_not_choose(quiet: System) -> None:
    await put(quiet, "/categories/optional", channels={"email": False})
    await quiet.template(BOTH, "optional", category="optional")
    await patch(quiet, "opted-in", categories={"optional": {"email": True}})
    await patch(quiet, "template", templates={"optional": {"email": True, "in_app": False}})

    async def of(user: str) -> Any:
        recipient = {"user_id": user, "email": "a@example.com"}
        return await found(quiet, recipient, template_id="optional")

    assert await of("nobody") == {"email": ("skipped", "not_chosen"), "in_app": ("pending", None)}
    assert await of("opted-in") == {"email": ("pending", None), "in_app": ("pending", None)}
    assert await of("template") == {
        "email": ("pending", None),
        "in_app": ("skipped", "preference_off"),
    }


async def test_what_is_mandatory_cannot_be_turned_off(quiet: System) -> None:
    await patch(quiet, "bound", categories={"legal": {"email": False}}, channels={"in_app": False})
    await put(quiet, "/categories/legal", mandatory=True)
    await quiet.template(BOTH, "terms", category="legal")
    recipient = {"user_id": "bound", "email": "a@example.com"}
    assert await found(quiet, recipient, template_id="terms") == {
        "email": ("pending", None),
        "in_app": ("pending", None),
    }
    for method in ("PUT", "PATCH"):
        body = {"categories": {"legal": {"email": False, "sms": True}}}
        answer = await quiet.call(method, "/users/bound/preferences", body)
        assert_problem(answer, Code.INVALID_REQUEST)
        assert answer.body["errors"][0]["path"] == "categories.legal"


async def test_quiet_hours_defer_what_disturbs(quiet: System) -> None:
    await quiet.template(BOTH, "rest")
    await patch(quiet, "asleep", quiet_hours=around_now(2, 2))
    recipient = {"user_id": "asleep", "email": "a@example.com", "timezone": "UTC"}
    notification_id = await quiet.send(recipient, template_id="rest")
    email, in_app = (await quiet.status(notification_id))["deliveries"]
    assert (email["status"], email["reason"]) == ("pending", "quiet_hours")
    until = datetime.fromisoformat(email["next_attempt_at"])
    assert timedelta(minutes=110) < until - datetime.now(UTC) < timedelta(minutes=125)
    assert (in_app["status"], in_app["reason"]) == ("pending", None)
    # Where it is another time of the day, and for what is critical, it goes at once.
    elsewhere = {**recipient, "timezone": "Etc/GMT-12"}
    assert (await found(quiet, elsewhere, template_id="rest"))["email"] == ("pending", None)
    urgent = await found(quiet, recipient, template_id="rest", priority="critical")
    assert urgent["email"] == ("pending", None)
    await put(quiet, "/categories/loud", quiet_hours=False)
    await quiet.template(BOTH, "loud", category="loud")
    assert (await found(quiet, recipient, template_id="loud"))["email"] == ("pending", None)


async def test_a_send_window_defers_and_may_leave_no_time(quiet: System) -> None:
    await put(quiet, "/categories/office", window=around_now(3, -1))
    await quiet.template(BOTH, "office", category="office")
    recipient = {"user_id": "late", "email": "a@example.com", "timezone": "UTC"}
    assert await found(quiet, recipient, template_id="office") == {
        "email": ("pending", "send_window"),
        "in_app": ("pending", None),
    }
    await patch(quiet, "late", quiet_hours=around_now(4, 0.5))
    assert await found(quiet, recipient, template_id="office") == {
        "email": ("skipped", "no_send_time"),
        "in_app": ("pending", None),
    }


async def test_send_at_local_is_the_time_where_they_are(quiet: System) -> None:
    async def due(recipient: dict[str, Any], wall: str) -> datetime:
        notification_id = await quiet.send(
            {"email": "a@example.com", **recipient}, {"name": "n"}, send_at_local=wall
        )
        return datetime.fromisoformat((await quiet.status(notification_id))["send_at"])

    def utc(*parts: int) -> datetime:
        return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]  # no time zone among the parts

    tokyo, berlin = {"timezone": "Asia/Tokyo"}, {"timezone": "Europe/Berlin"}
    assert await due(tokyo, "2030-06-01T09:00") == utc(2030, 6, 1, 0, 0)
    assert await due(berlin, "2030-06-01T09:00:30") == utc(2030, 6, 1, 7, 0, 30)
    # Skipped by the clocks: at the change. Shown twice: the first time.
    assert await due(berlin, "2030-03-31T02:30") == utc(2030, 3, 31, 1, 0)
    assert await due(berlin, "2030-10-27T02:30") == utc(2030, 10, 27, 0, 30)
    assert await due({}, "2030-06-01T09:00") == utc(2030, 6, 1, 9, 0)


@pytest.mark.parametrize(
    "more",
    [
        {"send_at_local": "2030-06-01T09:00Z"},
        {"send_at_local": "2030-06-01"},
        {"send_at_local": 1},
        {"send_at_local": "1999-06-01T09:00"},
        {"send_at_local": "2030-06-01T09:00", "send_at": "2030-06-01T09:00:00Z"},
        {
            "send_at_local": "2030-06-01T09:00",
            "recipient": {"email": "a@example.com", "timezone": "Mars/Base"},
        },
    ],
)
async def test_what_is_no_local_time_is_refused(quiet: System, more: dict[str, Any]) -> None:
    body = {"template_id": "note", "recipient": {"email": "a@example.com"}, **more}
    assert_problem(await quiet.call("POST", "/notifications/send", body), Code.INVALID_REQUEST)


async def test_a_choice_made_meanwhile_counts(busy: System) -> None:
    await busy.template(BOTH, "meanwhile")
    recipient = {"user_id": "changer", "email": "c@example.com", "timezone": "UTC"}
    at = busy.from_now(1.5)
    off = await busy.send(recipient, template_id="meanwhile", send_at=at)
    await patch(busy, "changer", channels={"in_app": False}, quiet_hours=around_now(2, 2))
    email, in_app = (
        await busy.until(off, lambda one: one["status"] == "skipped" or one["reason"])
    )["deliveries"]
    assert (in_app["status"], in_app["reason"]) == ("skipped", "preference_off")
    assert (email["status"], email["reason"], email["attempts"]) == ("pending", "quiet_hours", 0)
    assert datetime.fromisoformat(email["next_attempt_at"]) > datetime.now(UTC) + timedelta(hours=1)


async def test_a_cap_holds_exactly_for_many_at_once(busy: System) -> None:
    await put(busy, "/categories/rare", cap={"rate": "2/d"})
    await busy.template({"email": BOTH["email"]}, "rare", category="rare")
    sends = [
        {"template_id": "rare", "recipient": {"email": f"{name}@example.com"}}
        for name in ("ann", "bob")
        for _ in range(20)
    ]
    answer = await busy.call("POST", "/notifications/bulk", {"notifications": sends})
    ids = [one["notification_id"] for one in answer.body["results"]]
    outcomes: Counter[tuple[str, str, str]] = Counter()
    for send, notification_id in zip(sends, ids, strict=True):
        (one,) = (await busy.settled(notification_id))["deliveries"]
        outcomes[send["recipient"]["email"][:3], one["status"], one["reason"]] += 1  # type: ignore[index]
    assert outcomes == {
        ("ann", "delivered", "stored"): 2,
        ("ann", "skipped", "frequency_capped"): 18,
        ("bob", "delivered", "stored"): 2,
        ("bob", "skipped", "frequency_capped"): 18,
    }
    urgent = await busy.send({"email": "ann@example.com"}, template_id="rare", priority="critical")
    assert (await busy.settled(urgent))["status"] == "delivered"


async def test_beyond_a_cap_that_waits_it_is_deferred(busy: System) -> None:
    await put(busy, "/categories/gentle", cap={"rate": "1/d", "over": "wait"})
    await busy.template({"email": BOTH["email"]}, "gentle", category="gentle")
    recipient = {"email": "eve@example.com"}
    first = await busy.send(recipient, template_id="gentle")
    await busy.settled(first)
    second = await busy.send(recipient, template_id="gentle")
    (one,) = (await busy.until(second, lambda one: one["reason"]))["deliveries"]
    assert (one["status"], one["reason"], one["attempts"]) == ("pending", "frequency_capped", 0)
    # A day is all the time that trying may take, and it begins when the cap lets it pass.
    assert datetime.fromisoformat(one["next_attempt_at"]) > datetime.now(UTC) + timedelta(hours=23)
