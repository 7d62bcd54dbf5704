"""The contract's payload and answers, as written in the design."""

import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.support.system import System
from tidings.bootstrap.api import bind

pytestmark = pytest.mark.anyio

WELCOME = {
    "id": "welcome_email",
    "content": {
        "email": {
            "subject": "Welcome to {{ app_name }}",
            "html": "<p>Hi {{ user_name }}, <a href='{{ login_link }}'>log in</a></p>",
        },
        "push": {"title": "Welcome", "body": "Hi {{ user_name }}"},
    },
}
PAYLOAD = """
{ "template_id": "welcome_email",
  "recipient": {"email": "john.doe@example.com", "phone": "+15551234567", "user_id": "user-abc-123"},
  "channel_preferences": ["email", "push"],
  "data": {"user_name": "John Doe", "app_name": "My Awesome App", "login_link": "https://myapp.com/login"},
  "priority": "high",
  "correlation_id": "order-12345" }
"""


async def test_the_payload_as_written(system: System) -> None:
    assert (await system.call("POST", "/templates", WELCOME)).status == 201
    answer = await system.call("POST", "/notifications/send", raw=PAYLOAD.encode())
    assert answer.status == 202
    assert answer.headers("content-type") == "application/json"
    assert answer.body.keys() == {"notification_id"}

    status = await system.settled(answer.body["notification_id"])
    assert status["notification_id"] == answer.body["notification_id"]
    assert status["status"] == "delivered"
    assert status["channel"] == "email"
    assert status["correlation_id"] == "order-12345"
    assert status["priority"] == "high"
    assert_time(status["timestamp"])
    assert [event["type"] for event in status["events"]] == ["sent", "delivered"]
    for event in status["events"]:
        assert_time(event["timestamp"])
    by_channel = {one["channel"]: one for one in status["deliveries"]}
    assert by_channel.keys() == {"email", "push"}
    email = by_channel["email"]
    assert (email["provider"], email["status"], email["attempts"]) == ("outbox", "delivered", 1)
    assert email["reason"] == "stored"
    assert [event["type"] for event in email["events"]] == ["attempted", "sent", "delivered"]
    assert (by_channel["push"]["status"], by_channel["push"]["reason"]) == ("skipped", "no_address")

    (kept,) = (await system.call("GET", "/outbox")).body["messages"]
    assert kept["address"] == "john.doe@example.com"
    assert kept["content"]["subject"] == "Welcome to My Awesome App"
    assert "<p>Hi John Doe, " in kept["content"]["html"]
    assert "Hi John Doe, log in (https://myapp.com/login)" in kept["content"]["text"]


def assert_time(text: str) -> None:
    """RFC 3339 in UTC."""
    assert text.endswith("Z")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(text)) < timedelta(minutes=5)


async def test_without_preferences_every_channel_that_can_be_used(busy: System) -> None:
    recipient = {
        "user_id": "ann",
        "email": "ann@example.com",
        "phone": "+15551234567",
        "push_tokens": ["one", "two", "one"],
        "webhook_url": "https://example.com/hook",
        "chat_url": "https://example.com/chat",
    }
    status = await busy.settled(await busy.send(recipient, {"name": "Ann"}))
    channels = [one["channel"] for one in status["deliveries"]]
    assert channels == ["email", "sms", "push", "push", "in_app", "webhook", "chat"]
    assert {one["status"] for one in status["deliveries"]} == {"delivered"}
    assert {one["account"] for one in status["deliveries"]} == {"outbox", "inbox"}


async def test_routing_fallback_stops_at_the_first_success(busy: System) -> None:
    recipient = {"user_id": "ann", "email": "ann@example.com", "phone": "+15551234567"}
    status = await busy.settled(
        await busy.send(
            recipient,
            {"name": "Ann"},
            routing="fallback",
            channel_preferences=["push", "sms", "email", "in_app"],
        )
    )
    found = [(one["channel"], one["status"], one["reason"]) for one in status["deliveries"]]
    assert found == [
        ("push", "skipped", "no_address"),
        ("sms", "delivered", "stored"),
        ("email", "skipped", "fallback_not_needed"),
        ("in_app", "skipped", "fallback_not_needed"),
    ]
    assert (status["status"], status["channel"]) == ("delivered", "sms")


async def test_routing_fallback_goes_on_after_a_failure(busy: System) -> None:
    await busy.template(
        {"email": {"subject": "s", "text": "{{ missing }}"}, "sms": {"body": "{{ name }}"}},
        "half",
    )
    notification_id = await busy.send(
        {"email": "ann@example.com", "phone": "+15551234567"},
        {"name": "Ann"},
        template_id="half",
        routing="fallback",
        channel_preferences=["email", "sms"],
    )
    status = await busy.settled(notification_id)
    assert [(one["channel"], one["status"]) for one in status["deliveries"]] == [
        ("email", "failed"),
        ("sms", "delivered"),
    ]
    assert status["deliveries"][0]["reason"] == "undefined_variable"
    assert "missing" in status["deliveries"][0]["detail"]
    assert status["status"] == "delivered"


async def test_send_at_waits(quiet: System) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    notification_id = await quiet.send({"user_id": "ann"}, send_at=at.isoformat())
    status = await quiet.status(notification_id)
    assert datetime.fromisoformat(status["send_at"]) == at
    (delivery,) = status["deliveries"]
    assert delivery["status"] == "pending"
    assert datetime.fromisoformat(delivery["next_attempt_at"]) == at


async def test_send_at_with_an_offset_is_kept_in_utc(quiet: System) -> None:
    notification_id = await quiet.send({"user_id": "a"}, send_at="2100-06-01T02:00:00.5+02:00")
    assert (await quiet.status(notification_id))["send_at"] == "2100-06-01T00:00:00.500000Z"


async def test_send_at_in_the_past_is_sent_now(busy: System) -> None:
    notification_id = await busy.send(
        {"user_id": "ann"}, {"name": "Ann"}, send_at="2001-01-01T00:00:00Z"
    )
    assert (await busy.settled(notification_id))["status"] == "delivered"


async def test_expires_before_it_is_sent(busy: System) -> None:
    """Every channel of the fallback ends as expired; none is left waiting for its turn."""
    notification_id = await busy.send(
        {"user_id": "ann", "email": "ann@example.com"},
        {"name": "Ann"},
        routing="fallback",
        channel_preferences=["email", "in_app"],
        send_at="2100-01-01T00:00:00Z",
        expires_at="2100-01-02T00:00:00Z",
    )
    connection = await asyncpg.connect(busy.dsn)
    # Time passes: it expired yesterday, and is due now.
    await connection.execute(
        "UPDATE notifications SET expires_at = now() - interval '1 day' WHERE id = $1",
        notification_id,
    )
    await connection.execute(
        "UPDATE queue SET due_at = now() WHERE notification_id = $1", notification_id
    )
    await connection.close()
    status = await busy.settled(notification_id)
    assert [(one["status"], one["reason"]) for one in status["deliveries"]] == [
        ("expired", "expired"),
        ("expired", "expired"),
    ]
    assert [event["type"] for event in status["events"]] == ["expired"]


@pytest.mark.parametrize("priority", ["critical", "high", "medium", "low", None])
async def test_priorities(quiet: System, priority: str | None) -> None:
    more: dict[str, Any] = {} if priority is None else {"priority": priority}
    notification_id = await quiet.send({"user_id": "ann"}, **more)
    assert (await quiet.status(notification_id))["priority"] == (priority or "medium")


@pytest.mark.parametrize(
    "more",
    [
        {"metadata": {"order": "12", "ключ": "значение", "k" * 255: "v" * 1_000}},
        {"metadata": {str(number): "x" for number in range(50)}},
        {"on_unknown": "hold"},
        {"on_unknown": "resend"},
        {"collapse_key": "a" * 255},
        {"correlation_id": "заказ № 12 🎁"},
        {"idempotency_key": None, "send_at": None, "expires_at": None, "correlation_id": None},
        {"data": {"name": "Ann", "items": [1, 2.5, None, {"deep": [[]]}], "": "", "data": {}}},
        {"data": {"name": 2**64 - 1, "low": -(2**63), "tiny": 5e-324, "large": 1.7e308}},
    ],
    ids=lambda more: "-".join(more),
)
async def test_what_else_is_accepted(busy: System, more: dict[str, Any]) -> None:
    notification_id = await busy.send(
        {"user_id": "ann", "locale": "pt-BR", "timezone": "America/Sao_Paulo"},
        **{"data": {"name": "Ann"}, **more},
    )
    assert (await busy.settled(notification_id))["status"] == "delivered"


@pytest.mark.parametrize(
    "email",
    [
        "ann@example.com",
        "ann+tag@mail.example.co.uk",
        "o'brien@example.com",
        "ann@localhost.test",
        "用户@例え.jp",
        "ann@bücher.example",
        "a" * 64 + "@example.com",
    ],
)
async def test_email_addresses_of_all_kinds(busy: System, email: str) -> None:
    status = await busy.settled(await busy.send({"email": email}, {"name": "Ann"}))
    assert status["status"] == "delivered"
    kept = (await busy.call("GET", "/outbox?limit=1")).body["messages"][0]
    assert kept["address"] == email


async def test_health_and_metrics(busy: System) -> None:
    assert (await busy.call("GET", "/health/live")).body == {"status": "ok"}
    assert (await busy.call("GET", "/health/ready")).body == {"status": "ok"}
    await busy.settled(await busy.send({"user_id": "ann"}, {"name": "Ann"}, priority="critical"))
    await busy.call("GET", "/nope")
    text = (await busy.call("GET", "/metrics")).body
    assert 'tidings_notifications_accepted_total{priority="critical"}' in text
    assert 'tidings_requests_refused_total{code="not_found"}' in text
    assert 'tidings_queue_entries{priority="low",state="waiting"} 0.0' in text


def test_answers_do_not_wait_for_acknowledgements() -> None:
    """asyncio turns Nagle's algorithm off only for sockets that say that they speak TCP."""
    with bind("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP
