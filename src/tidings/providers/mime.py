"""Rendered email as the bytes of a message (RFC 5322, MIME).

The standard library composes any message, in 1 to 5 ms of CPU each. These are few shapes, sent very
often: text alone, or text and HTML as alternatives. The property tests read the result back with the
standard library's parser.
"""

from base64 import b64encode
from binascii import b2a_qp
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import blake2b
from types import MappingProxyType

from tidings.domain.messages import EmailContent
from tidings.providers.headers import field, utf8
from tidings.providers.mailbox import Mailbox, parse_mailbox

LONGEST_LINE = 998
"""Bytes of a line at the most, without CRLF (RFC 5322, 2.1.1)."""

_PLAIN = bytes(range(0x20, 0x7F)) + b"\t\n"
_NO_FIELDS: Mapping[str, str] = MappingProxyType({})


def compose(
    email: EmailContent,
    *,
    sender: Mailbox,
    recipient: Mailbox,
    message_id: str,
    date: datetime,
    extra_headers: Mapping[str, str] = _NO_FIELDS,
) -> bytes:
    """The message, its lines ended by CRLF; the same arguments give the same bytes.

    It is ASCII unless an address is not, which then needs SMTPUTF8 (RFC 6531). Line breaks of the
    bodies become CRLF. message_id: without angle brackets, ASCII, made by us. date: with a time zone.
    Raises AddressError when `reply_to` is not an address, ValueError for the name of an extra header.
    """
    head = [
        b"Date: %b\r\n" % format_datetime(date.astimezone(UTC)).encode(),
        sender.field("From"),
        recipient.field("To"),
        parse_mailbox(email.reply_to).field("Reply-To") if email.reply_to else b"",
        field("Subject", email.subject),
        b"Message-ID: <%b>\r\n" % message_id.encode("ascii"),
        *(field(name, value) for name, value in extra_headers.items()),
        b"MIME-Version: 1.0\r\n",
    ]
    body = _text_part(b"plain", email.text)
    if email.html is not None:
        body = _alternative(body, _text_part(b"html", email.html), message_id)
    end = b"" if body.endswith(b"\r\n") else b"\r\n"
    return b"".join((*head, body, end))


def _text_part(subtype: bytes, text: str) -> bytes:
    """A part: its header fields, an empty line, its content."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    encoding, body = _encode(utf8(text))
    return b"Content-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (
        subtype,
        encoding,
        body,
    )


def _encode(data: bytes) -> tuple[bytes, bytes]:
    """The transfer encoding and the encoded text, for lines that end with LF (RFC 2045, 6).

    As it is where every relay leaves it alone, else the shorter of quoted-printable, which makes
    three bytes of each awkward one, and Base64, which makes four of each three.
    """
    awkward = len(data.translate(None, _PLAIN))
    # Programs that keep mail in mbox files write ">From " where a line starts with "From ".
    from_line = data.startswith(b"From ") or b"\nFrom " in data
    if not awkward and not from_line and max(map(len, data.split(b"\n"))) <= LONGEST_LINE:
        return b"7bit", data.replace(b"\n", b"\r\n")
    if awkward * 5 > len(data):
        return b"base64", _base64(data.replace(b"\n", b"\r\n"))
    quoted = b2a_qp(data, istext=True)
    if from_line:
        quoted = (b"\n" + quoted).replace(b"\nFrom ", b"\n=46rom ")[1:]
    return b"quoted-printable", quoted.replace(b"\n", b"\r\n")


def _base64(data: bytes) -> bytes:
    encoded = b64encode(data)
    return b"\r\n".join([encoded[at : at + 76] for at in range(0, len(encoded), 76)])


def _alternative(text: bytes, html: bytes, message_id: str) -> bytes:
    """Both parts as multipart/alternative, the preferred one last (RFC 2046, 5.1.4)."""
    boundary = _boundary(message_id, text, html)
    return (
        b'Content-Type: multipart/alternative; boundary="%b"\r\n\r\n'
        b"--%b\r\n%b\r\n--%b\r\n%b\r\n--%b--\r\n"
        % (boundary, boundary, text, boundary, html, boundary)
    )


def _boundary(message_id: str, *parts: bytes) -> bytes:
    """A boundary that no part holds. `=_` occurs in no quoted-printable and no Base64 text."""
    for attempt in range(1, 1000):
        seed = f"{attempt}:{message_id}".encode()
        boundary = b"=_" + blake2b(seed, digest_size=12).hexdigest().encode()
        if not any(boundary in part for part in parts):
            return boundary
    raise AssertionError("a thousand 96-bit digests occur in one message")
