"""What a template says arrives: rendered in each engine, sent over SMTP on a real socket, read with the standard library's
parser."""

import asyncio
import email
import email.policy
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any, cast
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.providers.smtp_server import HOST, mail_server
from tests.providers.test_mime import AWKWARD, received, sent
from tidings.domain.channels import Channel
from tidings.domain.messages import Attachment, EmailContent, Message
from tidings.domain.outcomes import Accepted
from tidings.domain.provider import Account
from tidings.domain.templates import Edition, EngineName
from tidings.providers.headers import one_line
from tidings.providers.smtp.manifest import MANIFEST
from tidings.providers.smtp.send import SmtpProvider
from tidings.rendering.compiled import compile_edition
from tidings.rendering.context import context_of
from tidings.rendering.engines import ENGINES

READER = {"user_id": "u", "locale": "ar", "timezone": None}
SOURCE = {
    "subject": "News for {{ name }}",
    "text": "{{ name }}\nFrom here:\n.\n..{{ name }}",
    "html": '<p title="{{ name }}">{{ name }}</p>',
}
# JSON brings no lone surrogates, and so no data has them.
words = AWKWARD.map(lambda text: text.encode("utf-8", "replace").decode())
# Fields of a caller's own are sent as they are given, and readers take this for an encoded word.
values_of_fields = words.filter(lambda text: "=?" not in text)


def rendered(engine: EngineName, name: str) -> EmailContent:
    edition = Edition(
        name="n",
        category="c",
        on_unknown="resend",
        content={Channel.EMAIL: SOURCE},
        locale="ar",
        engine=engine,
    )
    content = compile_edition("t", edition)[Channel.EMAIL](context_of({"name": name}, READER))
    assert isinstance(content, EmailContent)
    return content


async def arrived(contents: Sequence[EmailContent]) -> list[EmailMessage]:
    """In the order in which they were given."""
    values: dict[str, Any] = {field.name: field.default for field in MANIFEST.fields}
    messages = [
        Message(uuid4(), uuid4(), Channel.EMAIL, "a@example.com", content, datetime.now(UTC))
        for content in contents
    ]
    async with mail_server() as server:
        values |= {"host": HOST, "port": server.port, "security": "none", "from": "s@example.com"}
        provider = SmtpProvider(Account("main", "smtp", (Channel.EMAIL,), False, 20, values))
        outcomes = await provider.send(messages)
        await provider.close()
    assert [type(outcome) for outcome in outcomes] == [Accepted] * len(messages)
    got = {
        one["Message-ID"]: one
        for one in (
            email.message_from_bytes(
                cast("bytes", each.original_content), policy=email.policy.default
            )
            for each in server.envelopes
        )
    }
    return [got[f"<{message.delivery_id}@example.com>"] for message in messages]


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(words, values_of_fields, st.binary(max_size=200)), min_size=1, max_size=6)
)
@example(
    [
        (
            "\r.\r\n..\rFrom \x00\x85\u2028 שלום \u202e👩‍👩‍👧‍👦 e\u0301 " + "x" * 2000,
            "\nBcc: x@example.com",
            b"\r\n.\r\n",
        )
    ]
)
def test_what_is_rendered_arrives_unchanged(
    engine: EngineName, given_words: list[tuple[str, str, bytes]]
) -> None:
    contents = [
        replace(
            rendered(engine, name),
            headers={"X-Order": header},
            attachments=(Attachment("file.bin", "application/octet-stream", data),),
        )
        for name, header, data in given_words
    ]
    got = asyncio.run(arrived(contents))
    for content, message, (_, header, data) in zip(contents, got, given_words, strict=True):
        assert not message.defects
        assert message["Subject"] == one_line(content.subject)
        assert "Bcc" not in message
        assert str(message["X-Order"]).strip() == one_line(header).strip()
        plain, html = (
            cast("EmailMessage", message.get_body((kind,))) for kind in ("plain", "html")
        )
        assert content.html is not None
        assert received(plain) == sent(content.text)
        assert received(html) == sent(content.html)
        [attached] = message.iter_attachments()
        assert attached.get_content() == data
