"""What all vendors of HTTP APIs have in common: endpoints, credentials, batches within one time-out, plug-ins."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest

from tests.providers.http_server import Connection, HttpStandIn
from tests.providers.vendor_answers import (
    POSTMARK,
    RESEND,
    SENDGRID,
    SENDGRID_TAKEN,
    SES,
    VENDORS,
    sendgrid_refusal,
)
from tests.providers.vendors import (
    Reply,
    Vendor,
    account,
    answer,
    chat,
    email,
    exchange,
    no_store,
    opened,
    push,
    sms,
)
from tidings.domain.channels import Channel
from tidings.domain.messages import Attachment, EmailContent, Message, SmsContent
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient
from tidings.domain.provider import Provider, ProviderCheckError
from tidings.domain.reasons import Reason
from tidings.providers import catalogue
from tidings.providers.catalogue import CATALOGUE, MANIFESTS, Ports, read_catalogue
from tidings.providers.http import Answer, Request
from tidings.providers.http_client import HttpClient
from tidings.settings import SettingsError


def build(vendor: Vendor, endpoint: str) -> str:
    """Open and close an account; its endpoint."""

    async def run() -> str:
        values = vendor.values_at("https://x.example")
        async with opened(vendor.name, endpoint, 10.0, **values) as provider:
            return provider.account.text("endpoint")

    return asyncio.run(run())


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda one: one.name)
@pytest.mark.parametrize(
    "endpoint",
    ["http://api.example.com", "http://127.0.0.1.example.com", "http://10.0.0.1", "http://0.0.0.0"],
)
def test_credentials_go_over_https(vendor: Vendor, endpoint: str) -> None:
    with pytest.raises(SettingsError, match=r"mine\.endpoint"):
        build(vendor, endpoint)


@pytest.mark.parametrize(
    "endpoint",
    ["https://eu.example.com/", "http://127.0.0.1:1", "http://[::1]:1/", "http://localhost:1"],
)
def test_https_or_this_machine(endpoint: str) -> None:
    assert build(SENDGRID, endpoint) == endpoint


@pytest.mark.parametrize("key", ["", "a b", "a\r\nx: y", "clé", "\x7f"])
def test_a_key_fits_in_a_header(key: str) -> None:
    with pytest.raises(SettingsError, match="api_key") as raised:
        build(replace(SENDGRID, values={**SENDGRID.values, "api_key": key}), "https://x.example")
    assert not key or key not in str(raised.value)


@pytest.mark.parametrize("sender", ["", "Shop", "shop@", "a@b@c <x>"])
def test_the_sender_is_an_address(sender: str) -> None:
    with pytest.raises(SettingsError, match=r"mine\.from"):
        build(replace(RESEND, values={**RESEND.values, "from": sender}), "https://x.example")


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda one: one.name)
@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(401), "credentials are refused|refused the account's credentials"),
        # Where there is something to sign in to first, that is what is not there.
        (Reply(404), "check the endpoint|signing in: HTTP 404"),
    ],
)
def test_check_says_what_is_wrong(vendor: Vendor, reply: Reply, said: str) -> None:
    async def run() -> str:
        async def script(connection: Connection) -> None:
            await connection.read()
            await answer(connection, reply)

        async with (
            HttpStandIn(script) as server,
            opened(
                vendor.name, server.url(""), 10.0, **vendor.values_at(server.url(""))
            ) as provider,
        ):
            return await provider.check()

    with pytest.raises(ProviderCheckError, match=said):
        asyncio.run(run())


PDF = Attachment("a.pdf", "application/pdf", b"x")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (SmsContent("text"), Reason.CONTENT_REJECTED),
        (EmailContent("s", "t", reply_to="nobody"), Reason.CONTENT_REJECTED),
        (EmailContent("s", "t", cc=("nobody",)), Reason.CONTENT_REJECTED),
        (EmailContent("s", "t", bcc=("a@b.example, c@d.example",)), Reason.CONTENT_REJECTED),
        (EmailContent("s", "t", headers={"Subject": "x"}), Reason.CONTENT_REJECTED),
        (EmailContent("s", "t", headers={"BCC": "x"}), Reason.CONTENT_REJECTED),
        (EmailContent("s", "t", headers={"X: y\r\nBcc": "x"}), Reason.CONTENT_REJECTED),
        (
            EmailContent("s", "t", attachments=(replace(PDF, filename="a\r\nb"),)),
            Reason.CONTENT_REJECTED,
        ),
        (
            EmailContent("s", "t", attachments=(replace(PDF, content_type="pdf"),)),
            Reason.CONTENT_REJECTED,
        ),
        (
            EmailContent("s", "t", attachments=(replace(PDF, content_type="message/rfc822"),)),
            Reason.CONTENT_REJECTED,
        ),
        (
            EmailContent("s", "t", attachments=(replace(PDF, content_id="a>b"),)),
            Reason.CONTENT_REJECTED,
        ),
    ],
)
def test_emails_that_no_vendor_may_get(content: EmailContent, reason: Reason) -> None:
    [outcome], received = exchange("sendgrid", SENDGRID.values, [email(0, content)], SENDGRID_TAKEN)
    assert isinstance(outcome, Permanent)
    assert outcome.reason is reason
    assert not received


LONE = "\ud800"


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda one: one.name)
@pytest.mark.parametrize("place", ["subject", "html", "metadata"])
def test_one_text_that_no_encoding_takes_does_not_spoil_the_batch(
    vendor: Vendor, place: str
) -> None:
    if Channel.CHAT in MANIFESTS[vendor.name].channels:
        bad, good = chat(vendor.address, 0, LONE), chat(vendor.address, 1)
    elif Channel.PUSH in MANIFESTS[vendor.name].channels:
        bad, good = push(vendor.address, 0, LONE), push(vendor.address, 1)
    elif Channel.SMS in MANIFESTS[vendor.name].channels:
        bad, good = sms(0, LONE), sms(1)
    elif place == "metadata":
        bad, good = email(0, metadata={"k": LONE}), email(1)
    else:
        bad = email(0, EmailContent(LONE if place == "subject" else "s", "t", LONE))
        good = email(1)
    [refused, other], received = exchange(vendor.name, vendor.values, [bad, good], Reply(503))
    assert isinstance(refused, Permanent)
    assert refused.reason is Reason.CONTENT_REJECTED
    assert isinstance(other, Transient)
    assert len(received) == 1


def test_a_line_break_in_a_header_cannot_end_it() -> None:
    content = EmailContent("s", "t", headers={"X-Note": "a\r\nBcc: b@example.com"})
    _, [received] = exchange("sendgrid", SENDGRID.values, [email(0, content)], SENDGRID_TAKEN)
    assert b'"X-Note":"a Bcc: b@example.com"' in received.body


def test_outcomes_keep_their_order_around_what_is_not_sent() -> None:
    messages = [email(0), email(1, address="nobody"), email(2)]
    outcomes, _ = exchange("sendgrid", SENDGRID.values, messages, SENDGRID_TAKEN)
    assert [type(one) for one in outcomes] == [Accepted, Permanent, Accepted]


@pytest.mark.parametrize("vendor", [SENDGRID, POSTMARK], ids=lambda one: one.name)
def test_nothing_to_send_is_no_call(vendor: Vendor) -> None:
    assert exchange(vendor.name, vendor.values, [], SENDGRID_TAKEN) == ([], [])


class SlowRefusal:
    """An HTTP client whose vendor refuses the first of several, after the time-out is over."""

    def __init__(self, seconds: float) -> None:
        self.timeouts: list[float] = []
        self._seconds = seconds

    async def send(self, request: Request) -> Answer:
        self.timeouts.append(request.timeout)
        await asyncio.sleep(self._seconds)
        refusal = Reply(400, sendgrid_refusal("x", "personalizations.0.to.0.email"))
        return Answer(400, {}, refusal.data)

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(("seconds", "calls"), [(0.02, 1), (0.0, 2)])
def test_the_time_out_holds_over_all_calls_of_a_batch(seconds: float, calls: int) -> None:
    """What is tried again after a refusal does not get the whole time once more."""
    http = SlowRefusal(seconds)
    _, configured = account(
        "sendgrid", "https://x.example", 0.01 if calls == 1 else 10.0, **SENDGRID.values
    )
    provider = CATALOGUE["sendgrid"][1](configured, Ports(http, http, no_store, no_store))
    first, second = asyncio.run(_sent(provider, [email(0), email(1)]))
    assert isinstance(first, Permanent)
    assert len(http.timeouts) == calls
    if calls == 1:
        assert isinstance(second, Transient)
        assert second.reason is Reason.PROVIDER_UNAVAILABLE
    else:
        assert http.timeouts[1] < http.timeouts[0]


async def _sent(provider: Provider, messages: Sequence[Message]) -> Sequence[Outcome]:
    return await provider.send(messages)


# --- the catalogue ------------------------------------------------------------------------------


def entries(*given: EntryPoint) -> object:
    return lambda *, group: given if group == catalogue.GROUP else ()


LISTING = "tests.providers.plugin:LISTING"


def test_a_package_brings_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("carrier_pigeon", LISTING, catalogue.GROUP)
    monkeypatch.setattr(catalogue, "entry_points", entries(entry))
    found = read_catalogue()
    assert set(found.manifests) == {*CATALOGUE, "carrier_pigeon"}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("tests.providers.plugin:MISSING", "cannot be loaded"),
        ("tests.providers.nowhere:LISTING", "cannot be loaded"),
        ("tests.providers.plugin:MANIFEST", "not a pair"),
        ("tests.providers.plugin:TAKEN", "already"),
    ],
)
def test_a_package_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    entry = EntryPoint("pigeon", value, catalogue.GROUP)
    monkeypatch.setattr(catalogue, "entry_points", entries(entry))
    with pytest.raises(SettingsError, match=f"'pigeon' of an unknown package: .*{said}"):
        read_catalogue()


def test_without_its_extra_amazon_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: EntryPoint) -> object:
        raise ModuleNotFoundError("No module named 'botocore'", name="botocore")

    monkeypatch.setattr(EntryPoint, "load", missing)
    _, configured = account("ses", "https://x.example", 10.0, **SES.values)

    async def run() -> None:
        http = HttpClient()
        ports = Ports(http, http, no_store, no_store)
        try:
            CATALOGUE["ses"][1](configured, ports)
        finally:
            await http.close()

    with pytest.raises(
        SettingsError, match=r"needs the package botocore.*pip install .tidings\[aws\]"
    ):
        asyncio.run(run())
