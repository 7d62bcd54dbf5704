"""Dry runs: what would become of a request, told by the code that decides in earnest, and nothing of it kept."""

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.conftest import CONTENT, Rows
from tests.api.problem import assert_problem
from tests.api.test_broadcasts import broadcaster
from tests.support.system import System
from tidings.api.problems import Code
from tidings.domain.reasons import Reason
from tidings.store.api_keys import Role

pytestmark = pytest.mark.anyio

Counts = Counter[tuple[str, str, str | None]]
WAITS = {Reason.QUEUED.value, Reason.SCHEDULED.value}
"""Reasons that are told of what is stored without one."""


def counted(body: dict[str, Any]) -> Counts:
    counts: Counts = Counter()
    for one in body["outcomes"]:
        reason = None if one["reason"] in WAITS else one["reason"]
        counts[one["channel"], one["status"], reason] += one["count"]
    return counts


async def stored(system: System, batch_id: str) -> Counts:
    connection = await asyncpg.connect(system.dsn)
    try:
        rows = await connection.fetch(
            """SELECT d.channel, d.status, d.reason, count(*) FROM deliveries d
               JOIN notifications n ON n.id = d.notification_id WHERE n.batch_id = $1 GROUP BY 1, 2, 3""",
            batch_id,
        )
    finally:
        await connection.close()
    return Counter({(row["channel"], row["status"], row["reason"]): row["count"] for row in rows})


async def test_a_send_says_what_it_would_do_and_keeps_nothing(quiet: System, rows: Rows) -> None:
    body = {
        "template_id": "note",
        "recipient": {"user_id": "dry", "email": "dry@example.com", "upsert": True},
        "data": {"name": "Dry"},
        "channel_preferences": ["email", "sms"],
        "idempotency_key": "dry-1",
        "collapse_key": "dry",
    }
    before = await rows()
    answer = await quiet.call("POST", "/notifications/send", {**body, "dry_run": True})
    assert answer.status == 200, answer.body
    assert await rows() == before
    found = answer.body
    assert (found["dry_run"], found["accepted"], found["would_send"]) == (True, 1, 1)
    told = {one["channel"]: (one["status"], one["reason"]) for one in found["deliveries"]}
    assert told == {"email": ("pending", Reason.QUEUED), "sms": ("skipped", Reason.NO_ADDRESS)}
    [sample] = found["samples"]
    assert sample["content"]["subject"] == "Hello Dry"
    assert found["expected"] == {"seconds": 0.0, "limited_by": None, "last_due_at": None}
    # Nothing was taken: the same key makes a notification now, and another answer then.
    real = await quiet.call("POST", "/notifications/send", body)
    assert real.status == 202
    again = await quiet.call("POST", "/notifications/send", {**body, "dry_run": True})
    assert (again.body["repeated"], again.body["deliveries"]) == (1, [])


async def test_what_would_be_refused_is_refused(quiet: System, rows: Rows) -> None:
    before = await rows()
    answer = await quiet.call(
        "POST",
        "/notifications/send",
        {"template_id": "nowhere", "recipient": {"email": "a@example.com"}, "dry_run": True},
    )
    assert_problem(answer, Code.UNKNOWN_TEMPLATE)
    answer = await quiet.call(
        "POST",
        "/notifications/send",
        {"template_id": "note", "recipient": {"email": "a@example.com"}, "dry_run": "yes"},
    )
    assert_problem(answer, Code.INVALID_REQUEST, "dry_run")
    assert await rows() == before


async def test_a_template_that_would_not_render_says_so(quiet: System) -> None:
    answer = await quiet.call(
        "POST",
        "/notifications/send",
        {"template_id": "note", "recipient": {"email": "a@example.com"}, "dry_run": True},
    )
    [sample] = answer.body["samples"]
    assert sample["content"] is None
    assert "name" in sample["error"]


USERS = 60
TEMPLATES = ("plain", "social", "once", "gathered")


@pytest.fixture(scope="module")
async def peopled(quiet: System) -> System:
    """Users with all kinds of wishes, drawn with a fixed seed."""
    draw = random.Random(5)
    content = {
        "email": {"subject": "s {{ n }}", "text": "t"},
        "sms": {"body": "b"},
        "in_app": {"title": "t", "body": "b"},
    }
    more: dict[str, dict[str, Any]] = {
        "once": {"deduplicate_seconds": 3600},
        "gathered": {"digest": {"window": 600}},
        "social": {"category": "social"},
        "plain": {},
    }
    for name in TEMPLATES:
        made = await quiet.call(
            "POST", "/templates", {"id": name, "content": content, **more[name]}
        )
        assert made.status == 201, made.body
    for number in range(USERS):
        user: dict[str, Any] = {
            "attributes": {},
            "timezone": draw.choice(["Europe/Berlin", "Asia/Tokyo", None]),
        }
        if draw.random() < 0.8:
            user["email"] = f"user{number}@example.com"
        if draw.random() < 0.4:
            user["phone"] = f"+1555000{number:04}"
        put = await quiet.call("PUT", f"/users/crowd-{number:03}", user)
        assert put.status in {200, 201}, put.body
        wishes: dict[str, Any] = {}
        if draw.random() < 0.3:
            wishes["channels"] = {draw.choice(["email", "sms", "in_app"]): False}
        if draw.random() < 0.3:
            wishes["categories"] = {"social": {draw.choice(["email", "in_app"]): False}}
        if draw.random() < 0.4:
            start, end = draw.sample(range(24), 2)
            wishes["quiet_hours"] = {"from": f"{start:02}:00", "to": f"{end:02}:00"}
        if wishes:
            chosen = await quiet.call("PUT", f"/users/crowd-{number:03}/preferences", wishes)
            assert chosen.status == 200, chosen.body
        if draw.random() < 0.15:
            kept = await quiet.call(
                "POST",
                "/suppressions",
                {"channel": "email", "address": f"user{number}@example.com"},
            )
            assert kept.status in {200, 201}, kept.body
    return quiet


def _items(seed: int, count: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    items = []
    for number in range(count):
        item: dict[str, Any] = {
            "template_id": draw.choice([*TEMPLATES, "missing"]),
            "recipient": {"user_id": f"crowd-{draw.randrange(USERS):03}"},
            "data": {"n": number},
            "routing": draw.choice(["all", "fallback"]),
            "priority": draw.choice(["critical", "medium"]),
        }
        if draw.random() < 0.3:
            item["collapse_key"] = draw.choice(["a", "b"])
        if draw.random() < 0.1:
            item["idempotency_key"] = f"{seed}-{draw.randrange(5)}"
        if draw.random() < 0.1:
            item["send_at"] = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        if draw.random() < 0.05:
            item["priority"] = "soon"
        items.append(item)
    return items


WISHES = st.fixed_dictionaries(
    {
        "template_id": st.sampled_from([*TEMPLATES, "missing"]),
        "recipient": st.fixed_dictionaries(
            {"user_id": st.integers(0, USERS - 1).map("crowd-{:03}".format)}
        ),
        "data": st.fixed_dictionaries({"n": st.integers(0, 9)}),
    },
    optional={
        "routing": st.sampled_from(["all", "fallback"]),
        "priority": st.sampled_from(["critical", "low", "soon"]),
        "collapse_key": st.sampled_from(["a", "b"]),
        "idempotency_key": st.integers(0, 9).map("drawn-{}".format),
        "channel_preferences": st.lists(
            st.sampled_from(["email", "sms", "in_app", "push"]), min_size=1, unique=True
        ),
        "send_at": st.sampled_from(["2099-01-01T00:00:00Z", "2000-01-01T00:00:00Z"]),
        "send_at_local": st.sampled_from(["2099-01-01T09:00:00", "2000-01-01T09:00:00"]),
        "expires_at": st.sampled_from(["2099-02-01T00:00:00Z", "2000-01-01T00:00:00Z"]),
    },
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(items=st.lists(WISHES, min_size=1, max_size=25))
async def test_whatever_is_asked_for_is_counted_as_it_is_stored(
    peopled: System, items: list[dict[str, Any]]
) -> None:
    path = "/notifications/bulk"
    dry = await peopled.call("POST", path, {"notifications": items, "dry_run": True})
    lines = await streamed(peopled, items, "?dry_run=true")
    real = await peopled.call("POST", path, {"notifications": items})
    found = dry.body
    assert found["accepted"] + found["repeated"] == real.body["accepted"]
    assert found["refused"] == real.body["rejected"]
    # Where all were accepted before, the batch is that of then, and what became of it since.
    expected = await stored(peopled, real.body["batch_id"]) if found["accepted"] else Counter()
    assert counted(found) == expected
    assert counted(lines) == expected
    assert lines["lines"] == len(items)
    for name in ("accepted", "would_send", "repeated", "refused", "refusals"):
        assert lines[name] == found[name]


async def streamed(system: System, items: list[dict[str, Any]], query: str) -> dict[str, Any]:
    """The last line of the answer."""
    body = b"".join(json.dumps(one).encode() + b"\n" for one in items)
    request = system.client.post(f"{system.url}/notifications/bulk{query}").body_bytes(body)
    request = request.bearer_auth(system.keys[Role.ADMIN])
    answer = await request.header("content-type", "application/x-ndjson").build().send()
    assert answer.status == (200 if "dry_run" in query else 202)
    last: dict[str, Any] = json.loads((await answer.text()).splitlines()[-1])
    return last


async def test_a_stream_is_counted_as_it_is_stored(peopled: System, rows: Rows) -> None:
    items = _items(4, 1_300)
    before = await rows()
    dry = await streamed(peopled, items, "?dry_run=true")
    assert await rows() == before
    real = await streamed(peopled, items, "")
    assert dry["accepted"] + dry["repeated"] == real["accepted"]
    assert dry["refused"] == real["refused"]
    [batch] = (await peopled.call("GET", "/batches?limit=1")).body["batches"]
    assert counted(dry) == await stored(peopled, batch["batch_id"])
    shown = (await peopled.call("GET", f"/batches/{batch['batch_id']}")).body
    assert shown["refusals"] == dry["refusals"]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_bulk_is_counted_as_it_is_stored(peopled: System, rows: Rows, seed: int) -> None:
    items = _items(seed, 700)  # more than one transaction takes
    before = await rows()
    dry = await peopled.call(
        "POST", "/notifications/bulk", {"notifications": items, "dry_run": True}
    )
    assert dry.status == 200, dry.body
    assert await rows() == before
    real = await peopled.call("POST", "/notifications/bulk", {"notifications": items})
    assert real.status == 202, real.body
    found = dry.body
    assert found["accepted"] + found["repeated"] == real.body["accepted"]
    assert found["refused"] == real.body["rejected"]
    assert counted(found) == await stored(peopled, real.body["batch_id"])
    problems = [
        (one["problem"] and one["problem"]["code"], "problem" in other)
        for one, other in zip(found["results"], real.body["results"], strict=True)
    ]
    assert all(bool(code) == refused for code, refused in problems)


async def test_a_broadcast_is_counted_as_it_is_stored(peopled: System, rows: Rows) -> None:
    body = {"template_id": "social", "audience": {"everyone": True}, "data": {"n": 1}}
    before = await rows()
    dry = await peopled.call("POST", "/broadcasts", {**body, "dry_run": True})
    assert dry.status == 200, dry.body
    assert await rows() == before
    real = await peopled.call("POST", "/broadcasts", body)
    assert real.status == 202, real.body
    broadcast_id = real.body["broadcast_id"]
    async with broadcaster(peopled) as one:
        while await one.step():
            continue
    done = (await peopled.call("GET", f"/broadcasts/{broadcast_id}")).body
    found = dry.body
    assert found["users"] == before["users"] == done["done"]
    assert found["refused"] == done["refused"]
    assert found["refusals"] == done["refusals"]
    assert counted(found) == await stored(peopled, broadcast_id)
    assert found["would_send"] > 0


async def test_what_is_sent_later_says_when(quiet: System) -> None:
    later = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0)
    answer = await quiet.call(
        "POST",
        "/notifications/send",
        {
            "template_id": "note",
            "recipient": {"email": "a@example.com"},
            "data": {"name": "A"},
            "send_at": later.isoformat(),
            "dry_run": True,
        },
    )
    assert datetime.fromisoformat(answer.body["expected"]["last_due_at"]) == later


async def test_the_rate_limits_say_how_long_it_takes(dsn: str, tmp_path: Path) -> None:
    limits = {
        "slow": {"rate": "2/s", "scope": "channel", "channel": "email"},
        "slower": {"rate": "1/m", "scope": "category", "category": "other"},
        "personal": {"rate": "1/d", "scope": "recipient"},
    }
    async with System.run(dsn, tmp_path, limits=limits, working=False) as system:
        await system.template(CONTENT)
        items = [
            {
                "template_id": "note",
                "recipient": {"email": f"u{number}@example.com"},
                "data": {"name": "A"},
            }
            for number in range(102)
        ]
        dry = await system.call(
            "POST", "/notifications/bulk", {"notifications": items, "dry_run": True}
        )
    expected = dry.body["expected"]
    assert expected["limited_by"] == "slow"
    # Two at once, then two in each second and what a limit adds to it to be exact.
    assert 50 <= expected["seconds"] < 55
    assert len(dry.body["samples"]) == 1
