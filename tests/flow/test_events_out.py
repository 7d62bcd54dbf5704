"""Events out: what happens to messages is told to those who subscribe, as a receiver gets it."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.flow.test_limits import ALLOWED, FEED, HOOKS, Database
from tests.support.sink import Sink
from tests.support.system import System

pytestmark = pytest.mark.anyio


async def subscribe(system: System, sink: Sink, types: list[str], **more: Any) -> dict[str, Any]:
    wish = {"url": sink.url, "event_types": types, **more}
    answer = await system.call("POST", "/event-subscriptions", wish)
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.body
    return made


def told(sink: Sink) -> list[dict[str, Any]]:
    return [orjson.loads(body) for body in sink.bodies]


async def one_told(system: System, subscription: dict[str, Any]) -> dict[str, Any]:
    """The newest that it was told, once that has ended."""
    path = f"/event-subscriptions/{subscription['subscription_id']}/events"
    async with asyncio.timeout(20):
        while True:
            found = (await system.call("GET", path)).body["notifications"]
            if found and found[0]["status"] != "pending":
                newest: dict[str, Any] = found[0]
                return newest
            await asyncio.sleep(0.01)


async def test_what_becomes_of_a_message_is_told_and_signed(dsn: str, tmp_path: Path) -> None:
    async with Sink.run() as sink, System.run(dsn, tmp_path, **ALLOWED) as system:
        subscription = await subscribe(
            system, sink, ["delivery.delivered"], headers={"X-Gateway": "open"}
        )
        await system.template(FEED)
        sent = await system.send(
            {"user_id": "ada"}, correlation_id="order 7", metadata={"order": "7"}
        )
        status = await system.settled(sent)
        await sink.arrived(1)
        newest = await one_told(system, subscription)
    [headers], [body] = sink.headers, sink.bodies
    Webhook(subscription["secret"]).verify(body, headers)
    assert headers["x-gateway"] == "open"
    event = orjson.loads(body)
    assert event["type"] == "delivery.delivered"
    assert event["data"] == {
        "notification_id": sent,
        "delivery_id": status["deliveries"][0]["delivery_id"],
        "channel": "in_app",
        "template_id": "note",
        "template_version": 1,
        "category": "transactional",
        "user_id": "ada",
        "correlation_id": "order 7",
        "batch_id": None,
        "metadata": {"order": "7"},
        "status": "delivered",
        "reason": status["deliveries"][0]["reason"],
        "account": status["deliveries"][0]["account"],
        "attempts": 1,
        "provider_message_id": None,
    }
    assert newest["status"] == "delivered"
    assert newest["template_id"] == "delivery.delivered"


async def test_only_what_is_wanted_is_told_and_nothing_of_events(dsn: str, tmp_path: Path) -> None:
    async with Sink.run() as sink, System.run(dsn, tmp_path, **ALLOWED) as system:
        await subscribe(system, sink, ["delivery.delivered"], template_ids=["other"])
        await subscribe(system, sink, ["delivery.delivered"], channels=["sms"])
        await subscribe(system, sink, ["delivery.delivered"], enabled=False)
        await subscribe(system, sink, ["delivery.failed", "delivery.bounced"])
        for template_id in ("note", "other"):
            await system.template(FEED, template_id)
            await system.settled(await system.send({"user_id": "ada"}, template_id=template_id))
        await sink.arrived(1)
        # Whatever else was to be told would be on its way before this.
        third = await subscribe(system, sink, ["delivery.delivered"], categories=["transactional"])
        await system.settled(await system.send({"user_id": "ada"}))
        await sink.arrived(2)
        await one_told(system, third)
        listed = (await system.call("GET", "/notifications")).body["notifications"]
    assert [event["data"]["template_id"] for event in told(sink)] == ["other", "note"]
    assert {one["template_id"] for one in listed} == {"note", "other"}


async def test_what_ends_as_it_is_accepted_is_told(dsn: str, tmp_path: Path) -> None:
    async with Sink.run() as sink, System.run(dsn, tmp_path, **ALLOWED) as system:
        await subscribe(system, sink, ["delivery.suppressed", "delivery.skipped"])
        await system.template({**FEED, "sms": {"body": "b"}})
        address = {"channel": "in_app", "address": "ada"}
        assert (await system.call("POST", "/suppressions", address)).status == 201
        await system.send({"user_id": "ada", "phone": "+491701234567"})
        await sink.arrived(1)
    assert {event["type"] for event in told(sink)} == {"delivery.suppressed"}


async def test_what_fails_is_tried_again_and_replayed_with_the_same_id(
    dsn: str, tmp_path: Path
) -> None:
    async with Sink.run() as sink, System.run(dsn, tmp_path, **ALLOWED) as system:
        subscription = await subscribe(system, sink, ["delivery.delivered"])
        await system.template(FEED)
        sink.status = 400
        await system.send({"user_id": "ada"})
        failed = await one_told(system, subscription)
        assert failed["status"] == "failed"
        status = await system.status(failed["notification_id"])
        delivery_id = status["deliveries"][0]["delivery_id"]
        sink.status = 200
        letters = (await system.call("GET", "/dead-letters")).body["dead_letters"]
        assert [letter["delivery_id"] for letter in letters] == [delivery_id]
        answer = await system.call("POST", f"/dead-letters/{delivery_id}/replay", {})
        assert answer.status in (200, 202), answer.body
        await sink.times(2)
        again = await one_told(system, subscription)
        assert again["status"] == "delivered"
    first, second = sink.headers
    assert first["webhook-id"] == second["webhook-id"]
    assert sink.bodies[0] == sink.bodies[1]


async def test_a_new_secret_signs_and_for_a_while_the_former_too(dsn: str, tmp_path: Path) -> None:
    async with Sink.run() as sink, System.run(dsn, tmp_path, **ALLOWED) as system:
        made = await subscribe(system, sink, ["delivery.delivered"])
        path = f"/event-subscriptions/{made['subscription_id']}"
        rotated = (await system.call("POST", f"{path}/rotate-secret", {"overlap": 1})).body
        assert len(rotated["secrets"]) == 2
        await system.call("POST", f"{path}/test")
        await sink.arrived(1)
        for secret in (made["secret"], rotated["secret"]):
            Webhook(secret).verify(sink.bodies[0], sink.headers[0])
        await one_told(system, made)
        last = (await system.call("POST", f"{path}/rotate-secret", {"overlap": 0})).body
        await system.call("POST", f"{path}/test")
        await sink.arrived(2)
        Webhook(last["secret"]).verify(sink.bodies[1], sink.headers[1])
        with pytest.raises(WebhookVerificationError):
            Webhook(rotated["secret"]).verify(sink.bodies[1], sink.headers[1])


async def test_an_endpoint_that_is_gone_is_left_alone_until_it_is_enabled_again(
    dsn: str, tmp_path: Path
) -> None:
    async with Sink.run() as sink, System.run(dsn, tmp_path, **ALLOWED) as system:
        made = await subscribe(system, sink, ["delivery.delivered"])
        path = f"/event-subscriptions/{made['subscription_id']}"
        sink.status = 410
        await system.call("POST", f"{path}/test")
        assert (await one_told(system, made))["status"] == "failed"
        assert (await system.call("GET", path)).body["blocked"] == "bounced"
        await system.call("POST", f"{path}/test")
        assert (await one_told(system, made))["status"] == "suppressed"
        sink.status = 200
        enabled = (await system.call("PATCH", path, {"enabled": True})).body
        assert enabled["blocked"] is None
        await system.call("POST", f"{path}/test")
        assert (await one_told(system, made))["status"] == "delivered"


async def test_one_that_is_slow_holds_up_no_other(dsn: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        **ALLOWED,
        "accounts": {"hooks": HOOKS},
        "worker": {"shutdown_grace": 0.5},
    }
    async with (
        Sink.run() as slow,
        Sink.run() as fast,
        Sink.run() as people,
        System.run(dsn, tmp_path, **options) as system,
    ):
        slow.delay = 60
        await subscribe(system, slow, ["delivery.delivered"])
        await subscribe(system, fast, ["delivery.delivered"])
        await system.template({"webhook": {}})
        await asyncio.gather(*(system.send({"webhook_url": people.url}) for _ in range(200)))
        await people.arrived(200)
        await fast.arrived(200)
        assert len(slow.seen) < 200


async def test_an_event_is_erased_with_the_user_that_it_is_of(
    dsn: str, tmp_path: Path, connection: Database
) -> None:
    async with Sink.run() as sink, System.run(dsn, tmp_path, **ALLOWED) as system:
        made = await subscribe(system, sink, ["delivery.delivered"])
        await system.template(FEED)
        await system.settled(await system.send({"user_id": "ada"}, metadata={"pet": "Fido"}))
        await one_told(system, made)
        assert (await system.call("POST", "/users/ada/erase", {})).status in (200, 202)
        rows = await connection.fetch("SELECT user_id FROM notifications WHERE user_id = 'ada'")
        assert rows == []


async def test_what_nobody_wants_is_not_recorded(
    dsn: str, tmp_path: Path, connection: Database
) -> None:
    async with Sink.run() as sink, System.run(dsn, tmp_path, working=False, **ALLOWED) as system:
        assert await enabled_triggers(connection) == set()
        made = await subscribe(system, sink, ["delivery.opened"])
        assert await enabled_triggers(connection) == {"receipts_fresh"}
        path = f"/event-subscriptions/{made['subscription_id']}"
        await system.call("PATCH", path, {"event_types": ["delivery.skipped"]})
        assert await enabled_triggers(connection) == {"deliveries_changed", "deliveries_fresh"}
        await system.call("PATCH", path, {"enabled": False})
        assert await enabled_triggers(connection) == set()
        await system.call("PATCH", path, {"enabled": True})
        assert (await system.call("DELETE", path)).status == 204
        assert await enabled_triggers(connection) == set()


async def enabled_triggers(connection: Database) -> set[str]:
    rows = await connection.fetch(
        """SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D' AND tgparentid = 0
             AND tgname IN ('deliveries_changed', 'deliveries_fresh', 'receipts_fresh')"""
    )
    return {row["tgname"] for row in rows}


async def test_it_is_shown_without_what_is_secret(
    dsn: str, tmp_path: Path, connection: Database
) -> None:
    async with Sink.run() as sink, System.run(dsn, tmp_path, working=False, **ALLOWED) as system:
        made = await subscribe(
            system, sink, ["delivery.failed"], name="shop", headers={"Authorization": "Bearer x1"}
        )
        listed = await system.call("GET", "/event-subscriptions")
        [shown] = listed.body["subscriptions"]
        assert shown == {name: value for name, value in made.items() if name != "secret"}
        assert shown["headers"] == ["Authorization"]
        assert "Bearer x1" not in str(listed.body)
        row = await connection.fetchrow("SELECT * FROM event_subscriptions")
        assert row is not None
        assert sink.url.encode() not in row["sealed"]
        for role in ("sender", "viewer", "editor"):
            refused = await system.call("GET", "/event-subscriptions", role=role)  # type: ignore[arg-type]
            assert refused.status == 403


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"url": "ftp://example.com"}, "url"),
        ({"event_types": []}, "event_types"),
        ({"event_types": ["delivery.pending"]}, "event_types.0"),
        ({"headers": {"Webhook-Id": "1"}}, ""),
        ({"headers": {"X-A": "b\r\nc: d"}}, "headers.X-A"),
        ({"categories": ["a:b"]}, "categories.0"),
        ({"more": 1}, "more"),
    ],
)
async def test_what_is_wrong_is_refused(
    dsn: str, tmp_path: Path, change: dict[str, Any], path: str
) -> None:
    async with System.run(dsn, tmp_path, working=False) as system:
        wish = {"url": "https://example.com", "event_types": ["delivery.sent"], **change}
        answer = await system.call("POST", "/event-subscriptions", wish)
        assert answer.status == 400
        assert answer.body["code"] == "invalid_request"
        assert [one["path"] for one in answer.body["errors"]] == [path]
        assert (await system.call("GET", "/event-subscriptions")).body["subscriptions"] == []
