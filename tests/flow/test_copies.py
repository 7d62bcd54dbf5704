"""reply_to, cc and bcc of a request: on the wire, in what is explained, at rest, and where they cannot be."""

import email
import email.policy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.api.problem import assert_problem
from tests.flow.test_delivery import smtp_account
from tests.providers.smtp_server import MailServer, mail_server
from tests.support.system import System
from tidings.api.problems import Code

pytestmark = pytest.mark.anyio

CONTENT = {
    "email": {"subject": "Order", "text": "It is on its way.", "reply_to": "shop@example.com"},
    "in_app": {"title": "Order", "body": "It is on its way."},
}
ADA = {"email": "ada@example.com"}
OPTIONS = {"reply_to": "help@example.com", "cc": ["bob@example.com"], "bcc": ["eve@example.com"]}


@pytest.fixture
async def mail() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


@pytest.fixture
async def system(dsn: str, tmp_path: Path, mail: MailServer) -> AsyncIterator[System]:
    async with System.run(dsn, tmp_path, accounts=smtp_account(mail.port)) as running:
        await running.template(CONTENT)
        yield running


def headers_of(mail: MailServer) -> Any:
    content = mail.envelopes[-1].original_content
    assert isinstance(content, bytes)
    return email.message_from_bytes(content, policy=email.policy.default)


async def suppress(system: System, address: str) -> None:
    body = {"channel": "email", "address": address, "reason": "manual"}
    answer = await system.call("POST", "/suppressions", body)
    assert answer.status in {200, 201}, answer.body


async def test_all_of_them_reach_the_mail_server(system: System, mail: MailServer) -> None:
    status = await system.settled(await system.send(ADA, email=OPTIONS))
    assert status["deliveries"][0]["status"] == "sent"
    (envelope,) = mail.envelopes
    assert envelope.rcpt_tos == ["ada@example.com", "bob@example.com", "eve@example.com"]
    got = headers_of(mail)
    assert (got["To"], got["Cc"], got["Reply-To"]) == (
        "ada@example.com",
        "bob@example.com",
        "help@example.com",
    )
    assert "eve" not in str(got)


async def test_what_is_not_said_is_the_templates(system: System, mail: MailServer) -> None:
    await system.settled(await system.send(ADA, email={"cc": ["bob@example.com"]}))
    assert headers_of(mail)["Reply-To"] == "shop@example.com"


async def test_in_bulk_each_has_its_own(system: System, mail: MailServer) -> None:
    one = {"template_id": "note", "recipient": ADA}
    body = {"notifications": [{**one, "email": {"cc": ["bob@example.com"]}}, one]}
    answer = await system.call("POST", "/notifications/bulk", body)
    for result in answer.body["results"]:
        await system.settled(result["notification_id"])
    found = sorted(len(envelope.rcpt_tos) for envelope in mail.envelopes)
    assert found == [1, 2]


async def test_each_address_gets_one_message(system: System, mail: MailServer) -> None:
    options = {
        "cc": ["Ada@example.com", "bob@example.com"],
        "bcc": ["BOB@example.com", "eve@example.com", "eve@example.com"],
    }
    await system.settled(await system.send(ADA, email=options))
    (envelope,) = mail.envelopes
    assert envelope.rcpt_tos == ["ada@example.com", "bob@example.com", "eve@example.com"]


async def test_a_suppressed_copy_is_left_out_and_explained(
    system: System, mail: MailServer
) -> None:
    await suppress(system, "bob@example.com")
    notification_id = await system.send(ADA, email=OPTIONS)
    await system.settled(notification_id)
    assert mail.envelopes[0].rcpt_tos == ["ada@example.com", "eve@example.com"]
    explained = await system.call("GET", f"/notifications/{notification_id}/explain")
    (delivery,) = explained.body["deliveries"]
    assert delivery["status"] == "sent"
    assert "copy_suppressed" in {step["code"] for step in delivery["steps"]}
    assert "bob" not in str(explained.body)


async def test_a_suppressed_recipient_has_no_copies_sent(system: System, mail: MailServer) -> None:
    await suppress(system, "ada@example.com")
    status = await system.settled(await system.send(ADA, email=OPTIONS))
    assert [one["status"] for one in status["deliveries"]] == ["suppressed"]
    assert mail.envelopes == []


async def test_another_channel_knows_nothing_of_them(system: System, mail: MailServer) -> None:
    recipient = {**ADA, "user_id": "ada"}
    sent = await system.send(recipient, email=OPTIONS, channel_preferences=["in_app"])
    status = await system.settled(sent)
    assert [one["status"] for one in status["deliveries"]] == ["delivered"]
    assert mail.envelopes == []


async def test_the_key_of_a_request_covers_them(system: System) -> None:
    body = {"template_id": "note", "recipient": ADA, "idempotency_key": "one"}
    first = await system.call("POST", "/notifications/send", {**body, "email": OPTIONS})
    again = await system.call("POST", "/notifications/send", {**body, "email": OPTIONS})
    assert first.body == again.body
    other = await system.call(
        "POST", "/notifications/send", {**body, "email": {**OPTIONS, "bcc": []}}
    )
    assert_problem(other, Code.IDEMPOTENCY_CONFLICT)


async def test_who_gets_a_copy_of_one_does_not_read_a_digest(
    system: System, mail: MailServer
) -> None:
    await system.template(
        {"email": {"subject": "{{ count }}", "text": "News"}}, "news", digest={"window": 3_600}
    )
    body = {"template_id": "news", "recipient": {**ADA, "user_id": "ada"}}
    gathered = await system.call("POST", "/notifications/send", body)
    assert gathered.status == 202, gathered.body
    answer = await system.call("POST", "/notifications/send", {**body, "email": OPTIONS})
    status = await system.settled(answer.body["notification_id"])
    assert status["deliveries"][0]["status"] == "sent"
    assert [len(one.rcpt_tos) for one in mail.envelopes] == [3]


async def test_where_no_account_sends_copies_the_request_is_refused(
    dsn: str, tmp_path: Path
) -> None:
    # In the place of the outbox of development, which would serve every channel.
    accounts = {"outbox": {"provider": "webhook", "secret": "whsec_" + "c2VjcmV0" * 4}}
    async with System.run(dsn, tmp_path, accounts=accounts, working=False) as system:
        await system.template(CONTENT)
        recipient = {**ADA, "user_id": "ada"}
        body = {"template_id": "note", "recipient": recipient}
        for name in ("cc", "bcc"):
            options = {name: ["bob@example.com"]}
            answer = await system.call("POST", "/notifications/send", {**body, "email": options})
            assert_problem(answer, Code.COPIES_NOT_SUPPORTED, f"email.{name}")
        answered = await system.send(recipient, email={"reply_to": "help@example.com"})
        assert await system.status(answered)


async def test_at_rest_they_are_sealed(dsn: str, tmp_path: Path, mail: MailServer) -> None:
    accounts = smtp_account(mail.port)
    async with System.run(dsn, tmp_path, accounts=accounts, working=False) as system:
        await system.template(CONTENT)
        notification_id = await system.send(ADA, email=OPTIONS)
    connection = await asyncpg.connect(dsn)
    try:
        (row,) = await connection.fetch("SELECT n::text AS shown, n.sealed FROM notifications n")
    finally:
        await connection.close()
    for name in ("help@", "bob@", "eve@"):
        assert name not in row["shown"]
        assert name.encode() not in row["sealed"]
    # What was accepted before the worker began is not lost.
    async with System.run(dsn, tmp_path, accounts=accounts) as system:
        await system.settled(notification_id)
    assert len(mail.envelopes[0].rcpt_tos) == 3
