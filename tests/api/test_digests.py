"""Digests: several notifications to one user told by one; exactly one is open, and closing happens once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code
from tidings.bootstrap import foundation
from tidings.bootstrap.foundation import pass_by
from tidings.bootstrap.intake import open_intake
from tidings.domain.categories import Cadence
from tidings.domain.digests import MOST_ITEMS, DigestRule
from tidings.domain.preferences import DigestTime
from tidings.intake.digesting import Digester
from tidings.metrics import Metrics
from tidings.store import digests
from tidings.store.categories import CategoryCache
from tidings.store.database import open_pool
from tidings.store.templates import TemplateCache

pytestmark = pytest.mark.anyio

LIST = {
    "in_app": {
        "title": "{{ count }} news, from {{ first.word }} to {{ last.word }}",
        "body": "{% for one in items %}{{ one.word }} {% endfor %}",
    }
}
HOUR = {"window": 3600}


async def called(system: System, method: str, path: str, body: Any = None) -> Any:
    answer = await system.call(method, path, body)
    assert answer.status in {200, 201, 202, 204}, answer.body
    return answer.body


@pytest.fixture
async def still(dsn: str, tmp_path: Path) -> AsyncIterator[System]:
    """Without a worker: the test makes the steps."""
    async with System.run(dsn, tmp_path, working=False) as running:
        await running.template(LIST, digest=HOUR)
        yield running


@contextlib.asynccontextmanager
async def digester(system: System) -> AsyncIterator[Digester]:
    laid = foundation.lay(system.settings, system.dsn, "test")
    pool = await open_pool(system.dsn, size=2, name="test", hot=True)
    try:
        intake = open_intake(
            laid,
            pool,
            TemplateCache(pool),
            CategoryCache(),
            wake=lambda: None,
            metrics=Metrics(CollectorRegistry()),
            checkpoint=pass_by,
        )
        yield Digester(pool, laid.keyring, intake, pass_by)
    finally:
        await pool.close()


async def open_ones(system: System) -> list[Any]:
    return list((await called(system, "GET", "/digests?open=true"))["digests"])


async def close_all(system: System) -> None:
    for one in await open_ones(system):
        await called(system, "POST", f"/digests/{one['digest_id']}/close")


async def made(system: System, notification_id: str) -> Any:
    """The digest of a member, once it has become a notification, or failed to."""
    async with asyncio.timeout(20):
        while True:
            digest = (await system.status(notification_id))["digest"]
            if digest["notification_id"] or digest["problem"]:
                return digest
            await asyncio.sleep(0.02)


async def test_several_are_told_by_one(system: System) -> None:
    await system.template(LIST, digest={"window": 1})
    ids = [await system.send({"user_id": "ann"}, {"word": word}) for word in ("a", "b", "c")]
    digest = await made(system, ids[0])
    assert (digest["user_id"], digest["count"], digest["open"]) == ("ann", 3, False)
    assert (await system.settled(digest["notification_id"]))["status"] == "delivered"
    inbox = await called(system, "GET", "/users/ann/inbox")
    assert [(one["title"], one["body"]) for one in inbox["entries"]] == [
        ("3 news, from a to c", "a b c ")
    ]
    for member in ids:
        status = await system.status(member)
        assert status["digest"] == digest
        assert [one["reason"] for one in status["deliveries"]] == ["digested"]
    path = f"/digests/{digest['digest_id']}/notifications"
    assert (await called(system, "GET", path))["notification_ids"] == ids[::-1]
    await system.send({"user_id": "ann"}, {"word": "d"})
    (fresh,) = await open_ones(system)
    assert fresh["digest_id"] != digest["digest_id"]


async def test_one_for_each_user_key_and_template(still: System) -> None:
    await still.template(LIST, "other", digest=HOUR)
    for user_id, more in (
        ("ann", {}),
        ("ann", {"digest_key": "x"}),
        ("ann", {"digest_key": "x"}),
        ("bob", {"digest_key": "x"}),
        ("ann", {"template_id": "other"}),
    ):
        await still.send({"user_id": user_id}, {"word": "w"}, **more)
    found = {
        (one["user_id"], one["key"], one["template_id"]): one["count"]
        for one in await open_ones(still)
    }
    assert found == {
        ("ann", None, "note"): 1,
        ("ann", "x", "note"): 2,
        ("bob", "x", "note"): 1,
        ("ann", None, "other"): 1,
    }


@pytest.mark.parametrize(
    ("recipient", "more"),
    [
        ({"user_id": "ann"}, {"priority": "critical"}),
        ({"user_id": "ann"}, {"send_at": "2100-01-01T00:00:00Z"}),
        ({"webhook_url": "https://example.com/x"}, {}),
    ],
)
async def test_what_does_not_wait_sees_the_same_names(
    still: System, recipient: Any, more: Any
) -> None:
    await still.template(
        {**LIST, "webhook": {"payload": {"n": "{{ count }}"}}}, "both", digest=HOUR
    )
    accounts = await called(still, "GET", "/accounts")
    if "webhook_url" in recipient and "webhook" not in str(accounts):
        pytest.skip("no account serves webhooks here")
    await still.send(recipient, {"word": "now"}, template_id="both", **more)
    assert await open_ones(still) == []


async def test_at_once_by_choice_is_rendered_as_a_digest_of_one(system: System) -> None:
    """No cadence was chosen, and the category's is at once."""
    await system.template(LIST, digest={"window": "cadence"})
    one = await system.send({"user_id": "ann"}, {"word": "a"})
    assert (await system.settled(one))["status"] == "delivered"
    inbox = await called(system, "GET", "/users/ann/inbox")
    assert inbox["entries"][0]["title"] == "1 news, from a to a"


async def test_the_cadence_is_the_users(still: System) -> None:
    await still.template(LIST, "daily", category="news", digest={"window": "cadence"})
    chosen = {"digests": {"news": "daily"}, "digest_time": {"at": "07:30", "weekday": "monday"}}
    await called(still, "PUT", "/users/ann/preferences", chosen)
    await called(still, "PUT", "/users/ann", {"timezone": "Asia/Kolkata"})
    await still.send({"user_id": "ann"}, {"word": "a"}, template_id="daily")
    (digest,) = await open_ones(still)
    closes = datetime.fromisoformat(digest["closes_at"])
    assert (closes.hour, closes.minute) == (2, 0)
    assert timedelta() < closes - datetime.now(UTC) <= timedelta(days=1)


async def test_a_batch_balances_and_what_was_cancelled_is_not_told(still: System) -> None:
    items = [
        {"template_id": "note", "recipient": {"user_id": "ann"}, "data": {"word": f"w{number}"}}
        for number in range(7)
    ]
    first = await called(still, "POST", "/notifications/bulk", {"notifications": items})
    second = await called(still, "POST", "/notifications/bulk", {"notifications": items[:2]})
    batch = await called(still, "GET", f"/batches/{first['batch_id']}")
    assert (batch["accepted"], batch["notifications"]["skipped"], batch["complete"]) == (7, 7, True)
    assert batch["unsent"][0]["reason"] == "digested"
    (digest,) = await open_ones(still)
    assert digest["count"] == 9
    await called(still, "POST", f"/batches/{first['batch_id']}/cancel")
    await close_all(still)
    async with digester(still) as one:
        while await one.step():
            pass
    member = second["results"][0]["notification_id"]
    made_of = await made(still, member)
    connection = await asyncpg.connect(still.dsn)
    assert await connection.fetchval("SELECT count(*) FROM queue") == 1
    await connection.close()
    assert made_of["notification_id"]
    await called(still, "POST", f"/batches/{second['batch_id']}/cancel")
    await called(still, "POST", "/notifications/bulk", {"notifications": items[:1]})
    page = await called(still, "GET", "/digests?user_id=ann")
    assert [one["open"] for one in page["digests"]] == [True, False]
    answer = await still.call("POST", f"/digests/{page['digests'][1]['digest_id']}/close")
    assert_problem(answer, Code.DIGEST_CLOSED)


async def test_nothing_left_of_it(still: System) -> None:
    items = [{"template_id": "note", "recipient": {"user_id": "ann"}, "data": {"word": "w"}}]
    sent = await called(still, "POST", "/notifications/bulk", {"notifications": items})
    await called(still, "POST", f"/batches/{sent['batch_id']}/cancel")
    await close_all(still)
    async with digester(still) as one:
        while await one.step():
            pass
    digest = await made(still, sent["results"][0]["notification_id"])
    assert digest["notification_id"] is None
    assert "cancelled" in digest["problem"]


async def test_many_items(system: System) -> None:
    """The count is exact; of the items, the newest are there."""
    await system.template(LIST, digest=HOUR)
    items = [
        {"template_id": "note", "recipient": {"user_id": "ann"}, "data": {"word": str(number)}}
        for number in range(MOST_ITEMS + 30)
    ]
    sent = await called(system, "POST", "/notifications/bulk", {"notifications": items})
    assert sent["rejected"] == 0
    await close_all(system)
    digest = await made(system, sent["results"][0]["notification_id"])
    await system.settled(digest["notification_id"])
    inbox = await called(system, "GET", "/users/ann/inbox")
    assert inbox["entries"][0]["title"] == f"{MOST_ITEMS + 30} news, from 30 to {MOST_ITEMS + 29}"
    assert len(inbox["entries"][0]["body"].split()) == MOST_ITEMS


async def test_repeats_are_left_out_of_a_digest_and_not_the_digest(system: System) -> None:
    await system.template(LIST, digest=HOUR, deduplicate_seconds=3600)
    ids = [await system.send({"user_id": "ann"}, {"word": word}) for word in ("a", "b")]
    await close_all(system)
    digest = await made(system, ids[0])
    assert digest["count"] == 1
    assert (await system.settled(digest["notification_id"]))["status"] == "delivered"
    assert (await system.status(ids[1]))["digest"] is None


async def test_a_repeated_request_joins_once(still: System) -> None:
    for _ in range(3):
        await still.send({"user_id": "ann"}, {"word": "a"}, idempotency_key="once")
    (digest,) = await open_ones(still)
    assert digest["count"] == 1


async def test_one_is_open_and_each_is_told_once_under_any_concurrency(still: System) -> None:
    """Senders on several connections, while others close and make digests all the time."""
    sent: list[str] = []

    async def send(number: int) -> None:
        for turn in range(15):
            if turn == 5:
                await some_made.wait()
            user_id = f"user-{(number + turn) % 3}"
            sent.append(await still.send({"user_id": user_id}, {"word": f"{number}-{turn}"}))

    async def make(one: Digester, going: asyncio.Event) -> None:
        while not going.is_set():
            await close_all_quietly()
            if await one.step():
                some_made.set()

    async def close_all_quietly() -> None:
        for one in await open_ones(still):
            await still.call("POST", f"/digests/{one['digest_id']}/close")

    connection = await asyncpg.connect(still.dsn)
    done, some_made = asyncio.Event(), asyncio.Event()
    async with digester(still) as first, digester(still) as second:
        making = [asyncio.create_task(make(one, done)) for one in (first, second)]
        async with asyncio.timeout(60):
            await asyncio.gather(*(send(number) for number in range(8)))
        done.set()
        await asyncio.gather(*making)
        await close_all(still)
        while await first.step():
            pass
    rows = await connection.fetch(
        """SELECT d.id, d.count, d.done_at IS NOT NULL AS done, count(m.*) AS members,
             count(DISTINCT n.id) AS told, min(n.user_id) = min(d.user_id) AS theirs
           FROM digests d JOIN digest_members m ON m.digest_id = d.id
           LEFT JOIN notifications n ON n.id = d.notification_id GROUP BY d.id"""
    )
    told = await connection.fetchval("SELECT count(*) FROM notifications")
    await connection.close()
    assert len(rows) > 3, "several were closed meanwhile"
    assert all(row["done"] and row["theirs"] and row["told"] == 1 for row in rows)
    assert all(row["count"] == row["members"] for row in rows)
    assert sum(row["members"] for row in rows) == len(sent) == 120
    assert told == len(sent) + len(rows)


@pytest.mark.parametrize(
    "digest", [{}, {"window": 0}, {"window": 2_678_401}, {"window": "hourly"}, {"window": 1.5}, []]
)
async def test_wrong_rules(quiet: System, digest: Any) -> None:
    body = {"id": "wrong", "content": LIST, "digest": digest}
    assert_problem(await quiet.call("POST", "/templates", body), Code.INVALID_REQUEST, "digest")


async def test_a_rule_is_kept_with_the_version(quiet: System) -> None:
    await quiet.template(LIST, "ruled", digest={"window": "cadence"})
    assert (await called(quiet, "GET", "/templates/ruled"))["digest"] == {"window": "cadence"}
    await called(quiet, "PUT", "/templates/ruled", {"content": LIST, "digest": HOUR})
    found = await called(quiet, "GET", "/templates/ruled/diff?before=1&after=2")
    assert "digest" in str(found)


ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Pacific/Apia"]
)


@given(
    now=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(
        lambda m: m.replace(tzinfo=UTC)
    ),
    zone=ZONES.map(ZoneInfo),
    at=st.times().map(lambda one: one.replace(second=0, microsecond=0)),
    weekday=st.integers(0, 6),
)
def test_when_it_closes(now: datetime, zone: ZoneInfo, at: Any, weekday: int) -> None:
    rule, time = DigestRule(None), DigestTime(at, weekday)
    assert rule.closes_at(Cadence.AT_ONCE, time, zone, now) is None
    assert DigestRule(90).closes_at(Cadence.DAILY, time, zone, now) == now + timedelta(seconds=90)
    for cadence, longest in (
        (Cadence.HOURLY, timedelta(hours=1)),
        (Cadence.DAILY, timedelta(days=2)),
        (Cadence.WEEKLY, timedelta(days=8)),
    ):
        closes = rule.closes_at(cadence, time, zone, now)
        assert closes is not None
        assert now < closes <= now + longest
        if cadence is Cadence.HOURLY:
            assert (closes.minute, closes.second, closes.microsecond) == (0, 0, 0)


async def test_what_was_done_long_ago_is_forgotten_with_its_members(still: System) -> None:
    for user_id in ("ann", "bob"):
        await still.send({"user_id": user_id}, {"word": "a"})
    connection = await asyncpg.connect(still.dsn)
    await connection.execute(
        "UPDATE digests SET closed_at = now(), done_at = now() WHERE user_id = 'ann'"
    )
    later = datetime.now(UTC) + timedelta(days=1)
    assert await digests.forget_before(connection, later - timedelta(days=2)) == 0
    assert await digests.forget_before(connection, later) == 1
    assert await digests.forget_before(connection, later) == 0, "what is open stays"
    left = await connection.fetch("SELECT user_id FROM digests")
    assert [row["user_id"] for row in left] == ["bob"]
    assert await connection.fetchval("SELECT count(*) FROM digest_members") == 1
    await connection.close()
