"""Webhooks: what the receiver gets, and what is made of its answer."""

import asyncio
import base64
import hmac
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import UUID

import pytest
import svix.webhooks
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from tests.providers.http_server import Connection, HttpStandIn, Received, refusing_port
from tidings.domain.channels import Channel
from tidings.domain.messages import JSON, Message, SmsContent, WebhookContent
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.provider import Account, ProviderCheckError
from tidings.domain.reasons import Reason
from tidings.providers.guard import Guard, read_allowed
from tidings.providers.guarded import GuardedHttp
from tidings.providers.webhook.manifest import MANIFEST
from tidings.providers.webhook.send import WebhookProvider
from tidings.providers.webhook.signing import read_secret
from tidings.settings import SettingsError

pytestmark = pytest.mark.anyio

OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW = "whsec_" + base64.b64encode(bytes(range(64))).decode()


def account(*secrets: str, url: str | None = None, timeout: float = 5.0) -> Account:
    return Account(
        name="hooks",
        provider="webhook",
        channels=(Channel.WEBHOOK,),
        confirms_delivery=True,
        timeout=timeout,
        values={"url": url, "secret": secrets or (OLD,)},
    )


def message(
    url: str, payload: JSON = None, *, number: int = 1, type_: str = "order.paid"
) -> Message:
    return Message(
        delivery_id=UUID(int=number),
        notification_id=UUID(int=1000),
        channel=Channel.WEBHOOK,
        address=url,
        content=WebhookContent(type_, payload),
        accepted_at=datetime(2026, 11, 3, 20, 26, 10, 344522, tzinfo=UTC),
    )


def guarded() -> GuardedHttp:
    return GuardedHttp(Guard(read_allowed(["127.0.0.1"])), connect_timeout=2)


async def deliver(
    server: HttpStandIn, *messages: Message, of: Account | None = None, clock: float | None = None
) -> list[Outcome]:
    http = guarded()
    provider = WebhookProvider(
        of or account(), http, clock=time.time if clock is None else lambda: clock
    )
    try:
        return list(await provider.send(messages or [message(server.url())]))
    finally:
        await http.close()


async def answered(status: int, clock: float | None = None, **headers: str) -> Outcome:
    """The outcome of a webhook whose receiver answers this."""

    async def script(connection: Connection) -> None:
        await connection.read()
        await connection.answer(status, b"", **headers)

    async with HttpStandIn(script) as server:
        [outcome] = await deliver(server, clock=clock)
    return outcome


def verified(received: Received, secret: str) -> object:
    return Webhook(secret).verify(received.body, received.headers)


async def test_receiver_verifies_the_signature() -> None:
    async with HttpStandIn() as server:
        [outcome] = await deliver(server, message(server.url("/in?tenant=1"), {"order": 12}))
    assert outcome == Accepted(detail="HTTP 200")
    [received] = server.received
    assert (received.method, received.target) == ("POST", "/in?tenant=1")
    assert received.headers["content-type"] == "application/json"
    assert verified(received, OLD) == {
        "type": "order.paid",
        "timestamp": "2026-11-03T20:26:10.344522Z",
        "data": {"order": 12},
    }
    with pytest.raises(WebhookVerificationError):
        verified(received, NEW)


async def test_every_secret_signs_while_one_replaces_another() -> None:
    async with HttpStandIn() as server:
        await deliver(server, of=account(NEW, OLD))
    [received] = server.received
    assert verified(received, OLD) == verified(received, NEW)


async def test_the_other_library_verifies_it_too() -> None:
    async with HttpStandIn() as server:
        await deliver(server, message(server.url(), {"a": 1}), of=account(NEW, OLD))
        [received] = server.received
    for secret in (OLD, NEW):
        svix.webhooks.Webhook(secret).verify(received.body, received.headers)
    with pytest.raises(svix.webhooks.WebhookVerificationError):
        svix.webhooks.Webhook(OLD).verify(received.body + b" ", received.headers)


async def test_headers_of_the_account_go_with_each_call() -> None:
    mine = replace(
        account(), values={"secret": (OLD,), "headers": ("X-Gateway: a b", "x-Team:shop")}
    )
    async with HttpStandIn() as server:
        await deliver(server, of=mine)
        [received] = server.received
    assert (received.headers["x-gateway"], received.headers["x-team"]) == ("a b", "shop")
    assert received.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "line", ["X", "X:", ": y", "X Y: z", "X: a\r\nY: b", "X: é", "Host: x", "Webhook-Id: 1"]
)
def test_what_is_no_header_of_an_account(line: str) -> None:
    mine = replace(account(), values={"secret": (OLD,), "headers": (line,)})
    with pytest.raises(SettingsError, match=r"accounts\.hooks\.headers"):
        WebhookProvider(mine, guarded())


async def test_id_stays_and_timestamp_moves_over_attempts() -> None:
    async with HttpStandIn() as server:
        for now in (1_700_000_000.9, 1_700_000_060.1):
            await deliver(server, message(server.url(), number=7), clock=now)
    first, second = (received.headers for received in server.received)
    assert first["webhook-id"] == second["webhook-id"] == str(UUID(int=7))
    assert (first["webhook-timestamp"], second["webhook-timestamp"]) == (
        "1700000000",
        "1700000060",
    )
    assert first["webhook-signature"] != second["webhook-signature"]


async def test_several_messages_in_one_call() -> None:
    async with HttpStandIn() as server:
        messages = [message(server.url(f"/{n}"), n, number=n) for n in range(1, 6)]
        messages[2] = message("http://10.0.0.1/", number=3)
        outcomes = await deliver(server, *messages)
    assert outcomes[2] == Permanent(Reason.ADDRESS_FORBIDDEN, detail="private address")
    assert [type(outcome) for outcome in outcomes[:2] + outcomes[3:]] == [Accepted] * 4
    assert {r.target: r.headers["webhook-id"] for r in server.received} == {
        f"/{n}": str(UUID(int=n)) for n in (1, 2, 4, 5)
    }


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=10,
)


@settings(max_examples=40, deadline=None)
@given(payload=JSON_VALUES, type_=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_payload_arrives_signed_and_intact(payload: JSON, type_: str) -> None:
    async def run() -> Received:
        async with HttpStandIn() as server:
            await deliver(server, message(server.url(), payload, type_=type_))
        return server.received[0]

    received = asyncio.run(run())
    verified(received, OLD)
    body = json.loads(received.body)
    assert (body["type"], body["data"]) == (type_, payload)


@pytest.mark.parametrize("payload", [2**64, "\ud800", {"a": [-(2**63) - 1]}])
async def test_payload_that_is_not_json_is_refused(payload: JSON) -> None:
    async with HttpStandIn() as server:
        outcomes = await deliver(server, message(server.url(), payload))
    assert outcomes == [Permanent(Reason.CONTENT_REJECTED, detail="not a JSON payload")]
    assert server.connections == 0


async def test_content_of_another_channel_is_refused() -> None:
    wrong = Message(
        delivery_id=UUID(int=1),
        notification_id=UUID(int=2),
        channel=Channel.SMS,
        address="http://127.0.0.1/",
        content=SmsContent("hello"),
        accepted_at=datetime.now(UTC),
    )
    async with HttpStandIn() as server:
        outcomes = await deliver(server, wrong)
    assert outcomes == [Permanent(Reason.CONTENT_REJECTED, detail="not a JSON payload")]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_taken(status: int) -> None:
    assert await answered(status) == Accepted(detail=f"HTTP {status}")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (101, Unknown(Reason.MALFORMED_ANSWER)),
        (301, Permanent(Reason.PROVIDER_REJECTED)),
        (302, Permanent(Reason.PROVIDER_REJECTED)),
        (304, Permanent(Reason.PROVIDER_REJECTED)),
        (307, Permanent(Reason.PROVIDER_REJECTED)),
        (308, Permanent(Reason.PROVIDER_REJECTED)),
        (400, Permanent(Reason.PROVIDER_REJECTED)),
        (401, Transient(Reason.CREDENTIALS_REFUSED)),
        (403, Transient(Reason.CREDENTIALS_REFUSED)),
        (404, Permanent(Reason.PROVIDER_REJECTED)),
        (405, Permanent(Reason.PROVIDER_REJECTED)),
        (408, Transient(Reason.PROVIDER_UNAVAILABLE)),
        (409, Transient(Reason.PROVIDER_UNAVAILABLE)),
        (410, Permanent(Reason.ENDPOINT_GONE, suppress=True)),
        (413, Permanent(Reason.MESSAGE_TOO_LARGE)),
        (418, Permanent(Reason.PROVIDER_REJECTED)),
        (422, Permanent(Reason.PROVIDER_REJECTED)),
        (425, Transient(Reason.PROVIDER_UNAVAILABLE)),
        (429, Transient(Reason.PROVIDER_THROTTLED)),
        (500, Transient(Reason.PROVIDER_UNAVAILABLE)),
        (502, Transient(Reason.PROVIDER_UNAVAILABLE)),
        (503, Transient(Reason.PROVIDER_UNAVAILABLE)),
        (504, Unknown(Reason.TIMED_OUT)),
        (599, Transient(Reason.PROVIDER_UNAVAILABLE)),
        (600, Unknown(Reason.MALFORMED_ANSWER)),
        (999, Unknown(Reason.MALFORMED_ANSWER)),
    ],
)
async def test_not_taken(status: int, outcome: Outcome) -> None:
    found = await answered(status)
    assert type(found) is type(outcome)
    assert found.reason is outcome.reason
    assert found.detail == f"HTTP {status}"
    if isinstance(found, Permanent):
        assert found.suppress == (status == 410)


@pytest.mark.parametrize("status", [401, 403, 408, 425, 429, 500, 503])
async def test_retry_after(status: int) -> None:
    outcome = await answered(status, Retry_After="17")
    assert isinstance(outcome, Transient)
    assert outcome.retry_after == 17


async def test_retry_after_as_a_date() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    date = format_datetime(now + timedelta(seconds=90), usegmt=True)
    outcome = await answered(503, clock=now.timestamp(), Retry_After=date)
    assert isinstance(outcome, Transient)
    assert outcome.retry_after == 90


@pytest.mark.parametrize("url", ["", "hook", "ftp://h.example/x", "http://"])
async def test_address_that_is_no_url(url: str) -> None:
    async with HttpStandIn() as server:
        [outcome] = await deliver(server, message(url))
    assert isinstance(outcome, Permanent)
    assert outcome.reason is Reason.ADDRESS_INVALID


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_short",
        "whsec_not base64!",
        "whsec_" + "A" * 200,
        "whsec_ÄÖÜ" + "A" * 32,
    ],
)
def test_secret_that_cannot_be_used(secret: str) -> None:
    http_never_called = None
    with pytest.raises(SettingsError, match=r"accounts\.hooks\.secret") as raised:
        WebhookProvider(account(OLD, secret), http_never_called)  # type: ignore[arg-type] # unused
    body = secret.removeprefix("whsec_")
    assert not body or body not in str(raised.value)


def test_no_secret() -> None:
    nothing = Account("hooks", "webhook", (Channel.WEBHOOK,), True, 5, values={})
    with pytest.raises(SettingsError, match="required"):
        WebhookProvider(nothing, None)  # type: ignore[arg-type] # not called


@given(st.binary(min_size=24, max_size=64))
def test_secret_is_read_with_and_without_prefix(key: bytes) -> None:
    text = base64.b64encode(key).decode()
    expected = hmac.digest(key, b"", "sha256")
    assert read_secret(text).digest() == read_secret(f" whsec_{text}\n").digest() == expected


async def test_check_reaches_the_endpoint_with_head() -> None:
    async with HttpStandIn() as server:
        http = guarded()
        provider = WebhookProvider(account(url=server.url()), http)
        assert await provider.check() == "The endpoint can be reached (HTTP 200 to HEAD)."
        await http.close()
    assert [received.method for received in server.received] == ["HEAD"]


async def test_check_without_an_endpoint() -> None:
    http = guarded()
    assert "recipients bring theirs" in await WebhookProvider(account(), http).check()
    await http.close()


async def test_check_says_why_not() -> None:
    http = guarded()
    with refusing_port() as port:
        provider = WebhookProvider(account(url=f"http://127.0.0.1:{port}/s3cret"), http)
        with pytest.raises(ProviderCheckError, match="No connection") as raised:
            await provider.check()
    assert "s3cret" not in str(raised.value)
    with pytest.raises(ProviderCheckError, match=r"outbound guard.*link-local address"):
        await WebhookProvider(account(url="http://169.254.169.254/"), http).check()
    await http.close()


def test_secret_is_required_and_hidden() -> None:
    [field] = [field for field in MANIFEST.fields if field.name == "secret"]
    assert field.required
    assert field.secret
