"""The composer, checked by reading its messages back with the standard library."""

import email
import email.policy
import re
from datetime import UTC, datetime, timedelta, timezone
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tidings.domain.messages import Attachment, EmailContent
from tidings.providers.headers import field, one_line
from tidings.providers.mailbox import AddressError, Mailbox, parse_mailbox, wire_address
from tidings.providers.mime import compose

SENDER = parse_mailbox("Shop <shop@example.com>")
RECIPIENT = parse_mailbox("john.doe@example.com")
DATE = datetime(2026, 3, 1, 12, 30, 45, tzinfo=timezone(timedelta(hours=2)))
MESSAGE_ID = "0190b2a4-0000-7000-8000-000000000001@example.com"

# A busy machine is no reason to fail.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Any code point at all, lone surrogates too, and what breaks mail in particular.
ANY_TEXT = st.text(st.characters(exclude_categories=()))
AWKWARD = st.lists(
    st.one_of(
        ANY_TEXT,
        st.sampled_from(
            (
                "\r\nBcc: everyone@example.com\r\n\r\n",
                "From here on\n",
                "\nFrom the start",
                ".\r\n",
                "..\n.",
                "trailing spaces   \n",
                "tab at the end\t\n",
                "=?utf-8?B?aGVsbG8=?= ",
                "=20 =\n",
                "--=_boundary--\n",
                "👩‍👩‍👧‍👦" * 20,
                "שלום \u202e abc",
                "x" * 1200,
                "word " * 60,
                " " * 100,
                "\x00\x0b\x0c\x1c\x85\u2028",
                "\r\r\n\n\r",
                "ü",
                '"quoted" \\ (comment) <a@b>',
            )
        ),
    ),
    max_size=6,
).map("".join)


def composed(content: EmailContent, **changes: Any) -> bytes:
    arguments: dict[str, Any] = {
        "sender": SENDER,
        "recipient": RECIPIENT,
        "message_id": MESSAGE_ID,
        "date": DATE,
    }
    return compose(content, **arguments | changes)


def parsed(message: bytes) -> EmailMessage:
    return email.message_from_bytes(message, policy=email.policy.default)


def received(part: EmailMessage | None) -> str:
    assert part is not None
    assert not part.defects
    return str(part.get_content()).replace("\r\n", "\n")


def sent(text: str) -> str:
    """The text as it may be received: line ends unified, what UTF-8 cannot hold replaced."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    return re.sub("[\ud800-\udfff]", "\ufffd", unified)


def assert_well_formed(message: bytes) -> None:
    assert message.isascii()
    assert message.endswith(b"\r\n")
    assert b"\x00" not in message
    assert b"\r" not in message.replace(b"\r\n", b"")
    assert b"\n" not in message.replace(b"\r\n", b"")
    assert max(map(len, message.split(b"\r\n"))) <= 998


FIELDS = ["Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type"]


@UNHURRIED
@given(subject=AWKWARD, text=AWKWARD, html=AWKWARD)
def test_two_parts_arrive_as_they_were_sent(subject: str, text: str, html: str) -> None:
    message = composed(EmailContent(subject, text, html))
    assert_well_formed(message)
    got = parsed(message)
    assert not got.defects
    assert got.keys() == FIELDS
    assert got["Subject"] == one_line(subject)
    assert got.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in got.iter_parts()] == ["text/plain", "text/html"]
    assert received(cast("EmailMessage", got.get_body(("plain",)))) == sent(text)
    assert received(cast("EmailMessage", got.get_body(("html",)))) == sent(html)


@UNHURRIED
@given(text=AWKWARD)
@example(text="")
@example(text="no line end")
def test_text_alone_is_one_part(text: str) -> None:
    message = composed(EmailContent("Hello", text))
    assert_well_formed(message)
    got = parsed(message)
    assert got.keys() == [*FIELDS, "Content-Transfer-Encoding"]
    assert got.get_content_type() == "text/plain"
    # A message ends with a line end, so a text that does not gets one (but inside Base64).
    assert received(got).removesuffix("\n") == sent(text).removesuffix("\n")


@UNHURRIED
@given(subject=AWKWARD)
@example(subject="")
@example(subject=" leading and trailing ")
@example(subject="two  spaces   and many words " * 12 + "end")
def test_a_subject_stays_one_field_of_short_lines(subject: str) -> None:
    written = field("Subject", subject)
    lines = written.removesuffix(b"\r\n").split(b"\r\n")
    assert max(map(len, lines)) <= 78
    assert all(line.startswith(b" ") and line.strip() for line in lines[1:])
    for word in re.findall(rb"=\?utf-8\?B\?([^?]*)\?=", written):
        assert len(word) + 12 <= 75
    assert parsed(written + b"\r\n")["Subject"] == one_line(subject)


@UNHURRIED
@given(text=AWKWARD)
def test_one_line_keeps_all_but_controls_and_surrogates(text: str) -> None:
    line = one_line(text)
    assert line.splitlines() in ([line], [])
    assert line == re.sub(
        "\r\n|[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", re.sub("[\ud800-\udfff]", "\ufffd", text)
    )


@UNHURRIED
@given(name=AWKWARD)
def test_a_display_name_never_leaves_its_place(name: str) -> None:
    header = Mailbox(name, "shop@example.com").field("From")
    assert header.endswith(b"\r\n")
    got = parsed(header + b"\r\n")
    assert got.keys() == ["From"]
    (address,) = got["From"].addresses
    assert address.addr_spec == "shop@example.com"
    shown = one_line(name).strip(" ")
    if b"=?utf-8?B?" not in header:
        assert address.display_name == shown
        return
    # The newer parser keeps the blank between encoded words of a name (cpython issue 128110).
    value = header.decode().removeprefix("From: ")
    assert str(make_header(decode_header(value))).strip() == f"{shown} <shop@example.com>".strip()


def test_what_is_plain_stays_readable() -> None:
    message = composed(
        EmailContent("Your order 12345", "Hello John,\n\nit is on its way.\n"),
        extra_headers={"Auto-Submitted": "auto-generated"},
    )
    assert message.decode() == (
        "Date: Sun, 01 Mar 2026 10:30:45 +0000\r\n"
        "From: Shop <shop@example.com>\r\n"
        "To: john.doe@example.com\r\n"
        "Subject: Your order 12345\r\n"
        f"Message-ID: <{MESSAGE_ID}>\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 7bit\r\n"
        "\r\n"
        "Hello John,\r\n\r\nit is on its way.\r\n"
    )


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain text\n" * 10, "7bit"),
        ("Grüße aus Köln, herzlich, Ihr Team\n" * 5, "quoted-printable"),
        ("Здравствуйте, Ольга\n" * 5, "base64"),
        ("x" * 999, "quoted-printable"),
        ("a paragraph\nFrom here on more\n", "quoted-printable"),
        ("bell \x07 in it, and much else that is plain", "quoted-printable"),
    ],
)
def test_the_encoding_fits_the_text(text: str, encoding: str) -> None:
    got = parsed(composed(EmailContent("s", text)))
    assert got["Content-Transfer-Encoding"] == encoding
    assert not re.search(r"(?m)^From ", str(got.get_payload()))
    assert received(got).removesuffix("\n") == text.removesuffix("\n")


def test_encoded_bodies_have_short_lines() -> None:
    for text in ("Grüße " * 300, "你好" * 500, "spaces at the end \n" * 30 + "ü"):
        body = composed(EmailContent("s", text)).partition(b"\r\n\r\n")[2]
        assert max(map(len, body.split(b"\r\n"))) <= 76


def test_the_boundary_is_the_delivery_s_own_and_avoids_the_parts() -> None:
    first = composed(EmailContent("s", "text", "<p>html</p>"))
    boundary = parsed(first).get_boundary()
    assert boundary is not None
    assert first == composed(EmailContent("s", "text", "<p>html</p>"))
    hostile = EmailContent("s", f"--{boundary}\nContent-Type: text/plain\n", f"--{boundary}--")
    got = parsed(composed(hostile))
    assert got.get_boundary() != boundary
    assert [received(cast("EmailMessage", part)) for part in got.iter_parts()] == [
        hostile.text,
        hostile.html,
    ]


def test_date_is_written_in_utc() -> None:
    got = parsed(composed(EmailContent("s", "t")))
    assert got["Date"].datetime == DATE
    assert got["Date"].datetime.utcoffset() == timedelta(0)
    assert (
        parsed(composed(EmailContent("s", "t"), date=DATE.astimezone(UTC)))["Date"] == got["Date"]
    )


def test_reply_to() -> None:
    got = parsed(composed(EmailContent("s", "t", reply_to="Héléne, Support <help@example.org>")))
    (address,) = got["Reply-To"].addresses
    assert (address.display_name, address.addr_spec) == ("Héléne, Support", "help@example.org")


@pytest.mark.parametrize("reply_to", ["nobody", "a@b\r\nBcc: c@d", "<a@b>, <c@d>", "a@b c@d"])
def test_a_reply_to_that_is_no_address_is_refused(reply_to: str) -> None:
    with pytest.raises(AddressError):
        composed(EmailContent("s", "t", reply_to=reply_to))


@pytest.mark.parametrize("name", ["", "X Y", "X:Y", "X\r\nBcc", "Ü", "x" * 41])
def test_the_name_of_an_extra_header_is_checked(name: str) -> None:
    with pytest.raises(ValueError, match="header field's name"):
        composed(EmailContent("s", "t"), extra_headers={name: "v"})


@UNHURRIED
@given(name=st.from_regex(r"[!-9;-~]{1,40}", fullmatch=True), value=AWKWARD)
def test_an_extra_header_stays_one_field(name: str, value: str) -> None:
    got = parsed(field(name, value) + b"\r\nbody")
    assert len(got) == 1
    assert str(got.get_payload()) == "body"


def test_an_address_outside_ascii_is_written_in_utf_8() -> None:
    message = composed(EmailContent("Grüße", "ü"), recipient=parse_mailbox("jörg@müller.example"))
    assert "To: jörg@müller.example\r\n".encode() in message
    assert parsed(message)["To"] == "jörg@müller.example"


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("shop@example.com", "", "shop@example.com"),
        (" <shop@example.com> ", "", "shop@example.com"),
        ("Shop, Inc. <shop@example.com>", "Shop, Inc.", "shop@example.com"),
        (r'"The \"Shop\"" <shop@example.com>', 'The "Shop"', "shop@example.com"),
        ("Läden <info@läden.example>", "Läden", "info@xn--lden-loa.example"),
        ("<läden@läden.example>", "", "läden@läden.example"),
        ('"two words"@example.com', "", '"two words"@example.com'),
        ("root@[192.0.2.1]", "", "root@[192.0.2.1]"),
        ("a@localhost", "", "a@localhost"),
    ],
)
def test_mailboxes_are_read(text: str, name: str, address: str) -> None:
    assert parse_mailbox(text) == Mailbox(name, address)
    assert parse_mailbox(text).domain.isascii()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shop",
        "@example.com",
        "shop@",
        "a b@example.com",
        "a@example..com",
        "a@-example.com",
        ".a@example.com",
        "a@b@example.com",
        "a>\r\nDATA\r\n@example.com",
        "a@example.com> SIZE=1",
        "a\u2028b@example.com",
        "a\x85b@example.com",
        "a@exa\ud800mple.com",
        "\ud800@example.com",
        "a" * 65 + "@example.com",
        "ü" * 33 + "@example.com",
        "a@" + "x" * 64 + ".com",
        "a@" + "x.y" * 90 + ".com",
        "a@\u200b.com",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(AddressError) as refusal:
        wire_address(text)
    assert not text or text not in str(refusal.value)


@UNHURRIED
@given(address=st.one_of(ANY_TEXT, ANY_TEXT.map(lambda text: f"{text}@example.com"), st.emails()))
def test_an_accepted_address_is_one_word_of_a_command(address: str) -> None:
    try:
        wire = wire_address(address)
    except AddressError:
        return
    assert wire == address or not address.isascii()
    assert not re.search(r"[\x00-\x1f<>\x7f-\x9f\u2028\u2029]", wire.partition('"@')[2] or wire)
    assert wire.encode()


@UNHURRIED
@given(address=st.emails())
def test_ordinary_addresses_are_taken(address: str) -> None:
    assert wire_address(address) == address


def test_addresses_are_not_shown() -> None:
    assert "shop" not in repr(SENDER).lower()


def read_back(content: EmailContent) -> EmailMessage:
    parsed = email.message_from_bytes(composed(content), policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    assert not [defect for part in parsed.walk() for defect in part.defects]
    return parsed


FILE_NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=255)


@given(FILE_NAMES, st.binary(max_size=300), st.booleans())
@example('invoice "final" \\ 1.pdf', b"\r\n.\r\n", False)
@example("請求書" * 60 + ".pdf", b"", True)
@UNHURRIED
def test_files_arrive_as_they_are(name: str, data: bytes, html: bool) -> None:
    file = Attachment(name, "application/pdf", data)
    content = EmailContent("s", "text", "<p>html</p>" if html else None, attachments=(file, file))
    parsed = read_back(content)
    assert parsed.get_content_type() == "multipart/mixed"
    body = parsed.get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == "text"
    found = list(parsed.iter_attachments())
    assert [one.get_filename() for one in found] == [name, name]
    assert [one.get_content() for one in found] == [data, data]
    assert {one.get_content_disposition() for one in found} == {"attachment"}


@given(FILE_NAMES)
@UNHURRIED
def test_lines_stay_short_whatever_a_file_is_called(name: str) -> None:
    raw = composed(EmailContent("s", "t", attachments=(Attachment(name, "a/b", b"x" * 500),)))
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 78


def test_a_file_that_the_html_shows_is_with_it() -> None:
    logo = Attachment("logo.png", "image/png", b"png", content_id="logo@example.com")
    notes = Attachment("notes.txt", "text/plain", b"notes")
    parsed = read_back(
        EmailContent("s", "t", '<img src="cid:logo@example.com">', attachments=(notes, logo))
    )
    assert [part.get_content_type() for part in parsed.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "text/plain",
    ]
    shown = next(part for part in parsed.walk() if part.get_content_type() == "image/png")
    assert shown["content-id"] == "<logo@example.com>"
    assert shown.get_content_disposition() == "inline"


def test_copies_are_named_and_blind_ones_are_not() -> None:
    content = EmailContent(
        "s", "t", cc=("Ann Ä <ann@example.com>", "bob@example.com"), bcc=("eve@example.com",)
    )
    parsed = read_back(content)
    assert parsed["cc"] == "Ann Ä <ann@example.com>, bob@example.com"
    assert b"eve@example.com" not in composed(content)


def test_a_long_header_of_its_own_is_neither_folded_nor_encoded() -> None:
    link = f"<https://example.com/unsubscribe/{'x' * 300}>, <mailto:u@example.com>"
    raw = composed(EmailContent("s", "t", headers={"List-Unsubscribe": link}))
    assert f"\r\nList-Unsubscribe: {link}\r\n".encode() in raw


@given(AWKWARD)
@UNHURRIED
def test_a_header_of_its_own_stays_one_field(value: str) -> None:
    raw = composed(EmailContent("s", "t", headers={"X-Own": value}))
    head = raw.partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0] for line in re.split(rb"\r\n(?![ \t])", head)]
    assert names.count(b"X-Own") == 1
    assert b"Bcc" not in names
    assert max(map(len, raw.split(b"\r\n"))) <= 998
