"""What the sandbox calls back, as Tidings reads it: verified with the settings that it prints, and understood."""

import asyncio
import uuid
from collections.abc import Iterator

import pytest

from tests.providers.vendors import email, sms
from tests.sandbox.test_providers import EMAIL, accounts, run
from tests.support.sandbox import Box, Listener, Told, listening, sandbox
from tidings.domain.callbacks import RawCallback, Refused, Verified
from tidings.domain.provider import Account
from tidings.domain.receipts import Bounce, Receipt, ReceiptType
from tidings.providers.callbacks import CALLBACKS, CallbackPorts
from tidings.providers.http import Request
from tidings.providers.http_client import HttpClient

FATES = {
    "deliver": (ReceiptType.DELIVERED, None),
    "bounce": (ReceiptType.BOUNCED, Bounce.HARD),
    "soft-bounce": (ReceiptType.BOUNCED, Bounce.SOFT),
}
MORE = {
    "complain": ReceiptType.COMPLAINED,
    "delay": ReceiptType.DEFERRED,
    "open": ReceiptType.OPENED,
    "click": ReceiptType.CLICKED,
}
NUMBERS = {"deliver": "+12025550100", "bounce": "+12025550103", "soft-bounce": "+12025550104"}
VENDORS = [name for name in EMAIL if name != "smtp"]


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


@pytest.fixture
def calling(listener: Listener) -> Iterator[Box]:
    with sandbox(listener.url) as found:
        yield found


def read(account: Account, told: Told, received_at: float | None = None) -> list[Receipt] | None:
    """None where it is refused. A subscription is confirmed on the way."""

    async def reading() -> list[Receipt] | None:
        http = HttpClient()
        try:
            callbacks = CALLBACKS[account.provider](account, CallbackPorts(http))
            raw = RawCallback("POST", told.url, told.headers, told.body, received_at or told.at)
            verdict = await callbacks.verify(raw)
            if isinstance(verdict, Refused):
                return None
            assert isinstance(verdict, Verified)
            if verdict.follow:
                await http.send(Request("GET", verdict.follow, {}, b"", 5.0))
            return list(callbacks.receipts(raw))
        finally:
            await http.close()

    return asyncio.run(reading())


def receipts(box: Box, listener: Listener, name: str, count: int) -> list[Receipt]:
    account, found, seen = accounts(box)[name], list[Receipt](), 0
    while len(found) < count:
        told = listener.wait(seen + 1)
        for one in told[seen:]:
            understood = read(account, one)
            assert understood is not None
            found += understood
        seen = len(told)
    return found


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("name", [*VENDORS, "twilio", "vonage"])
def test_told_and_understood(calling: Box, listener: Listener, name: str, fate: str) -> None:
    delivery = uuid.uuid4()
    if name in VENDORS:
        message = email(1, address=f"{fate}@example.com", delivery_id=delivery)
    else:
        message = sms(1, address=NUMBERS[fate], delivery_id=delivery)
    run(calling, name, [message])
    [receipt] = receipts(calling, listener, name, 1)
    assert (receipt.type, receipt.bounce) == FATES[fate]
    assert receipt.delivery_id == delivery
    assert receipt.provider_message_id
    assert (receipt.address or "").lstrip("+") == message.address.lstrip("+")


@pytest.mark.parametrize("fate", MORE)
@pytest.mark.parametrize("name", VENDORS)
def test_what_people_do(calling: Box, listener: Listener, name: str, fate: str) -> None:
    run(calling, name, [email(1, address=f"{fate}@example.com")])
    wanted = {"delay": 2, "complain": 2, "open": 2, "click": 3}[fate]
    kinds = {one.type for one in receipts(calling, listener, name, wanted)}
    assert {ReceiptType.DELIVERED, MORE[fate]} <= kinds


@pytest.mark.parametrize("name", ["twilio", "vonage"])
def test_a_reply_comes_in(calling: Box, listener: Listener, name: str) -> None:
    run(calling, name, [sms(1, address="+12025550110")])
    found = {one.type: one for one in receipts(calling, listener, name, 2)}
    reply = found[ReceiptType.INBOUND]
    assert (reply.text, (reply.address or "").lstrip("+")) == ("STOP", "12025550110")


@pytest.mark.parametrize("name", [*VENDORS, "twilio", "vonage"])
def test_a_change_on_the_way_is_noticed(calling: Box, listener: Listener, name: str) -> None:
    message = email(1) if name in VENDORS else sms(1, address="+12025550100")
    run(calling, name, [message])
    [told] = listener.wait(1)[:1]
    headers = {
        header: value[::-1] if header == "authorization" else value
        for header, value in told.headers.items()
    }
    forged = told.body.replace(b'"signature":"', b'"signature":"0').replace(
        b'ature":"', b'ature":"0'
    )
    changed = Told(told.url, told.path, headers, forged + b" ", told.at)
    assert read(accounts(calling)[name], changed) is None
