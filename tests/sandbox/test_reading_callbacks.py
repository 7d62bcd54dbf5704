"""What the sandbox calls back, read by those who are called: from the send to the receipt with our id."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from tests.providers.vendors import account, delivery, email, no_store, sms
from tests.support.sandbox import Box, Listener, Told, fetch, listening, sandbox
from tidings.domain.callbacks import RawCallback, Verified
from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted
from tidings.domain.provider import Account, FieldValue
from tidings.domain.receipts import Bounce, Receipt, ReceiptType
from tidings.providers.callbacks import CALLBACKS, CallbackPorts
from tidings.providers.catalogue import MANIFESTS, Ports, provider_of
from tidings.providers.http_client import HttpClient


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


@pytest.fixture
def calling(listener: Listener) -> Iterator[Box]:
    with sandbox(listener.url) as found:
        yield found


def as_printed(box: Box, name: str) -> Account:
    """The account that the sandbox's settings describe."""
    known = {one.name for one in MANIFESTS[name].fields}
    values: dict[str, FieldValue] = {
        field: tuple(value) if isinstance(value, list) else value
        for field, value in box.account(name).items()
        if field in known
    }
    endpoint = str(values.pop("endpoint"))
    return account(name, endpoint, 10.0, **values)[1]


async def sent(made: Account, message: Message) -> None:
    http = HttpClient()
    try:
        provider = provider_of(made, Ports(http, http, no_store, no_store))
        [outcome] = await provider.send([message])
        assert isinstance(outcome, Accepted)
    finally:
        await http.close()


async def read(made: Account, told: Sequence[Told]) -> list[Receipt]:
    """Everything that was told and verified."""
    http = HttpClient()
    receipts: list[Receipt] = []
    try:
        callbacks = CALLBACKS[made.provider](made, CallbackPorts(http))
        for one in told:
            raw = RawCallback("POST", one.url, one.headers, one.body, one.at)
            verdict = await callbacks.verify(raw)
            assert isinstance(verdict, Verified), verdict
            if verdict.follow is not None:
                assert await asyncio.to_thread(lambda url: fetch(url).status, verdict.follow) == 200
            receipts += callbacks.receipts(raw)
    finally:
        await http.close()
    return receipts


@pytest.mark.parametrize(
    ("vendor", "calls"),
    [("mailgun", 1), ("postmark", 1), ("resend", 1), ("sendgrid", 1), ("ses", 2)],
)
def test_an_email_that_bounced(calling: Box, listener: Listener, vendor: str, calls: int) -> None:
    """calls: the first of Amazon's asks for a confirmation."""
    made = as_printed(calling, vendor)
    asyncio.run(sent(made, email(1, address="bounce@example.com")))
    if calls == 2:
        assert asyncio.run(read(made, listener.wait(1))) == []
    [receipt] = asyncio.run(read(made, listener.wait(calls)))
    assert (receipt.type, receipt.bounce) == (ReceiptType.BOUNCED, Bounce.HARD)
    assert (receipt.delivery_id, receipt.address) == (delivery(1), "bounce@example.com")
    assert receipt.provider_message_id == calling.message()["message_id"].strip("<>")


@pytest.mark.parametrize(
    ("vendor", "calls"), [("mailgun", 3), ("postmark", 3), ("resend", 3), ("sendgrid", 1)]
)
def test_an_email_that_was_clicked(
    calling: Box, listener: Listener, vendor: str, calls: int
) -> None:
    """calls: SendGrid's hold several events."""
    made = as_printed(calling, vendor)
    asyncio.run(sent(made, email(1, address="click@example.com")))
    receipts = asyncio.run(read(made, listener.wait(calls)))
    kinds = [ReceiptType.DELIVERED, ReceiptType.OPENED, ReceiptType.CLICKED]
    assert sorted(one.type for one in receipts) == sorted(kinds)
    assert {one.delivery_id for one in receipts} == {delivery(1)}
    assert len({one.event_id for one in receipts}) == 3


def test_a_text_that_was_answered(calling: Box, listener: Listener) -> None:
    made = as_printed(calling, "twilio")
    asyncio.run(sent(made, sms(1, address="+12025550110")))
    receipts = asyncio.run(read(made, listener.wait(2)))
    [reply] = [one for one in receipts if one.type is ReceiptType.INBOUND]
    [status] = [one for one in receipts if one.type is ReceiptType.DELIVERED]
    assert (reply.text, reply.address) == ("STOP", "+12025550110")
    assert (status.delivery_id, status.address) == (delivery(1), "+12025550110")


def test_a_text_that_failed(calling: Box, listener: Listener) -> None:
    made = as_printed(calling, "vonage")
    asyncio.run(sent(made, sms(1, address="+12025550103")))
    [receipt] = asyncio.run(read(made, listener.wait(1)))
    assert receipt.type in {ReceiptType.BOUNCED, ReceiptType.FAILED, ReceiptType.REJECTED}
    assert (receipt.delivery_id, receipt.address) == (delivery(1), "+12025550103")
