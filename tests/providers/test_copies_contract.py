"""reply_to, cc and bcc on the wire: each vendor gets them in the fields that it documents, and with their own message.

That an account without them is passed over, and where none has them the send is refused, is in tests/flow/test_copies.py.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from email import message_from_bytes
from email.policy import default
from email.utils import getaddresses
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.providers.http_server import HttpStandIn, Received
from tests.providers.smtp_server import HOST, mail_server
from tests.providers.test_mailgun import form
from tests.providers.vendor_answers import SES_BULK, VENDORS
from tests.providers.vendors import account, answering, email, opened
from tidings.domain.messages import EmailContent, Message
from tidings.domain.outcomes import Accepted
from tidings.providers.catalogue import MANIFESTS
from tidings.providers.smtp.send import SmtpProvider

pytestmark = pytest.mark.anyio

SENDER: Mapping[str, Any] = {"from": "Shop <shop@example.com>"}

Pair = tuple[str, str]
"""Name and address."""

TO = ("", "number-1@hidden.example")
DAN = ("", "dan@example.com")
ARCHIVE, AUDIT = ("", "archive@example.com"), ("", "audit@example.com")
HELP = ("Hélène", "help@example.com")

COPIED = EmailContent(
    "Copied",
    "Text",
    "<p>Text</p>",
    reply_to="Hélène <help@example.com>",
    cc=('"Carol, Ops" <carol@example.com>', "dan@example.com"),
    bcc=("archive@example.com", "audit@example.com"),
)
PLAIN = EmailContent("Plain", "Text", "<p>Text</p>")
ANSWERED = EmailContent("Answered", "Text", "<p>Text</p>", reply_to="desk@example.com")


@dataclass(frozen=True)
class Envelope:
    """What a vendor was told of one email: of the copies' names what it takes."""

    to: tuple[Pair, ...]
    cc: tuple[Pair, ...] = ()
    bcc: tuple[Pair, ...] = ()
    reply_to: tuple[Pair, ...] = ()


def parsed(texts: str | Sequence[str] | None) -> tuple[Pair, ...]:
    given = [texts] if isinstance(texts, str) else texts or ()
    return tuple(getaddresses(given))


# https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send


def of_sendgrid(received: Received) -> list[Envelope]:
    body = json.loads(received.body)

    def pairs(found: Any) -> tuple[Pair, ...]:
        return tuple((one.get("name", ""), one["email"]) for one in found or ())

    by = pairs([body["reply_to"]] if "reply_to" in body else ())
    return [
        Envelope(pairs(one["to"]), pairs(one.get("cc")), pairs(one.get("bcc")), by)
        for one in body["personalizations"]
    ]


# https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages


def of_mailgun(received: Received) -> list[Envelope]:
    fields: list[Any] = (
        form(received)
        if "multipart" in received.headers["content-type"]
        else parse_qsl(received.body.decode())
    )
    names = ("cc", "bcc", "h:Reply-To")
    rest = [parsed([text for name, text in fields if name == wanted]) for wanted in names]
    to = [parsed(text) for name, text in fields if name == "to"]
    return [Envelope(one, *rest) for one in to]


# https://postmarkapp.com/developer/api/email-api


def of_postmark(received: Received) -> list[Envelope]:
    names = ("To", "Cc", "Bcc", "ReplyTo")
    return [Envelope(*(parsed(one.get(n)) for n in names)) for one in json.loads(received.body)]


# https://resend.com/docs/api-reference/emails/send-email


def of_resend(received: Received) -> list[Envelope]:
    body = json.loads(received.body)
    names = ("to", "cc", "bcc", "reply_to")
    return [
        Envelope(*(parsed(one.get(n)) for n in names))
        for one in (body if isinstance(body, list) else [body])
    ]


# https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html: the message is ours, so the names of who is
# in cc stand in its header, and who is in bcc in the destination alone. Several at once: API_SendBulkEmail.html.


def of_ses(received: Received) -> list[Envelope]:
    body = json.loads(received.body)
    if received.target == SES_BULK:
        by = parsed(body.get("ReplyToAddresses"))
        return [of_entry(one["Destination"], by) for one in body["BulkEmailEntries"]]
    destination = body["Destination"]
    raw = base64.b64decode(body["Content"]["Raw"]["Data"])
    return [of_message(raw, destination["ToAddresses"], destination)]


def of_entry(destination: Mapping[str, Any], by: tuple[Pair, ...]) -> Envelope:
    to, cc, bcc = (parsed(destination.get(f"{name}Addresses")) for name in ("To", "Cc", "Bcc"))
    return Envelope(to, cc, bcc, by)


def of_message(raw: bytes, to: Sequence[str], destination: Mapping[str, Sequence[str]]) -> Envelope:
    mail = message_from_bytes(raw, policy=default)
    assert "bcc" not in mail
    assert [address for _, address in parsed(str(mail["to"]))] == [*to]
    cc = parsed(str(mail["cc"])) if "cc" in mail else ()
    assert [address for _, address in cc] == [*destination.get("CcAddresses", ())]
    bcc = parsed(destination.get("BccAddresses"))
    assert not any(address.encode() in raw for _, address in bcc)
    by = parsed(str(mail["reply-to"])) if "reply-to" in mail else ()
    return Envelope(parsed(to), cc, bcc, by)


READ: Mapping[str, Callable[[Received], list[Envelope]]] = {
    "sendgrid": of_sendgrid,
    "mailgun": of_mailgun,
    "postmark": of_postmark,
    "resend": of_resend,
    "ses": of_ses,
}


async def told(name: str, messages: Sequence[Message]) -> list[Envelope]:
    """What the vendor was told, in the order of the recipients."""
    if name == "smtp":
        return await told_by_smtp(messages)
    vendor = next(one for one in VENDORS if one.name == name)
    async with (
        HttpStandIn(answering(vendor.taken)) as server,
        opened(name, server.url(""), 10.0, **vendor.values_at(server.url(""))) as provider,
    ):
        outcomes = await provider.send(messages)
    assert all(isinstance(one, Accepted) for one in outcomes)
    found = [one for received in server.received for one in READ[name](received)]
    return sorted(found, key=lambda one: one.to)


async def told_by_smtp(messages: Sequence[Message]) -> list[Envelope]:
    """The envelope names all of them; of whom no header speaks, that is a blind copy."""
    async with mail_server() as server:
        _, configured = account(
            "smtp",
            "",
            host=HOST,
            port=server.port,
            security="none",
            **SENDER,
        )
        provider = SmtpProvider(configured)
        for message in messages:
            [outcome] = await provider.send((message,))
            assert isinstance(outcome, Accepted)
        await provider.close()
    found = []
    for envelope in server.envelopes:
        raw = envelope.original_content
        assert isinstance(raw, bytes)
        mail = message_from_bytes(raw, policy=default)
        shown = [address for _, address in parsed(str(mail["cc"]))] if "cc" in mail else []
        to, *rest = envelope.rcpt_tos
        destination = {
            "CcAddresses": [one for one in rest if one in shown],
            "BccAddresses": [one for one in rest if one not in shown],
        }
        found.append(of_message(raw, [to], destination))
    return sorted(found, key=lambda one: one.to)


WITH_COPIES = sorted(
    one.name
    for one in MANIFESTS.values()
    if "cc and bcc" in one.features and one.name != "outbox"  # whose reader gets all as it is
)


def carol(name: str) -> Pair:
    """SendGrid takes no commas in the names of recipients."""
    return ("Carol  Ops" if name == "sendgrid" else "Carol, Ops", "carol@example.com")


def test_each_vendor_is_asked() -> None:
    assert {*WITH_COPIES} == {*READ, "smtp"}


@pytest.mark.parametrize("name", WITH_COPIES)
async def test_each_is_in_the_field_that_the_vendor_documents(name: str) -> None:
    [found] = await told(name, [email(1, COPIED)])
    assert found == Envelope((TO,), (carol(name), DAN), (ARCHIVE, AUDIT), (HELP,))


@pytest.mark.parametrize("name", WITH_COPIES)
async def test_without_them_no_field_is_there(name: str) -> None:
    [found] = await told(name, [email(1, PLAIN)])
    assert found == Envelope((TO,))


@pytest.mark.parametrize("name", WITH_COPIES)
async def test_of_several_each_has_its_own(name: str) -> None:
    """Nobody gets a copy of another one's email, whatever goes in one call."""
    contents = [PLAIN, COPIED, ANSWERED, PLAIN]
    found = await told(name, [email(n, content) for n, content in enumerate(contents)])
    desk = (("", "desk@example.com"),)
    assert [(one.cc, one.bcc, one.reply_to) for one in found] == [
        ((), (), ()),
        ((carol(name), DAN), (ARCHIVE, AUDIT), (HELP,)),
        ((), (), desk),
        ((), (), ()),
    ]
    assert [one.to for one in found] == [
        (("", f"number-{number}@hidden.example"),) for number in range(4)
    ]


@pytest.mark.parametrize("name", WITH_COPIES)
async def test_alike_emails_keep_their_copies_apart(name: str) -> None:
    """What says the same goes in one call where the vendor takes several; copies do not spread."""
    contents = [replace(PLAIN, cc=("dan@example.com",)), PLAIN, PLAIN]
    contents += [replace(PLAIN, bcc=("audit@example.com",))]
    found = await told(name, [email(n, content) for n, content in enumerate(contents)])
    assert [(one.cc, one.bcc) for one in found] == [
        ((DAN,), ()),
        ((), ()),
        ((), ()),
        ((), (AUDIT,)),
    ]
