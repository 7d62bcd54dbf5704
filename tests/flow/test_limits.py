"""Rate limits through the public doors: what leaves never exceeds them, and all of it leaves, or says why not."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import pytest

from tests.support.sink import Sink
from tests.support.system import System
from tidings.domain.messages import Message
from tidings.domain.outcomes import Outcome
from tidings.providers.webhook.send import WebhookProvider

pytestmark = pytest.mark.anyio

HOOKS: dict[str, Any] = {"provider": "webhook", "secret": "whsec_" + "c2VjcmV0" * 4}
ALLOWED: dict[str, Any] = {"outbound": {"allow": ["127.0.0.0/8"]}}
FEED = {"in_app": {"title": "t", "body": "b"}}
Database: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When calls to webhooks began, on the clock by which permits run out."""
    began: list[float] = []
    send = WebhookProvider.send

    async def timed(self: WebhookProvider, messages: Sequence[Message]) -> Sequence[Outcome]:
        began.extend([time.monotonic()] * len(messages))
        return await send(self, messages)

    monkeypatch.setattr(WebhookProvider, "send", timed)
    return began


def most_within(seconds: float, times: Sequence[float]) -> int:
    return max(sum(at <= one < at + seconds for one in times) for at in times)


async def send_many(system: System, count: int, **one: Any) -> list[str]:
    body = {"notifications": [{"template_id": "note", **one}] * count}
    answer = await system.call("POST", "/notifications/bulk", body)
    assert answer.body["rejected"] == 0
    return [one["notification_id"] for one in answer.body["results"]]


def because(reason: str) -> Callable[[Any], bool]:
    return lambda delivery: delivery["reason"] == reason


async def test_no_stretch_of_time_holds_more_calls_than_the_limit(
    dsn: str, tmp_path: Path, calls: list[float], connection: Database
) -> None:
    """Two workers, and an account that may be called 20 times in 2 seconds."""
    accounts = {"hooks": {**HOOKS, "rate": "20 per 2 s"}}
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=accounts, **ALLOWED) as system,
        System.run(dsn, tmp_path, accounts=accounts, **ALLOWED),
    ):
        await system.template({"webhook": {}})
        sent = await send_many(system, 60, recipient={"webhook_url": sink.url})
        await sink.arrived(60)
        for one in sent:
            (delivery,) = (await system.settled(one))["deliveries"]
            assert (delivery["status"], delivery["attempts"]) == ("delivered", 1)
    assert sink.doubled == set()
    assert most_within(2.0, calls) <= 20
    assert await connection.fetchval("SELECT count(*) FROM attempts") == 60


async def test_an_endpoint_has_a_limit_of_its_own(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two endpoints of one server: the one that is called much is held to the limit, and the other is not kept waiting."""
    began: dict[str, list[float]] = {"busy": [], "calm": []}
    send = WebhookProvider.send

    async def timed(self: WebhookProvider, messages: Sequence[Message]) -> Sequence[Outcome]:
        for message in messages:
            began[message.address.rpartition("/")[2]].append(time.monotonic())
        return await send(self, messages)

    monkeypatch.setattr(WebhookProvider, "send", timed)
    limits = {"endpoint": {"rate": "5 per 2 s", "scope": "recipient", "channel": "webhook"}}
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts={"hooks": HOOKS}, limits=limits, **ALLOWED) as system,
    ):
        await system.template({"webhook": {}})
        busy = await send_many(system, 15, recipient={"webhook_url": f"{sink.url}/busy"})
        calm = await send_many(system, 2, recipient={"webhook_url": f"{sink.url}/calm"})
        for one in (*calm, *busy):
            (delivery,) = (await system.settled(one))["deliveries"]
            assert (delivery["status"], delivery["attempts"]) == ("delivered", 1)
    assert (len(began["busy"]), len(began["calm"])) == (15, 2)
    assert most_within(2.0, began["busy"]) <= 5
    assert max(began["calm"]) < max(began["busy"])


async def test_what_is_beyond_is_skipped_where_the_limit_says_so(dsn: str, tmp_path: Path) -> None:
    limits = {"gentle": {"rate": "3/h", "scope": "recipient", "category": "social", "over": "skip"}}
    async with System.run(dsn, tmp_path, limits=limits) as system:
        await system.template(FEED, category="social")
        sent = await send_many(system, 5, recipient={"user_id": "ada"})
        ended = [(await system.settled(one))["deliveries"][0] for one in sent]
        statuses = sorted((one["status"], one["reason"]) for one in ended)
        assert statuses == [("delivered", "stored")] * 3 + [("skipped", "rate_limit_skipped")] * 2
        another = await system.settled(await system.send({"user_id": "grace"}))
        assert another["status"] == "delivered", "each recipient by itself"
        await system.template(FEED, "other", category="billing")
        answer = await system.settled(await system.send({"user_id": "ada"}, template_id="other"))
        assert answer["status"] == "delivered", "of that category alone"


async def test_what_waits_for_its_recipients_limit_says_until_when(
    dsn: str, tmp_path: Path, connection: Database
) -> None:
    limits = {"gentle": {"rate": "2/h", "scope": "user"}}
    async with System.run(dsn, tmp_path, limits=limits) as system:
        await system.template(FEED)
        sent = await send_many(system, 4, recipient={"user_id": "lovelace"})
        waits = []
        for one in sent:
            (delivery,) = (
                await system.until(one, lambda d: d["status"] == "delivered" or d["reason"])
            )["deliveries"]
            if delivery["status"] == "pending":
                assert (delivery["reason"], delivery["attempts"]) == ("rate_limited", 0)
                waits.append(datetime.fromisoformat(delivery["next_attempt_at"]))
        assert len(waits) == 2
        assert all(at > datetime.now(UTC) + timedelta(minutes=50) for at in waits)
        assert abs(waits[1] - waits[0]) > timedelta(minutes=25), "spread over the period"
        keys = [row["key"] for row in await connection.fetch("SELECT key FROM limits")]
    assert len(keys) == 1
    assert keys[0].startswith("gentle:")
    assert "lovelace" not in keys[0]


async def test_an_applications_limit_does_not_hold_up_another_channel(
    dsn: str, tmp_path: Path
) -> None:
    limits = {"hooks": {"rate": "1/h", "scope": "channel", "channel": "webhook"}}
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, limits=limits, accounts={"hooks": HOOKS}, **ALLOWED) as system,
    ):
        await system.template({"webhook": {}})
        await send_many(system, 100, recipient={"webhook_url": sink.url})
        await sink.arrived(1)
        await system.template(FEED, "feed")
        status = await system.settled(await system.send({"user_id": "u"}, template_id="feed"))
        assert status["status"] == "delivered"
    assert sink.seen.total() == 1


async def test_the_api_shows_the_limits_and_their_use(dsn: str, tmp_path: Path) -> None:
    limits = {
        "all": {"rate": "100/d"},
        "keys": {"rate": "2/h", "scope": "api_key", "channel": "in_app"},
        "people": {"rate": "10/d", "scope": "recipient"},
    }
    async with System.run(dsn, tmp_path, limits=limits) as system:
        await system.template(FEED)
        for one in await send_many(system, 2, recipient={"user_id": "ada"}):
            await system.settled(one)
        answer = await system.call("GET", "/limits")
    assert answer.status == 200
    everything, keys, people = answer.body["limits"]
    assert (everything["name"], everything["rate"], everything["count"]) == ("all", "100/d", 100)
    assert everything["uses"] == [{"subject": None, "used": 2, "next_at": None}]
    assert (keys["scope"], keys["channel"], keys["over"]) == ("api_key", "in_app", "wait")
    (use,) = keys["uses"]
    assert (use["subject"], use["used"]) == ("test admin", 2)
    assert datetime.fromisoformat(use["next_at"]) > datetime.now(UTC) + timedelta(minutes=50)
    assert people["uses"] == [], "whoever they are"


async def test_what_is_over_an_account_s_rate_goes_to_the_next_one(
    dsn: str, tmp_path: Path, connection: Database
) -> None:
    """As much as it takes, and the rest at once over the other."""
    box = {"provider": "outbox", "channels": ["email"]}
    accounts = {"small": {**box, "rate": "5/h", "order": 1}, "large": {**box, "order": 2}}
    async with System.run(dsn, tmp_path, accounts=accounts) as system:
        await system.template({"email": {"subject": "s", "text": "t"}})
        recipient = {"email": "ada@example.com"}
        for one in await send_many(system, 60, recipient=recipient):
            await system.settled(one)
        late = await system.send(recipient)
        await system.settled(late)
        [delivery] = (await system.status(late))["deliveries"]
        assert delivery["account"] == "large"
        assert [one["choice"] for one in delivery["events"] if one["type"] == "attempted"] == [
            "after_limited"
        ]
    rows = await connection.fetch("SELECT account, choice, count(*) FROM attempts GROUP BY 1, 2")
    assert {tuple(row) for row in rows} == {("small", "first", 5), ("large", "after_limited", 56)}


async def test_an_account_that_alone_fits_is_waited_for_at_its_limit(
    dsn: str, tmp_path: Path
) -> None:
    box = {"provider": "outbox", "channels": ["email"]}
    accounts = {
        "small": {**box, "rate": "1/h"},
        "other": {**box, "order": 1, "categories": ["else"]},
    }
    async with System.run(dsn, tmp_path, accounts=accounts) as system:
        await system.template({"email": {"subject": "s", "text": "t"}})
        sent = [await system.send({"email": "ada@example.com"}) for _ in range(2)]
        await system.settled(sent[0])
        await system.until(sent[1], because("rate_limited"))
