"""The suppression list: read and edited, and checked when a notification is accepted and again before it is sent."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code

pytestmark = pytest.mark.anyio


def soon() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


async def suppress(system: System, address: str, **more: Any) -> Any:
    body = {"channel": "email", "address": address, **more}
    answer = await system.call("POST", "/suppressions", body)
    assert answer.status == 201, answer.body
    return answer.body


async def found(system: System, address: str, query: str = "") -> list[dict[str, Any]]:
    answer = await system.call("GET", f"/suppressions?address={quote(address)}{query}")
    assert answer.status == 200, answer.body
    entries: list[dict[str, Any]] = answer.body["suppressions"]
    return entries


async def test_added_looked_up_and_taken_off(quiet: System) -> None:
    assert await suppress(quiet, "gone@example.com", note="by phone") == {"added": 1, "changed": 0}
    (entry,) = await found(quiet, "GONE@example.com")
    assert (entry["channel"], entry["address"]) == ("email", "gone@example.com")
    assert (entry["reason"], entry["note"], entry["active"]) == ("manual", "by phone", True)
    again = await suppress(quiet, "Gone@example.com", reason="complained")
    assert again == {"added": 0, "changed": 1}
    (entry,) = await found(quiet, "gone@example.com")
    assert (entry["reason"], entry["note"]) == ("complained", None)
    one = f"/suppressions/{entry['suppression_id']}"
    assert (await quiet.call("GET", one)).body == entry
    assert (await quiet.call("DELETE", one)).status == 204
    assert await found(quiet, "gone@example.com") == []
    assert_problem(await quiet.call("DELETE", one), Code.NOT_FOUND)
    assert_problem(await quiet.call("GET", one), Code.NOT_FOUND)


async def test_pages_the_newest_first(system: System) -> None:
    many = [{"channel": "email", "address": f"n{number}@example.com"} for number in range(7)]
    added = await system.call("POST", "/suppressions/bulk", {"suppressions": many})
    assert added.body == {"added": 7, "changed": 0}
    await suppress(system, "last@example.com", reason="unsubscribed")
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await system.call("GET", f"/suppressions?limit=3{cursor}")).body
        seen += [one["address"] for one in page["suppressions"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen[0] == "last@example.com"
    assert sorted(seen[1:]) == [f"n{number}@example.com" for number in range(7)]
    by_reason = (await system.call("GET", "/suppressions?reason=unsubscribed")).body
    assert [one["address"] for one in by_reason["suppressions"]] == ["last@example.com"]


async def test_ten_thousand_at_once(quiet: System) -> None:
    many = [
        {"channel": "email", "address": f"many{number}@example.com"} for number in range(10_000)
    ]
    added = await quiet.call("POST", "/suppressions/bulk", {"suppressions": many})
    assert (added.status, added.body) == (201, {"added": 10_000, "changed": 0})


@pytest.mark.parametrize(
    "body",
    [
        {"channel": "email", "address": "nope"},
        {"channel": "sms", "address": "12"},
        {"channel": "pigeon", "address": "a@example.com"},
        {"channel": "email", "address": "a@example.com", "reason": "whim"},
        {"channel": "email", "address": "a@example.com", "category": "a b"},
        {"channel": "email", "address": "a@example.com", "expires_at": "2001-01-01T00:00:00Z"},
    ],
)
async def test_what_is_wrong_is_refused_and_nothing_stored(
    quiet: System, body: dict[str, Any]
) -> None:
    good = {"channel": "email", "address": "good@example.com"}
    assert_problem(await quiet.call("POST", "/suppressions", body), Code.INVALID_REQUEST)
    many = await quiet.call("POST", "/suppressions/bulk", {"suppressions": [good, body]})
    assert_problem(many, Code.INVALID_REQUEST)
    assert many.body["errors"][0]["path"].startswith("suppressions.1")
    assert await found(quiet, "good@example.com") == []


async def reasons(system: System, recipient: dict[str, Any], **more: Any) -> dict[str, Any]:
    """By channel, the status of a notification's delivery."""
    status = await system.settled(await system.send(recipient, {"name": "n"}, **more))
    return {one["channel"]: (one["status"], one["reason"]) for one in status["deliveries"]}


SUPPRESSED = ("suppressed", "address_suppressed")


async def test_checked_when_it_is_accepted(busy: System) -> None:
    await suppress(busy, "Quiet@example.com")
    to = {"email": "quiet@EXAMPLE.com", "phone": "+15551112222"}
    assert await reasons(busy, to) == {"email": SUPPRESSED, "sms": ("delivered", "stored")}


async def test_of_one_category_only_that_is_kept_away(busy: System) -> None:
    await suppress(busy, "choosy@example.com", category="transactional")
    await suppress(busy, "other@example.com", category="news")
    assert await reasons(busy, {"email": "choosy@example.com"}) == {"email": SUPPRESSED}
    assert (await reasons(busy, {"email": "other@example.com"}))["email"][0] == "delivered"


async def test_what_has_expired_does_not_count(
    busy: System,
) -> None:
    await suppress(busy, "back@example.com", expires_at=soon())
    assert await reasons(busy, {"email": "back@example.com"}) == {"email": SUPPRESSED}
    connection = await asyncpg.connect(busy.dsn)
    try:
        await connection.execute(
            "UPDATE suppressions SET expires_at = now() WHERE expires_at IS NOT NULL"
        )
    finally:
        await connection.close()
    assert (await reasons(busy, {"email": "back@example.com"}))["email"][0] == "delivered"
    (entry,) = await found(busy, "back@example.com")
    assert not entry["active"]


async def test_checked_again_just_before_it_is_sent(busy: System) -> None:
    scheduled = await busy.send(
        {"email": "late@example.com"}, {"name": "n"}, send_at=busy.from_now(1.5)
    )
    await suppress(busy, "late@example.com")
    (delivery,) = (await busy.settled(scheduled))["deliveries"]
    assert (delivery["status"], delivery["reason"]) == SUPPRESSED
    assert delivery["attempts"] == 0


async def test_a_fallback_goes_on_behind_what_was_suppressed_meanwhile(busy: System) -> None:
    scheduled = await busy.send(
        {"email": "fall@example.com", "phone": "+15551113333"},
        {"name": "n"},
        channel_preferences=["email", "sms"],
        routing="fallback",
        send_at=busy.from_now(1.5),
    )
    await suppress(busy, "fall@example.com")
    ended = (await busy.settled(scheduled))["deliveries"]
    assert [(one["channel"], one["status"]) for one in ended] == [
        ("email", "suppressed"),
        ("sms", "delivered"),
    ]
