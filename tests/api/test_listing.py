"""GET /notifications: its filters, and pages that show everything once."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from tests.api.conftest import CONTENT
from tests.support.system import System
from tidings.store import listing

pytestmark = pytest.mark.anyio


async def listed(system: System, **filters: Any) -> list[str]:
    """All ids, over all pages."""
    query = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in filters.items())
    found: list[str] = []
    cursor = ""
    while True:
        answer = await system.call("GET", f"/notifications?{query}{cursor}")
        assert answer.status == 200, answer.body
        found += [one["notification_id"] for one in answer.body["notifications"]]
        if answer.body["next_cursor"] is None:
            return found
        cursor = f"&cursor={answer.body['next_cursor']}"


async def test_newest_first_and_every_page_once(system: System) -> None:
    await system.template(CONTENT)
    items = [
        {"template_id": "note", "recipient": {"user_id": f"user-{n}"}, "data": {"name": "n"}}
        for n in range(57)
    ]
    answer = await system.call("POST", "/notifications/bulk", {"notifications": items})
    ids = [result["notification_id"] for result in answer.body["results"]]
    for limit in (7, 19, 57, 58):
        assert await listed(system, limit=limit) == ids[::-1]


async def test_pages_while_new_ones_arrive(quiet: System) -> None:
    correlation = "arriving"
    there = [await quiet.send({"user_id": "a"}, correlation_id=correlation) for _ in range(12)]
    seen: list[str] = []
    cursor = ""
    while True:
        path = f"/notifications?limit=3&correlation_id={correlation}{cursor}"
        page = (await quiet.call("GET", path)).body
        seen += [one["notification_id"] for one in page["notifications"]]
        await quiet.send({"user_id": "b"}, correlation_id=correlation)
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == there[::-1]


async def test_filter_by_what_was_asked_for(quiet: System) -> None:
    await quiet.template({"sms": {"body": "b"}}, "text")
    one = await quiet.send(
        {"user_id": "zoë", "email": "Zoe@Example.com"}, correlation_id="order/1 #ä"
    )
    two = await quiet.send(
        {"phone": "+15557654321", "push_tokens": ["t" * 4_000]}, correlation_id="order-2"
    )
    three = await quiet.send({"phone": "+15557654321"}, template_id="text")

    assert await listed(quiet, correlation_id="order/1 #ä") == [one]
    assert await listed(quiet, user_id="zoë") == [one]
    assert await listed(quiet, template_id="text") == [three]
    assert await listed(quiet, recipient="+15557654321") == [three, two]
    assert await listed(quiet, recipient="t" * 4_000) == [two]
    for spelling in ("Zoe@Example.com", "zoe@example.com", "ZOE@EXAMPLE.COM"):
        assert await listed(quiet, recipient=spelling) == [one]
    assert await listed(quiet, recipient="+15557654321", template_id="note") == [two]
    assert await listed(quiet, recipient="+15557654321", channel="push") == [two]
    assert await listed(quiet, channel="sms", template_id="text") == [three]
    assert await listed(quiet, user_id="zoë", channel="sms") == []
    for nothing in ("zoe@example.org", "zoe", "' OR ''='", "%"):
        assert await listed(quiet, recipient=nothing) == []


async def test_filter_by_address_in_another_spelling_of_its_domain(quiet: System) -> None:
    one = await quiet.send({"email": "ann@bücher.example"})
    for spelling in ("ann@bücher.example", "ann@BÜCHER.example", "ann@xn--bcher-kva.example"):
        assert await listed(quiet, recipient=spelling) == [one]


async def test_filter_by_status(busy: System) -> None:
    sent = await busy.send({"user_id": "s"}, {"name": "n"}, correlation_id="by-status")
    failed = await busy.send({"email": "f@example.com"}, {}, correlation_id="by-status")
    waiting = await busy.send(
        {"user_id": "w"}, {"name": "n"}, correlation_id="by-status", send_at="2100-01-01T00:00:00Z"
    )
    cancelled = await busy.send(
        {"user_id": "c"}, {"name": "n"}, correlation_id="by-status", send_at="2100-01-01T00:00:00Z"
    )
    assert (await busy.call("POST", f"/notifications/{cancelled}/cancel")).status == 200
    await busy.settled(sent)
    await busy.settled(failed)
    for status, expected in (
        ("delivered", [sent]),
        ("failed", [failed]),
        ("pending", [waiting]),
        ("cancelled", [cancelled]),
        ("bounced", []),
    ):
        assert await listed(busy, status=status, correlation_id="by-status") == expected
    assert len(await listed(busy, correlation_id="by-status")) == 4


async def test_the_status_filter_agrees_with_the_status_shown(busy: System) -> None:
    """Several deliveries in different states add up to one status, here and there."""
    mixed = await busy.send(
        {"user_id": "m", "email": "m@example.com"},
        {"name": "n"},
        correlation_id="mixed",
        channel_preferences=["sms", "email", "in_app"],
    )
    shown = await busy.settled(mixed)
    assert [one["status"] for one in shown["deliveries"]] == ["skipped", "delivered", "delivered"]
    assert await listed(busy, correlation_id="mixed", status=shown["status"]) == [mixed]
    assert await listed(busy, correlation_id="mixed", status="skipped") == []


@pytest.mark.parametrize("limit", [1, 2, 50])
async def test_a_page_looks_at_a_bounded_number(
    quiet: System, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """What is rare is found over pages of which some are empty, each once, with more arriving meanwhile."""
    monkeypatch.setattr(listing, "LOOKED_AT", 4)
    await quiet.template({"sms": {"body": "b"}}, f"rare{limit}")
    common = {"template_id": "note", "recipient": {"user_id": "many"}}
    rare = {"template_id": f"rare{limit}", "recipient": {"phone": "+15557654321"}}
    items = [rare, rare, *[common] * 9, rare, *[common] * 6]
    answer = await quiet.call("POST", "/notifications/bulk", {"notifications": items})
    ids = [result["notification_id"] for result in answer.body["results"]]
    wanted = [ids[11], ids[1], ids[0]]

    seen: list[str] = []
    sizes: list[int] = []
    cursor = ""
    while len(seen) < 3:
        path = f"/notifications?limit={limit}&template_id=rare{limit}{cursor}"
        page = (await quiet.call("GET", path)).body
        sizes.append(len(page["notifications"]))
        seen += [one["notification_id"] for one in page["notifications"]]
        await quiet.send({"user_id": "meanwhile"})
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == wanted
    assert sizes[0] == 0, "the first four are others"
    assert await listed(quiet, template_id=f"rare{limit}", limit=limit) == wanted
    assert await listed(quiet, template_id=f"rare{limit}", status="failed") == []
    assert await listed(quiet, channel="sms", template_id=f"rare{limit}") == wanted
    first = (await quiet.call("GET", "/notifications?limit=3")).body
    assert len(first["notifications"]) == 3, "without such a filter every page is full"


async def test_filter_by_time(quiet: System) -> None:
    one = await quiet.send({"user_id": "u"}, correlation_id="by-time")
    accepted_at = (await quiet.status(one))["accepted_at"]
    moment = datetime.fromisoformat(accepted_at)
    later = (moment + timedelta(milliseconds=1)).isoformat()
    earlier = (moment - timedelta(milliseconds=1)).isoformat()
    assert await listed(quiet, correlation_id="by-time", since=accepted_at) == [one]
    assert await listed(quiet, correlation_id="by-time", since=later) == []
    assert await listed(quiet, correlation_id="by-time", until=accepted_at) == []
    assert await listed(quiet, correlation_id="by-time", until=later) == [one]
    assert await listed(quiet, correlation_id="by-time", since=earlier, until=later) == [one]
    with_offset = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
    assert await listed(quiet, correlation_id="by-time", since=with_offset) == [one]


async def test_a_cursor_need_not_exist(quiet: System) -> None:
    one = await quiet.send({"user_id": "u"}, correlation_id="cursor")
    highest = "ffffffff-ffff-ffff-ffff-ffffffffffff"
    lowest = "00000000-0000-0000-0000-000000000000"
    for cursor, expected in ((highest, [one]), (lowest, []), (one, [])):
        assert await listed_once(quiet, f"correlation_id=cursor&cursor={cursor}") == expected


async def listed_once(system: System, query: str) -> list[str]:
    answer = await system.call("GET", f"/notifications?{query}")
    return [one["notification_id"] for one in answer.body["notifications"]]


async def test_the_list_shows_no_address_and_no_content(quiet: System) -> None:
    await quiet.send({"email": "hidden@example.com"}, {"name": "Hidden Name"})
    answer = await quiet.call("GET", "/notifications")
    assert "hidden@example.com" not in str(answer.body)
    assert "Hidden Name" not in str(answer.body)


async def test_recipients_are_found_by_hash(quiet: System) -> None:
    """What the filter compares is a keyed hash; the address itself is in no row."""
    await quiet.send({"email": "hash@example.com"})
    connection = await asyncpg.connect(quiet.dsn)
    hashes = await connection.fetch("SELECT DISTINCT address_hash FROM deliveries")
    assert {len(row["address_hash"]) for row in hashes} <= {0, 16}
    await connection.close()
