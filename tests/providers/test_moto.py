"""Amazon SES and SNS as moto's server plays them: calls that its reading of Amazon's API takes, and what it keeps of them."""

import asyncio
import email as mail
from collections.abc import Iterator, Sequence
from email import policy
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from moto.ses.models import ses_backends
from moto.sns.models import sns_backends

from tests.providers.vendors import email, opened, sms
from tidings.domain.messages import Attachment, EmailContent, Message
from tidings.domain.outcomes import Accepted, Outcome, Transient
from tidings.domain.provider import FieldValue
from tidings.domain.reasons import Reason

REGION = "eu-west-1"
ACCOUNT = "123456789012"  # whom moto takes everybody for
KEYS: dict[str, FieldValue] = {
    "region": REGION,
    "access_key_id": "AKIDEXAMPLE",
    "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
}
SES: dict[str, FieldValue] = {**KEYS, "from": "Shop <shop@example.com>"}


@pytest.fixture
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        ses_backends.reset()
        sns_backends.reset()
        server.stop()


def verified(url: str, address: str = "shop@example.com") -> None:
    client: Any = boto3.client(
        "sesv2",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    client.create_email_identity(EmailIdentity=address)


def send(
    name: str, url: str, values: dict[str, FieldValue], *messages: Message
) -> Sequence[Outcome]:
    async def run() -> Sequence[Outcome]:
        async with opened(name, url, 10.0, **values) as provider:
            return await provider.send(messages)

    return asyncio.run(run())


def test_ses_takes_an_email_and_keeps_it_as_it_was(moto: str) -> None:
    verified(moto)
    content = EmailContent(
        "Grüße",
        "Text für dich",
        "<p>Text</p>",
        cc=("bob@example.com",),
        attachments=(Attachment("rechnung.pdf", "application/pdf", b"%PDF"),),
    )
    message = email(content=content)
    [outcome] = send("ses", moto, SES, message)
    assert isinstance(outcome, Accepted)
    assert outcome.provider_message_id
    [kept] = ses_backends[ACCOUNT][REGION].sent_messages
    assert kept.id == outcome.provider_message_id
    parsed = mail.message_from_string(kept.raw_data, policy=policy.default)
    assert (parsed["Subject"], parsed["To"], parsed["Cc"]) == (
        "Grüße",
        message.address,
        "bob@example.com",
    )
    [file] = parsed.iter_attachments()
    assert file.get_filename() == "rechnung.pdf"


def test_ses_refuses_a_sender_that_is_not_verified(moto: str) -> None:
    [outcome] = send("ses", moto, SES, email())
    assert isinstance(outcome, Transient)
    assert outcome.reason is Reason.ACCOUNT_REFUSED
    assert ses_backends[ACCOUNT][REGION].sent_messages == []


def test_sns_takes_a_text_message(moto: str) -> None:
    message = sms()
    [outcome] = send("sns", moto, {**KEYS, "from": ("US=+15005550006",)}, message)
    assert isinstance(outcome, Accepted)
    [(number, text)] = [
        (kept[0], kept[1]) for kept in sns_backends[ACCOUNT][REGION].sms_messages.values()
    ]
    assert number == message.address
    assert text == getattr(message.content, "body", None)
