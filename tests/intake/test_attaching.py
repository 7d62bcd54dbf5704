"""Files of a request: what is taken comes through a message to the byte and to the letter, and the rest is refused."""

import base64
import email
import email.policy
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tidings.domain.attached import media_type_of
from tidings.domain.channels import Channel
from tidings.domain.messages import Attachment, EmailContent
from tidings.domain.provider import Feature
from tidings.domain.routing import needed
from tidings.intake.attaching import listed, unserved
from tidings.intake.refusals import RefusalCode
from tidings.intake.request import EmailOptions
from tidings.providers.mailbox import parse_mailbox
from tidings.providers.mime import compose

ALL: frozenset[Feature] = frozenset({"attachments", "inline files", "cc and bcc"})


def options(*files: dict[str, str], **more: object) -> EmailOptions:
    return EmailOptions.model_validate({"attachments": list(files), **more})


def file(filename: str, content: bytes = b"x", **more: str) -> dict[str, str]:
    return {"filename": filename, "content": base64.b64encode(content).decode(), **more}


@given(st.text(min_size=1, max_size=80), st.binary(min_size=1, max_size=500))
def test_a_name_is_refused_or_arrives(filename: str, content: bytes) -> None:
    try:
        asked = options(file(filename, content))
    except ValidationError:
        unfit = not filename.isprintable() or filename in {".", ".."}
        assert unfit or "/" in filename or "\\" in filename
        return
    (one,) = listed(asked)["attachments"]
    (taken,) = asked.attachments
    attached = Attachment(one["filename"], one["content_type"], taken.content)
    message = compose(
        EmailContent("Subject", "Text", attachments=(attached,)),
        sender=parse_mailbox("shop@example.com"),
        recipient=parse_mailbox("ada@example.com"),
        message_id="1@example.com",
        date=datetime(2030, 1, 1, tzinfo=UTC),
    )
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    (part,) = parsed.iter_attachments()
    assert part.get_payload(decode=True) == content
    assert len(parsed.keys()) == len(set(parsed.keys()))
    # The standard library's parser folds runs of spaces within a quoted name.
    assert " ".join((part.get_filename() or "").split()) == " ".join(filename.split())


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("invoice.pdf", "application/pdf"),
        ("INVOICE.PDF", "application/pdf"),
        ("photo.jpeg", "image/jpeg"),
        ("page.html", "text/html"),
        ("backup.tar.gz", "application/octet-stream"),
        ("README", "application/octet-stream"),
        ("a.nothing", "application/octet-stream"),
    ],
)
def test_a_type_follows_the_ending(filename: str, expected: str) -> None:
    assert media_type_of(filename) == expected


def test_what_an_account_must_pass_on() -> None:
    def needs(asked: EmailOptions) -> tuple[str, ...]:
        return needed(Channel.EMAIL, {"email": listed(asked)})

    assert needs(options(file("a"))) == ("attachments",)
    assert needs(options(file("a", content_id="a"))) == ("inline files",)
    assert needs(options(file("a"), file("b", content_id="b"))) == ("attachments", "inline files")
    assert needed(Channel.SMS, {"email": listed(options(file("a")))}) == ()


def test_who_can_serve_it() -> None:
    both = options(file("a"), cc=["bob@example.com"])
    assert unserved(None, []) is None
    assert unserved(options(), []) is None
    assert unserved(both, [ALL]) is None
    assert unserved(both, [frozenset(), ALL]) is None
    refusal = unserved(both, [{"attachments"}, {"cc and bcc"}])
    assert refusal is not None
    assert (refusal.code, refusal.path) == (RefusalCode.ATTACHMENTS_NOT_SUPPORTED, "email")
    refusal = unserved(both, [{"attachments"}])
    assert refusal is not None
    assert (refusal.code, refusal.path) == (RefusalCode.COPIES_NOT_SUPPORTED, "email.cc")
    refusal = unserved(options(file("a"), file("b", content_id="b")), [{"attachments"}])
    assert refusal is not None
    assert refusal.path == "email.attachments.1"
