"""From the HTTP call to the other side: real SMTP, a signed webhook, the in-app feed, and the timeline."""

import email
import email.policy
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import asyncpg
import orjson
import pytest
from standardwebhooks.webhooks import Webhook

from tests.providers.smtp_server import MailServer, mail_server, scripted_server
from tests.support.sink import Sink
from tests.support.system import System

pytestmark = pytest.mark.anyio

SECRET = "whsec_" + "c2VjcmV0" * 4
WELCOME = {
    "email": {
        "subject": "Welcome to {{ app_name }}, {{ user_name }}",
        "html": '<h1>Hello {{ user_name }}</h1><p><a href="{{ login_link }}">Log in</a></p>',
        "text": "Hello {{ user_name }}\n\nLog in: {{ login_link }}\n",
    },
    "push": {"title": "Welcome", "body": "Hello {{ user_name }}"},
}
WELCOME_TEXT = "Hello John Doe Log in: https://myapp.com/login"
CONTRACT: dict[str, Any] = {
    "template_id": "welcome_email",
    "recipient": {
        "email": "john.doe@example.com",
        "phone": "+15551234567",
        "user_id": "user-abc-123",
    },
    "channel_preferences": ["email", "push"],
    "data": {
        "user_name": "John Doe",
        "app_name": "My Awesome App",
        "login_link": "https://myapp.com/login",
    },
    "priority": "high",
    "correlation_id": "order-12345",
}


def smtp_account(port: int, **more: Any) -> dict[str, Any]:
    return {
        "mail": {
            "provider": "smtp",
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
            "from": "Shop <shop@example.com>",
            **more,
        }
    }


def parsed(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)


@pytest.fixture
async def mail() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


async def test_the_contracts_payload_over_smtp(dsn: str, tmp_path: Path, mail: MailServer) -> None:
    async with System.run(dsn, tmp_path, accounts=smtp_account(mail.port)) as system:
        await system.template(WELCOME, "welcome_email")
        answer = await system.call("POST", "/notifications/send", CONTRACT)
        assert answer.status == 202
        assert answer.body.keys() == {"notification_id"}
        status = await system.settled(answer.body["notification_id"])

    (envelope,) = mail.envelopes
    assert envelope.mail_from == "shop@example.com"
    assert envelope.rcpt_tos == ["john.doe@example.com"]
    message = parsed(cast("bytes", envelope.original_content))
    assert message["From"] == "Shop <shop@example.com>"
    assert message["To"] == "john.doe@example.com"
    assert message["Subject"] == "Welcome to My Awesome App, John Doe"
    by_channel = {one["channel"]: one for one in status["deliveries"]}
    assert by_channel["email"]["delivery_id"] in message["Message-ID"]
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().split() == WELCOME_TEXT.split()
    assert '<a href="https://myapp.com/login">Log in</a>' in html.get_content()

    assert status["notification_id"] == answer.body["notification_id"]
    assert (status["status"], status["channel"]) == ("sent", "email")
    assert [event["type"] for event in status["events"]] == ["sent"]
    assert status["timestamp"] == status["events"][0]["timestamp"]
    assert by_channel["email"]["provider"] == "smtp"
    assert by_channel["email"]["attempts"] == 1
    assert (by_channel["push"]["status"], by_channel["push"]["reason"]) == ("skipped", "no_address")


async def test_a_mail_server_that_holds_the_mailboxes_confirms_delivery(
    dsn: str, tmp_path: Path, mail: MailServer
) -> None:
    accounts = smtp_account(mail.port, confirms_delivery=True)
    async with System.run(dsn, tmp_path, accounts=accounts) as system:
        await system.template(WELCOME, "welcome_email")
        answer = await system.call("POST", "/notifications/send", CONTRACT)
        status = await system.settled(answer.body["notification_id"])
    assert status["status"] == "delivered"
    assert [event["type"] for event in status["events"]] == ["sent", "delivered"]


async def test_one_notification_over_three_channels(
    dsn: str, tmp_path: Path, mail: MailServer
) -> None:
    accounts: dict[str, Any] = {
        **smtp_account(mail.port),
        "hooks": {"provider": "webhook", "secret": SECRET},
    }
    content = {
        "email": {"subject": "Order {{ order }}", "text": "It is on its way."},
        "webhook": {"type": "order.shipped", "payload": {"order": "{{ order }}", "weight": 3}},
        "in_app": {"title": "Order {{ order }}", "body": "It is on its way."},
    }
    outbound = {"allow": ["127.0.0.0/8"]}
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=accounts, outbound=outbound) as system,
    ):
        await system.template(content)
        recipient = {"email": "ada@example.com", "user_id": "ada", "webhook_url": sink.url}
        status = await system.settled(await system.send(recipient, {"order": "A-1"}))
        feed = (await system.call("GET", "/users/ada/inbox")).body

    assert {one["channel"]: one["status"] for one in status["deliveries"]} == {
        "email": "sent",
        "in_app": "delivered",
        "webhook": "delivered",
    }
    assert len(mail.envelopes) == 1
    (body,), (headers,) = sink.bodies, sink.headers
    Webhook(SECRET).verify(body, headers)
    event = orjson.loads(body)
    assert (event["type"], event["data"]) == ("order.shipped", {"order": "A-1", "weight": 3})
    assert (feed["unread"], feed["entries"][0]["title"]) == (1, "Order A-1")


async def test_retried_until_the_receiver_takes_it(dsn: str, tmp_path: Path) -> None:
    accounts = {"hooks": {"provider": "webhook", "secret": SECRET}}
    options: dict[str, Any] = {"outbound": {"allow": ["127.0.0.0/8"]}, "retry": {"base": 0.05}}
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=accounts, **options) as system,
    ):
        sink.status = 503
        await system.template({"webhook": {}})
        notification_id = await system.send({"webhook_url": sink.url})
        await sink.times(2)
        waiting = await system.status(notification_id)
        assert waiting["status"] == "pending"
        sink.status = 200
        status = await system.settled(notification_id)
    (delivery,) = status["deliveries"]
    attempted = [event for event in delivery["events"] if event["type"] == "attempted"]
    assert delivery["status"] == "delivered"
    assert len(attempted) == delivery["attempts"] == sum(sink.seen.values()) >= 3
    assert [event["reason"] for event in attempted[:2]] == ["provider_unavailable"] * 2
    assert attempted[-1]["outcome"] == "accepted"


async def test_gives_up_after_the_last_attempt(dsn: str, tmp_path: Path) -> None:
    accounts = {"hooks": {"provider": "webhook", "secret": SECRET}}
    options: dict[str, Any] = {
        "outbound": {"allow": ["127.0.0.0/8"]},
        "retry": {"base": 0, "attempts": 3},
    }
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=accounts, **options) as system,
    ):
        sink.status = 500
        await system.template({"webhook": {}})
        status = await system.settled(await system.send({"webhook_url": sink.url}))
    (delivery,) = status["deliveries"]
    assert (delivery["status"], delivery["reason"]) == ("failed", "attempts_exhausted")
    assert sum(sink.seen.values()) == 3


async def test_retry_after_is_kept(dsn: str, tmp_path: Path) -> None:
    accounts = {"hooks": {"provider": "webhook", "secret": SECRET}}
    options: dict[str, Any] = {"outbound": {"allow": ["127.0.0.0/8"]}, "retry": {"base": 0}}
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=accounts, **options) as system,
    ):
        sink.status, sink.retry_after = 429, 600
        await system.template({"webhook": {}})
        notification_id = await system.send({"webhook_url": sink.url})
        await sink.arrived(1)
        (delivery,) = (await system.until(notification_id, lambda one: one["attempts"] == 1))[
            "deliveries"
        ]
    assert (delivery["status"], delivery["reason"]) == ("pending", "provider_throttled")
    first = delivery["events"][0]["timestamp"]
    assert delivery["next_attempt_at"][:13] >= first[:13]
    assert delivery["next_attempt_at"] > first


async def test_fallback_goes_on_to_the_next_channel(dsn: str, tmp_path: Path) -> None:
    async with (
        scripted_server(RCPT="550 5.1.1 no such user") as server,
        System.run(dsn, tmp_path, accounts=smtp_account(server.port)) as system,
    ):
        await system.template(
            {
                "email": {"subject": "s", "text": "t"},
                "sms": {"body": "b"},
                "in_app": {"title": "t", "body": "b"},
            }
        )
        recipient = {"email": "gone@example.com", "phone": "+15551234567", "user_id": "u"}
        channels = ["email", "in_app", "sms"]
        notification_id = await system.send(
            recipient, routing="fallback", channel_preferences=channels
        )
        status = await system.settled(notification_id)
        again = await system.settled(await system.send(recipient, channel_preferences=["email"]))
    found = {one["channel"]: (one["status"], one["reason"]) for one in status["deliveries"]}
    assert found == {
        "email": ("failed", "mailbox_not_found"),
        "in_app": ("delivered", "stored"),
        "sms": ("skipped", "fallback_not_needed"),
    }
    assert status["status"] == "delivered"
    assert again["deliveries"][0]["status"] == "suppressed", "a dead address is not tried again"


async def test_fallback_stops_where_the_outcome_is_unknown(dsn: str, tmp_path: Path) -> None:
    """The first channel may have reached the person: trying the next could tell them twice."""
    accounts = {"hooks": {"provider": "webhook", "secret": SECRET, "timeout": 0.5}}
    options: dict[str, Any] = {"outbound": {"allow": ["127.0.0.0/8"]}}
    content = {"webhook": {}, "in_app": {"title": "t", "body": "b"}}
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=accounts, **options) as system,
    ):
        sink.delay = 30
        await system.template(content, on_unknown="hold")
        recipient = {"webhook_url": sink.url, "user_id": "u"}
        channels = ["webhook", "in_app"]
        notification_id = await system.send(
            recipient, routing="fallback", channel_preferences=channels
        )
        status = await system.settled(notification_id)
    assert [(one["status"], one["reason"]) for one in status["deliveries"]] == [
        ("unknown", "timed_out"),
        ("skipped", "fallback_held"),
    ]


async def test_a_template_that_no_longer_compiles_fails_alone(
    dsn: str, tmp_path: Path, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async with System.run(dsn, tmp_path) as system:
        for name in ("good", "broken"):
            await system.template({"in_app": {"title": "t", "body": "b {{ 1 }}"}}, name)
        await connection.execute(
            "UPDATE template_versions SET content = $1 WHERE template_id = 'broken'",
            '{"in_app": {"title": "t", "body": "{% if %}"}}',
        )
        broken = await system.settled(await system.send({"user_id": "u"}, template_id="broken"))
        good = await system.settled(await system.send({"user_id": "u"}, template_id="good"))
    assert broken["deliveries"][0]["reason"] == "rendering_failed"
    assert good["status"] == "delivered"


async def test_expired_before_it_could_be_sent(dsn: str, tmp_path: Path) -> None:
    accounts = {"hooks": {"provider": "webhook", "secret": SECRET}}
    options: dict[str, Any] = {"outbound": {"allow": ["127.0.0.0/8"]}, "retry": {"base": 0.2}}
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=accounts, **options) as system,
    ):
        sink.status = 503
        await system.template({"webhook": {}})
        soon = system.from_now(1.5)
        status = await system.settled(await system.send({"webhook_url": sink.url}, expires_at=soon))
    (delivery,) = status["deliveries"]
    assert (delivery["status"], delivery["reason"]) == ("expired", "expired")
    assert delivery["attempts"] >= 1


async def test_the_guard_refuses_private_addresses(dsn: str, tmp_path: Path) -> None:
    accounts = {"hooks": {"provider": "webhook", "secret": SECRET}}
    async with Sink.run() as sink, System.run(dsn, tmp_path, accounts=accounts) as system:
        await system.template({"webhook": {}})
        status = await system.settled(await system.send({"webhook_url": sink.url}))
    assert not sink.seen
    assert status["deliveries"][0]["reason"] == "address_forbidden"


async def test_a_scheduled_notification_waits_for_its_time(dsn: str, tmp_path: Path) -> None:
    async with System.run(dsn, tmp_path) as system:
        await system.template({"in_app": {"title": "t", "body": "b"}})
        notification_id = await system.send({"user_id": "u"}, send_at=system.from_now(1))
        waiting = await system.status(notification_id)
        status = await system.settled(notification_id)
    assert waiting["status"] == "pending"
    assert status["deliveries"][0]["status"] == "delivered"
    assert status["timestamp"] >= status["send_at"]
