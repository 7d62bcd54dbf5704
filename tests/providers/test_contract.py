"""Every provider passes the contract for sending. A new provider adds its harness and its class here."""

import asyncio
import base64
import contextlib
import email
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from tests.providers.apprise_stand import AppriseHarness
from tests.providers.http_server import Connection, HttpStandIn, Script, refusing_port
from tests.providers.smtp_server import HOST, Answer, Odd, ScriptedServer
from tests.providers.vendor_answers import VENDORS, WEBPUSH
from tests.providers.vendors import VendorHarness
from tidings.domain.channels import Channel
from tidings.domain.messages import Content, EmailContent, InAppContent, Message, WebhookContent
from tidings.domain.provider import Account, FieldValue, Manifest, Provider
from tidings.providers.catalogue import CATALOGUE
from tidings.providers.guard import Guard, read_allowed
from tidings.providers.guarded import GuardedHttp
from tidings.providers.inapp.manifest import MANIFEST as INAPP
from tidings.providers.inapp.send import inapp_provider
from tidings.providers.outbox.manifest import MANIFEST as OUTBOX
from tidings.providers.outbox.send import outbox_provider
from tidings.providers.smtp.manifest import MANIFEST as SMTP_MANIFEST
from tidings.providers.smtp.send import SmtpProvider
from tidings.providers.webhook.manifest import MANIFEST as WEBHOOK
from tidings.providers.webhook.send import WebhookProvider
from tidings.testing.sending import RETRY_AFTER, Case, Harness, SendingContract, Stand

MARK = "mark-inside-the-content"
SECRET = "password-of-the-account"
SHORT = 0.3  # seconds: the time-out of an account whose provider is slow


def message_to(address: str, channel: Channel, number: int) -> Message:
    contents: Mapping[Channel, Content] = {
        Channel.WEBHOOK: WebhookContent("order.paid", {"mark": MARK}),
        Channel.IN_APP: InAppContent(MARK, MARK),
        Channel.EMAIL: EmailContent(MARK, MARK, f"<p>{MARK}</p>"),
    }
    return Message(
        delivery_id=UUID(int=5000 + number),
        notification_id=UUID(int=1000),
        channel=channel,
        address=address,
        content=contents[channel],
        accepted_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def account_for(manifest: Manifest, case: Case = Case.TAKES, **values: FieldValue) -> Account:
    return Account(
        name="mine",
        provider=manifest.name,
        channels=manifest.channels,
        confirms_delivery=manifest.confirms_delivery,
        timeout=SHORT if case is Case.SLOW else 10.0,
        values={field.name: field.default for field in manifest.fields} | values,
    )


# --- webhook ----------------------------------------------------------------------------------


def answering(status: int, **headers: str) -> Script:
    async def script(connection: Connection) -> None:
        while True:
            received = await connection.read()
            head = received.method == "HEAD"
            await connection.answer(status, b"" if head else b"what the receiver says", **headers)

    return script


async def refuse_number_one(connection: Connection) -> None:
    while True:
        received = await connection.read()
        one = received.headers["webhook-id"] == str(UUID(int=5001))
        await connection.answer(400 if one else 200)


async def read_and_hang(connection: Connection) -> None:
    await connection.read()
    await connection.hang()


async def cut_before_reading(connection: Connection) -> None:
    await connection.read_some()
    connection.cut()


async def cut_after_reading(connection: Connection) -> None:
    await connection.read()
    connection.cut()


async def answer_nonsense(connection: Connection) -> None:
    await connection.read()
    await connection.write(b"EHLO what is this?\r\n\r\n")


async def answer_without_end(connection: Connection) -> None:
    await connection.read()
    await connection.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await connection.write(b"x" * 65_536)


HTTP_SCRIPTS: Mapping[Case, Script] = {
    Case.TAKES: answering(200),
    Case.REFUSES_FOR_NOW: answering(503),
    Case.REFUSES_FOR_GOOD: answering(400),
    Case.REFUSES_ONE: refuse_number_one,
    Case.REFUSES_CREDENTIALS: answering(401),
    Case.THROTTLES: answering(429, Retry_After=str(int(RETRY_AFTER))),
    Case.SLOW: read_and_hang,
    Case.CUT_BEFORE_READING: cut_before_reading,
    Case.CUT_AFTER_READING: cut_after_reading,
    Case.MALFORMED_ANSWER: answer_nonsense,
    Case.HUGE_ANSWER: answer_without_end,
}


class WebhookHarness:
    manifest = WEBHOOK
    not_applicable: Mapping[Case, str] = {
        Case.UNREADABLE_ANSWER: "the status alone counts; what else a receiver says is not read"
    }

    def __init__(self) -> None:
        self._secret = base64.b64encode(SECRET.encode() * 2).decode()
        self.secrets: Sequence[str] = (self._secret, SECRET, MARK)
        self._url = ""

    def message(self, number: int) -> Message:
        return message_to(self._url, Channel.WEBHOOK, number)

    @asynccontextmanager
    async def stand(self, case: Case) -> AsyncIterator[Stand]:
        async with contextlib.AsyncExitStack() as stack:
            server = HttpStandIn(HTTP_SCRIPTS.get(case, read_and_hang))
            if case is Case.UNREACHABLE:
                port = stack.enter_context(refusing_port())
                self._url = f"http://127.0.0.1:{port}/hook"
            else:
                await stack.enter_async_context(server)
                self._url = server.url()
            http = GuardedHttp(Guard(read_allowed(["127.0.0.1"])))
            stack.push_async_callback(http.close)
            account = account_for(WEBHOOK, case, url=self._url, secret=(f"whsec_{self._secret}",))
            yield Stand(
                WebhookProvider(account, http),
                taken=lambda: [
                    received.headers["webhook-id"]
                    for received in server.received
                    if received.method == "POST"
                ],
                answered=lambda: server.written,
            )


class TestWebhook(SendingContract):
    @pytest.fixture
    def harness(self) -> Harness:
        # The messages' address is only known with the stand-in's port.
        return WebhookHarness()


# --- in-app and outbox ------------------------------------------------------------------------


NO_CONNECTION = "it is Tidings' own database, which raises what its driver makes of any failure"
NO_ANSWER = "it is Tidings' own database, which answers nothing but that it is done"


class StoringHarness:
    """The database as a function: it stores, raises after it has stored, or hangs."""

    secrets: Sequence[str] = (SECRET, MARK)
    not_applicable: Mapping[Case, str] = {
        Case.REFUSES_FOR_NOW: NO_ANSWER,
        Case.REFUSES_FOR_GOOD: NO_ANSWER,
        Case.REFUSES_ONE: "it takes a batch whole or not at all",
        Case.REFUSES_CREDENTIALS: NO_ANSWER,
        Case.THROTTLES: NO_ANSWER,
        Case.UNREADABLE_ANSWER: NO_ANSWER,
        Case.UNREACHABLE: NO_CONNECTION,
        Case.CUT_BEFORE_READING: NO_CONNECTION,
        Case.MALFORMED_ANSWER: NO_ANSWER,
        Case.HUGE_ANSWER: NO_ANSWER,
    }

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest

    def message(self, number: int) -> Message:
        return message_to("user-hidden-1", Channel.IN_APP, number)

    @asynccontextmanager
    async def stand(self, case: Case) -> AsyncIterator[Stand]:
        kept: list[str] = []

        async def store(messages: Sequence[Message], account: str = "") -> None:
            kept.extend(str(message.delivery_id) for message in messages)
            if case is Case.CUT_AFTER_READING:
                raise ConnectionResetError(f"{SECRET} while storing {messages[0].address}: {MARK}")
            if case is Case.SLOW:
                await asyncio.Event().wait()

        account = account_for(self.manifest, case)
        provider: Provider = (
            inapp_provider(account, store)
            if self.manifest is INAPP
            else outbox_provider(account, store)
        )
        yield Stand(provider, taken=lambda: kept)


class TestInApp(SendingContract):
    @pytest.fixture
    def harness(self) -> Harness:
        return StoringHarness(INAPP)


class TestOutbox(SendingContract):
    @pytest.fixture
    def harness(self) -> Harness:
        return StoringHarness(OUTBOX)


# --- smtp -------------------------------------------------------------------------------------


class PickyMailServer(ScriptedServer):
    """Refuses the recipient of message number 1."""

    def _next_answer(self, name: str) -> Answer:
        if name == "RCPT" and self.commands and "number-1@" in self.commands[-1][1]:
            return "550 5.1.1 no such mailbox"
        return super()._next_answer(name)


SMTP_SCRIPTS: Mapping[Case, Mapping[str, Answer]] = {
    Case.REFUSES_FOR_NOW: {"CONTENT": "451 4.3.0 not now"},
    Case.REFUSES_FOR_GOOD: {"RCPT": f"550 5.1.1 <number-0@{SECRET}.example> is unknown"},
    Case.REFUSES_CREDENTIALS: {"AUTH": "535 5.7.8 no"},
    Case.SLOW: {"CONTENT": Odd.HANG},
    Case.CUT_BEFORE_READING: {"DATA": Odd.CUT},
    Case.CUT_AFTER_READING: {"CONTENT": Odd.CUT},
    Case.MALFORMED_ANSWER: {"CONTENT": "HTTP/1.1 200 OK"},
}


class EndlessMailServer:
    """Takes a message and answers with lines of one reply for ever. written: their bytes."""

    def __init__(self) -> None:
        self.written = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        replies = {
            b"EHLO": b"250-mail.example.com\r\n250 AUTH PLAIN\r\n",
            b"AUTH": b"235 2.7.0 Ok\r\n",
            b"DATA": b"354 go ahead\r\n",
        }
        # The test ends while it is still writing.
        with contextlib.suppress(
            ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
        ):
            writer.write(b"220 mail.example.com\r\n")
            verb = b""
            while verb != b"DATA":
                verb = (await reader.readuntil(b"\r\n"))[:4].upper()
                writer.write(replies.get(verb, b"250 Ok\r\n"))
            await reader.readuntil(b"\r\n.\r\n")
            while True:
                writer.write(b"250-and another thing\r\n" * 2000)
                await writer.drain()
                self.written += 2000 * len(b"250-and another thing\r\n")
        writer.close()


def delivery_of(content: bytes) -> str:
    found = re.search(r"<(.+)@", email.message_from_bytes(content)["message-id"])
    assert found
    return found[1]


class SmtpHarness:
    manifest = SMTP_MANIFEST
    secrets: Sequence[str] = (SECRET, MARK, base64.b64encode(SECRET.encode()).decode())
    not_applicable: Mapping[Case, str] = {
        Case.THROTTLES: "no reply of SMTP carries a time to wait",
        Case.UNREADABLE_ANSWER: "whether it is taken is in the code; the rest of a reply is free text",
    }

    def message(self, number: int) -> Message:
        return message_to(f"number-{number}@hidden.example", Channel.EMAIL, number)

    @asynccontextmanager
    async def stand(self, case: Case) -> AsyncIterator[Stand]:
        endless = EndlessMailServer()
        script: dict[str, Any] = dict(SMTP_SCRIPTS.get(case, {}))
        scripted = (PickyMailServer if case is Case.REFUSES_ONE else ScriptedServer)(
            extensions=("AUTH PLAIN",), **({"AUTH": "235 2.7.0 Ok"} | script)
        )
        serve = endless.serve if case is Case.HUGE_ANSWER else scripted.serve
        async with contextlib.AsyncExitStack() as stack:
            if case is Case.UNREACHABLE:
                port = stack.enter_context(refusing_port())
            else:
                server = await asyncio.start_server(serve, HOST, 0)
                stack.callback(scripted.cut_all)
                stack.callback(server.close)
                port = server.sockets[0].getsockname()[1]
            account = account_for(
                SMTP_MANIFEST,
                case,
                host=HOST,
                port=port,
                security="none",
                username="mailer",
                password=SECRET,
                **{"from": "Shop <shop@example.com>"},
            )
            yield Stand(
                SmtpProvider(account),
                taken=lambda: [delivery_of(content) for content in scripted.contents],
                answered=lambda: endless.written,
            )


class TestSmtp(SendingContract):
    @pytest.fixture
    def harness(self) -> Harness:
        return SmtpHarness()


# --- vendors of HTTP APIs ---------------------------------------------------------------------


class TestVendors(SendingContract):
    @pytest.fixture(params=VENDORS, ids=lambda vendor: vendor.name)
    def harness(self, request: pytest.FixtureRequest) -> Harness:
        return VendorHarness(request.param)


class TestWebPush(SendingContract):
    @pytest.fixture
    def harness(self) -> Harness:
        return VendorHarness(WEBPUSH)

    def test_check_says_that_the_provider_cannot_be_reached(self, harness: Harness) -> None:
        """There is no provider: each subscription names a push service of its own."""

        async def check() -> str:
            async with harness.stand(Case.UNREACHABLE) as stand:
                return await stand.provider.check()

        assert asyncio.run(check()).startswith("No service to try")


# --- what Apprise knows -------------------------------------------------------------------------


class TestApprise(SendingContract):
    @pytest.fixture
    def harness(self) -> Harness:
        return AppriseHarness()


def test_every_provider_passes_the_contract() -> None:
    known = {"apprise", WEBHOOK.name, INAPP.name, OUTBOX.name, SMTP_MANIFEST.name, WEBPUSH.name}
    assert known | {vendor.name for vendor in VENDORS} == set(CATALOGUE)
