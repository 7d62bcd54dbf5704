"""Vendors of HTTP APIs before a stand-in that plays what they document."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tests.providers.http_server import Connection, HttpStandIn, Received, Script, refusing_port
from tidings.domain.channels import Channel
from tidings.domain.messages import ChatContent, EmailContent, Message, PushContent, SmsContent
from tidings.domain.outcomes import Outcome
from tidings.domain.provider import Account, FieldValue, Manifest, Provider
from tidings.providers.catalogue import MANIFESTS, Ports, provider_of
from tidings.providers.http_client import HttpClient
from tidings.testing.sending import RETRY_AFTER, Case, Stand

MARK = "mark-inside-the-content"
SECRET = "secret-of-the-account"
SIGN_IN = "/token"
SHORT = 0.3  # seconds: the time-out of an account whose provider is slow
NOTIFICATION = UUID(int=1000)
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Reply:
    """What the stand-in answers. body: text as it is, anything else as JSON."""

    status: int = 200
    body: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


def delivery(number: int) -> UUID:
    return UUID(int=5000 + number)


def email(number: int = 0, content: EmailContent | None = None, **changes: Any) -> Message:
    values: dict[str, Any] = {
        "delivery_id": delivery(number),
        "notification_id": NOTIFICATION,
        "channel": Channel.EMAIL,
        "address": f"number-{number}@hidden.example",
        "content": content or EmailContent(f"Hello {MARK}", f"Text {MARK}", f"<p>{MARK}</p>"),
        "accepted_at": NOW,
    }
    return Message(**values | changes)


def sms(number: int = 0, body: str = f"Your code is 1234. {MARK}", **changes: Any) -> Message:
    values: dict[str, Any] = {
        "delivery_id": delivery(number),
        "notification_id": NOTIFICATION,
        "channel": Channel.SMS,
        "address": f"+1415555{number:04d}",
        "content": SmsContent(body),
        "accepted_at": NOW,
    }
    return Message(**values | changes)


def chat(address: str, number: int = 0, body: str = "") -> Message:
    return Message(
        delivery_id=delivery(number),
        notification_id=NOTIFICATION,
        channel=Channel.CHAT,
        address=address,
        content=ChatContent(body or f"Call 1415555{number:04d}. {MARK}"),
        accepted_at=NOW,
    )


def push(address: str, number: int = 0, title: str = "Hello", **changes: Any) -> Message:
    values: dict[str, Any] = {
        "delivery_id": delivery(number),
        "notification_id": NOTIFICATION,
        "channel": Channel.PUSH,
        "address": address,
        "content": PushContent(title, f"There {MARK}", "https://example.com/orders/7"),
        "accepted_at": NOW,
    }
    return Message(**values | changes)


def account(
    name: str, endpoint: str, timeout: float = 10.0, **values: FieldValue
) -> tuple[Manifest, Account]:
    manifest = MANIFESTS[name]
    defaults = {one.name: one.default for one in manifest.fields}
    return manifest, Account(
        name="mine",
        provider=name,
        channels=manifest.channels,
        confirms_delivery=manifest.confirms_delivery,
        timeout=timeout,
        values={**defaults, "endpoint": endpoint, **values},
    )


async def no_store(*_: object) -> None:
    raise AssertionError("vendors store nothing with us")


@asynccontextmanager
async def opened(
    name: str, endpoint: str, timeout: float = 10.0, **values: FieldValue
) -> AsyncIterator[Provider]:
    _, configured = account(name, endpoint, timeout, **values)
    http = HttpClient()
    ports = Ports(http, http, no_store, no_store, clock=lambda: NOW.timestamp())
    try:
        yield provider_of(configured, ports)
    finally:
        await http.close()


def exchange(
    name: str, values: Mapping[str, FieldValue], messages: Sequence[Message], *replies: Reply
) -> tuple[list[Outcome], list[Received]]:
    """Send them to a stand-in that gives these answers, one a request, the last one for all further."""

    async def run() -> tuple[list[Outcome], list[Received]]:
        left = list(replies)

        async def script(connection: Connection) -> None:
            while True:
                await connection.read()
                await answer(connection, left.pop(0) if len(left) > 1 else left[0])

        async with (
            HttpStandIn(script) as server,
            opened(name, server.url(""), 10.0, **at_url(values, server.url(""))) as vendor,
        ):
            return list(await vendor.send(messages)), server.received

    return asyncio.run(run())


async def answer(connection: Connection, reply: Reply) -> None:
    await connection.answer(reply.status, reply.data, **reply.headers)


def at_url(values: Mapping[str, FieldValue], url: str) -> Mapping[str, FieldValue]:
    return {
        name: value.replace("{url}", url) if isinstance(value, str) else value
        for name, value in values.items()
    }


# --- the contract for sending ------------------------------------------------------------------


_IDS = re.compile(r"00000000-0000-0000-0000-00000000[0-9a-f]{4}")
_NUMBERS = re.compile(r"1415555(\d{4})")


def ids(received: Received) -> list[str]:
    """The deliveries that a request is about: by their ids, else by their numbers."""
    text = received.body.decode("utf-8", "replace")
    found = dict.fromkeys(one for one in _IDS.findall(text) if one != str(NOTIFICATION))
    return [*found] or [str(delivery(int(number))) for number in _NUMBERS.findall(text)[:1]]


@dataclass(frozen=True)
class Vendor:
    """How one vendor answers. taken: to a request that it takes. refused: of message number 1, as part of
    `taken`'s call or as all of it; lasting: the same for any message. unreadable: a 2xx that is none of its
    own; None where the body is not read. probed: to what check() asks. address: of a chat or a device. signs_in: to a request
    that comes before the messages; None for any other. about: the deliveries in a request. In values and address, {url} is
    the stand-in."""

    name: str
    values: Mapping[str, FieldValue]
    taken: Callable[[Received], Reply]
    refuses_one: Callable[[Received], Reply]
    lasting: Callable[[Received], Reply]
    throttled: Reply
    refused_credentials: Reply
    unreadable: Reply | None = field(default_factory=lambda: Reply(200, "<html>hello</html>"))
    unavailable: Reply = field(default_factory=lambda: Reply(503))
    probed: Reply = field(default_factory=Reply)
    keys: Callable[[Received], str | None] = lambda _: None
    secrets: tuple[str, ...] = (SECRET,)
    address: str = ""
    signs_in: Callable[[Received], Reply | None] = lambda _: None
    about: Callable[[Received], list[str]] = ids

    def values_at(self, url: str) -> Mapping[str, FieldValue]:
        return at_url(self.values, url)


class VendorHarness:
    """Any vendor, for SendingContract."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._url = ""
        self.manifest = MANIFESTS[vendor.name]
        self.secrets: Sequence[str] = (*vendor.secrets, MARK)
        self.not_applicable: Mapping[Case, str] = (
            {Case.UNREADABLE_ANSWER: "the status alone says that it is taken"}
            if vendor.unreadable is None
            else {}
        )

    def message(self, number: int) -> Message:
        if Channel.CHAT in self.manifest.channels:
            return chat(self._vendor.address, number)
        if Channel.PUSH in self.manifest.channels:
            return push(self._vendor.address.replace("{url}", self._url), number)
        return email(number) if Channel.EMAIL in self.manifest.channels else sms(number)

    @asynccontextmanager
    async def stand(self, case: Case) -> AsyncIterator[Stand]:
        server = HttpStandIn(self._script(case))
        async with AsyncExitStack() as stack:
            if case is Case.UNREACHABLE:
                url = f"http://127.0.0.1:{stack.enter_context(refusing_port())}"
            else:
                await stack.enter_async_context(server)
                url = server.url("")
            self._url = url
            timeout = SHORT if case is Case.SLOW else 10.0
            provider = await stack.enter_async_context(
                opened(self._vendor.name, url, timeout, **self._vendor.values_at(url))
            )
            yield Stand(
                provider,
                taken=lambda: [one for r in server.received for one in self._vendor.about(r)],
                answered=lambda: server.written,
                keys=lambda: [key for r in server.received if (key := self._vendor.keys(r))],
            )

    def _script(self, case: Case) -> Script:
        vendor = self._vendor
        throttled = Reply(
            vendor.throttled.status,
            vendor.throttled.body,
            {"Retry-After": str(int(RETRY_AFTER)), **vendor.throttled.headers},
        )
        replies: Mapping[Case, Callable[[Received], Reply]] = {
            Case.TAKES: lambda r: vendor.taken(r) if vendor.about(r) else vendor.probed,
            Case.REFUSES_FOR_NOW: lambda _: vendor.unavailable,
            Case.REFUSES_FOR_GOOD: vendor.lasting,
            Case.REFUSES_ONE: vendor.refuses_one,
            Case.REFUSES_CREDENTIALS: lambda _: vendor.refused_credentials,
            Case.THROTTLES: lambda _: throttled,
            Case.UNREADABLE_ANSWER: lambda _: vendor.unreadable or Reply(),
        }
        if case in replies:
            return answering(lambda r: vendor.signs_in(r) or replies[case](r))
        return after_signing_in(vendor, MISBEHAVING[case])


def answering(reply: Callable[[Received], Reply]) -> Script:
    async def script(connection: Connection) -> None:
        while True:
            await answer(connection, reply(await connection.read()))

    return script


def after_signing_in(vendor: Vendor, script: Script) -> Script:
    """The script; from the second request on, where one signs in by the first."""
    signed_in = vendor.signs_in(Received("POST", SIGN_IN, {}, b"")) is None

    async def run(connection: Connection) -> None:
        nonlocal signed_in
        if not signed_in:
            signed_in = True
            reply = vendor.signs_in(await connection.read())
            assert reply is not None
            await answer(connection, reply)
        await script(connection)

    return run


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


MISBEHAVING: Mapping[Case, Script] = {
    Case.SLOW: read_and_hang,
    Case.UNREACHABLE: read_and_hang,
    Case.CUT_BEFORE_READING: cut_before_reading,
    Case.CUT_AFTER_READING: cut_after_reading,
    Case.MALFORMED_ANSWER: answer_nonsense,
    Case.HUGE_ANSWER: answer_without_end,
}
