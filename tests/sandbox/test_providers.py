"""Tidings' own providers with the settings that the sandbox prints: nothing is to be set by hand."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from tests.providers.vendors import NOW, email, no_store, sms
from tests.support.sandbox import Box, sandbox
from tidings.domain.channels import Channel
from tidings.domain.messages import ChatContent, EmailContent, Message, PushContent, WebhookContent
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.provider import Account, Provider
from tidings.domain.reasons import Reason
from tidings.providers.accounts import build_accounts
from tidings.providers.catalogue import MANIFESTS, Ports, provider_of
from tidings.providers.http_client import HttpClient
from tidings.sandbox.faults import Faults
from tidings.sandbox.running import Options
from tidings.sandbox.settings_text import settings_text
from tidings.sandbox.vendors.catalogue import VENDORS
from tidings.settings import Settings

EMAIL = ("sendgrid", "mailgun", "ses", "postmark", "resend", "smtp")
SMS = ("twilio", "vonage", "sns")
CHAT = {
    "slack": "https://hooks.slack.com/services/T0/B0/{}7",
    "discord": "https://discord.com/api/webhooks/1/{}-7",
    "teams": "https://x.webhook.office.com/webhookb2/{}-7",
    "telegram": "telegram:@{}_7",
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Box]:
    with sandbox() as box:
        yield box


def accounts(box: Box) -> dict[str, Account]:
    settings = Settings.model_validate({"environment": "production", **box.settings})
    return {account.name: account for account in build_accounts(settings, MANIFESTS)}


def run(box: Box, name: str, messages: Sequence[Message]) -> list[Outcome]:
    async def sending() -> list[Outcome]:
        async with opened(accounts(box)[name]) as provider:
            return list(await provider.send(messages))

    return asyncio.run(sending())


@asynccontextmanager
async def opened(account: Account) -> Any:
    http = HttpClient()
    ports = Ports(http, http, no_store, no_store)
    provider: Provider = provider_of(account, ports)
    try:
        yield provider
    finally:
        await provider.close()
        await http.close()


def message(name: str, fate: str, number: int = 1) -> Message:
    if name in EMAIL:
        return email(number, address=f"{fate}+{name}-{number}@example.com")
    ends = {
        "deliver": "0100",
        "invalid": "0101",
        "suppressed": "0102",
        "throttle": "0106",
        "error": "0107",
    }
    return sms(number, address=f"+1{201 + number}555{ends[fate]}")


def one(name: str, channel: Channel, address: str, content: Any) -> Message:
    return Message(
        delivery_id=UUID(int=1),
        notification_id=UUID(int=2),
        channel=channel,
        address=address,
        content=content,
        accepted_at=NOW,
    )


def test_every_vendor_has_a_provider_and_settings_that_it_takes(shared: Box) -> None:
    named = {vendor.name for vendor in VENDORS if vendor.account is not None}
    assert named <= MANIFESTS.keys()
    assert accounts(shared).keys() >= named
    printed = settings_text(VENDORS, Options(callbacks="http://127.0.0.1:8000/").place)
    assert 'status_callback = "http://127.0.0.1:8000/callbacks/twilio/twilio"' in printed


@pytest.mark.parametrize("name", [*EMAIL, *SMS, *CHAT, "webhook", "fcm", "apns", "webpush"])
def test_doctor_finds_it_well(shared: Box, name: str) -> None:
    async def checking() -> str:
        async with opened(accounts(shared)[name]) as provider:
            said: str = await provider.check()
            return said

    assert asyncio.run(checking())


@pytest.mark.parametrize("name", [*EMAIL, *SMS])
def test_taken(shared: Box, name: str) -> None:
    wanted = [message(name, "deliver", number) for number in range(1, 4)]
    outcomes = run(shared, name, wanted)
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    taken = shared.messages(vendor=name)[-3:]
    assert sorted(to.lstrip("+") for one in taken for to in one["to"]) == sorted(
        message.address.lstrip("+") for message in wanted
    )
    assert all(one["text"] for one in taken)


@pytest.mark.parametrize("name", [*EMAIL, *SMS])
def test_refused_for_good(shared: Box, name: str) -> None:
    [refused] = run(shared, name, [message(name, "invalid")])
    assert isinstance(refused, Permanent)
    wanted = Reason.MAILBOX_NOT_FOUND if name == "smtp" else Reason.ADDRESS_INVALID
    assert refused.reason is wanted


@pytest.mark.parametrize("name", ["postmark", *SMS])
def test_known_as_suppressed(shared: Box, name: str) -> None:
    [refused] = run(shared, name, [message(name, "suppressed")])
    assert isinstance(refused, Permanent)
    assert (refused.reason, refused.suppress) == (Reason.PROVIDER_SUPPRESSED, True)


@pytest.mark.parametrize("name", [*EMAIL, *SMS])
def test_throttled_and_then_taken(shared: Box, name: str) -> None:
    [first] = run(shared, name, [message(name, "throttle", 5)])
    assert isinstance(first, Transient)
    if name not in ("smtp", "vonage"):  # these two say so without a time
        assert first.retry_after == 1
    [second] = run(shared, name, [message(name, "throttle", 5)])
    assert isinstance(second, Accepted)


@pytest.mark.parametrize("name", [*EMAIL, *SMS])
def test_broken_and_then_taken(shared: Box, name: str) -> None:
    [first] = run(shared, name, [message(name, "error", 6)])
    assert isinstance(first, Transient)
    [second] = run(shared, name, [message(name, "error", 6)])
    assert isinstance(second, Accepted)


HOSTILE = (
    """Tom & "Jerry" <tom@example.com>\r\n\\n \\u0041 {subject} $1 %s &lt;""",
    "Grüße an 😀\n\ttabs \u2028 {% raw %}",
    "{{text}} and {{{html}}} are text, {{#if}}",
)


def test_ses_in_bulk_sends_what_it_sends_one_by_one(shared: Box) -> None:
    def sent(*numbers: int) -> list[Any]:
        messages = [
            email(n, EmailContent(HOSTILE[n], HOSTILE[n], f"<p>{HOSTILE[n]}</p>")) for n in numbers
        ]
        assert all(isinstance(one, Accepted) for one in run(shared, "ses", messages))
        taken = {one["to"][0]: one for one in shared.messages(vendor="ses")[-len(numbers) :]}
        return [taken[message.address] for message in messages]

    together, alone = sent(0, 1, 2), [sent(number)[0] for number in range(3)]
    for one, other in zip(together, alone, strict=True):
        assert one["subject"].split() == other["subject"].split()
        for part in ("text", "html"):  # composed, lines end as mail has them
            assert one[part].splitlines() == other[part].splitlines()
        assert one["reference"] == other["reference"]
        assert one["fields"]["Auto-Submitted"] == "auto-generated"


def test_ses_in_bulk_with_one_that_is_refused(shared: Box) -> None:
    wanted = [message("ses", fate, number) for number, fate in enumerate(("a", "invalid", "b"))]
    first, refused, last = run(shared, "ses", wanted)
    assert isinstance(first, Accepted)
    assert isinstance(last, Accepted)
    assert isinstance(refused, Permanent)
    assert refused.reason is Reason.ADDRESS_INVALID
    taken = {one["to"][0]: one["message_id"] for one in shared.messages(vendor="ses")[-2:]}
    assert taken == {
        wanted[0].address: first.provider_message_id,
        wanted[2].address: last.provider_message_id,
    }


@pytest.mark.parametrize("name", CHAT)
def test_chat(shared: Box, name: str) -> None:
    def send(fate: str) -> Outcome:
        address = CHAT[name].format(fate)
        text = "2 < 3 & *that* is all"
        return run(shared, name, [one(name, Channel.CHAT, address, ChatContent(text))])[0]

    assert isinstance(send("deliver"), Accepted)
    assert shared.messages(vendor=name)[-1]["text"] == "2 < 3 & *that* is all"
    gone = send("bounce")
    assert isinstance(gone, Permanent)
    assert gone.reason is Reason.ENDPOINT_GONE
    throttled = send("throttle")
    assert isinstance(throttled, Transient)
    assert (throttled.reason, throttled.retry_after) == (Reason.PROVIDER_THROTTLED, 1)
    assert isinstance(send("throttle"), Accepted)


def test_fcm(shared: Box) -> None:
    def send(token: str) -> Outcome:
        content = PushContent("Hello", "there")
        return run(shared, "fcm", [one("fcm", Channel.PUSH, token, content)])[0]

    assert isinstance(send("fGh7-registration-token"), Accepted)
    assert shared.messages(vendor="fcm")[-1]["subject"] == "Hello"
    gone = send("unregistered-7")
    assert isinstance(gone, Permanent)
    assert gone.suppress
    throttled = send("throttle-7")
    assert isinstance(throttled, Transient)
    assert throttled.retry_after == 1
    assert isinstance(send("throttle-7"), Accepted)


def test_webhook(shared: Box) -> None:
    content = WebhookContent("order.sent", {"order": 7})
    url = accounts(shared)["webhook"].text("url")
    [taken] = run(shared, "webhook", [one("webhook", Channel.WEBHOOK, f"{url}shop", content)])
    [gone] = run(shared, "webhook", [one("webhook", Channel.WEBHOOK, f"{url}suppressed", content)])
    assert isinstance(taken, Accepted)
    assert isinstance(gone, Permanent)
    assert gone.reason is Reason.ENDPOINT_GONE
    message = shared.messages(vendor="webhook")[-1]
    assert message["subject"] == "order.sent"


def test_lost_answers_leave_doubt(shared: Box) -> None:
    shared.sandbox.desk.faults["postmark"] = Faults(lost=1)
    [doubt] = run(shared, "postmark", [message("postmark", "deliver", 9)])
    shared.sandbox.desk.faults.clear()
    assert isinstance(doubt, Unknown)
