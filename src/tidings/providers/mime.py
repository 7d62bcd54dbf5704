"""Rendered email as the bytes of a message (RFC 5322, MIME).

The standard library composes any message, in 1 to 5 ms of CPU each. These are few shapes, sent very
often: text alone, or text and HTML as alternatives, with files or without. The property tests read the result back with the
standard library's parser.
"""

from base64 import b64encode
from binascii import b2a_qp
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from hashlib import blake2b
from math import floor
from types import MappingProxyType
from urllib.parse import quote

from tidings.domain.messages import Attachment, EmailContent
from tidings.providers.headers import field, one_line, utf8
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
    composer = Composer(sender, extra_headers)
    return composer.compose(email, recipient=recipient, message_id=message_id, date=date)


class Composer:
    """Composes for one sender, where a message has none of its own. What all have in common is made once."""

    def __init__(self, sender: Mailbox, extra_headers: Mapping[str, str] = _NO_FIELDS) -> None:
        """Raises ValueError for the name of an extra header."""
        self._from = sender.field("From")
        extra = b"".join(field(name, value) for name, value in extra_headers.items())
        self._last = extra + b"MIME-Version: 1.0\r\n"

    def compose(
        self, email: EmailContent, *, recipient: Mailbox, message_id: str, date: datetime
    ) -> bytes:
        """As the function of this name. bcc is for the envelope alone."""
        body = _body(email, message_id)
        return b"".join(
            (
                _date(floor(date.timestamp())),
                parse_mailbox(email.sender).field("From") if email.sender else self._from,
                recipient.field("To"),
                _copies(email.cc),
                parse_mailbox(email.reply_to).field("Reply-To") if email.reply_to else b"",
                field("Subject", email.subject),
                b"Message-ID: <%b>\r\n" % message_id.encode("ascii"),
                b"".join(_own_field(name, value) for name, value in email.headers.items()),
                self._last,
                body,
                b"" if body.endswith(b"\r\n") else b"\r\n",
            )
        )


@lru_cache(maxsize=16)
def _date(second: int) -> bytes:
    """The field says no more than the second, in which many are sent."""
    return b"Date: %b\r\n" % format_datetime(datetime.fromtimestamp(second, UTC)).encode()


def _copies(cc: Sequence[str]) -> bytes:
    """One field with all of them, a line each."""
    fields = [parse_mailbox(one).field("Cc").removeprefix(b"Cc: ").strip() for one in cc]
    return b"Cc: %b\r\n" % b",\r\n ".join(fields) if fields else b""


def _own_field(name: str, value: str) -> bytes:
    """A field whose meaning is not known here: ASCII stays as it is, for only free text may be encoded
    (List-Unsubscribe and the like hold long URLs that cannot be folded)."""
    line = b"%b: %b\r\n" % (name.encode(), one_line(value).encode("ascii", "replace"))
    return line if value.isascii() and len(line) <= LONGEST_LINE else field(name, value)


def _body(email: EmailContent, message_id: str) -> bytes:
    """Text; or text and HTML; files that the HTML shows are with it, the others after all (RFC 2387)."""
    body = _text_part(b"plain", email.text)
    inline = [one for one in email.attachments if one.content_id is not None and email.html]
    others = [one for one in email.attachments if one not in inline]
    if email.html is not None:
        html = _text_part(b"html", email.html)
        if inline:
            html = _multipart(b"related", [html, *map(_file_part, inline)], message_id)
        body = _multipart(b"alternative", [body, html], message_id)
    if others:
        body = _multipart(b"mixed", [body, *map(_file_part, others)], message_id)
    return body


def _file_part(one: Attachment) -> bytes:
    """In Base64, whatever it is: a file arrives as it was to the byte."""
    shown = b"attachment"
    identity = b""
    if one.content_id is not None:
        shown, identity = b"inline", b"Content-ID: <%b>\r\n" % one.content_id.encode("ascii")
    return (
        b"Content-Type: %b\r\nContent-Transfer-Encoding: base64\r\n%b"
        b"Content-Disposition: %b%b\r\n\r\n%b"
        % (
            one.content_type.encode("ascii"),
            identity,
            shown,
            _filename(one.filename),
            _base64(one.data),
        )
    )


def _filename(name: str) -> bytes:
    """As parameter: quoted, or encoded and on several lines (RFC 2231, 3 and 4)."""
    if name.isascii() and len(name) <= 60:
        return b';\r\n filename="%b"' % name.replace("\\", "\\\\").replace('"', '\\"').encode()
    pieces = [quote(character, safe="") for character in utf8(name).decode()]
    lines = ["utf-8''"]
    for piece in pieces:
        if len(lines[-1]) + len(piece) > 60:
            lines.append("")
        lines[-1] += piece
    return b"".join(
        b";\r\n filename*%d*=%b" % (number, line.encode()) for number, line in enumerate(lines)
    )


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
    if not awkward and not from_line and _longest_line(data) <= LONGEST_LINE:
        return b"7bit", data.replace(b"\n", b"\r\n")
    if awkward * 5 > len(data):
        return b"base64", _base64(data.replace(b"\n", b"\r\n"))
    quoted = b2a_qp(data, istext=True)
    if from_line:
        quoted = (b"\n" + quoted).replace(b"\nFrom ", b"\n=46rom ")[1:]
    return b"quoted-printable", quoted.replace(b"\n", b"\r\n")


def _longest_line(data: bytes) -> int:
    """In bytes; of a short text the whole is a bound that costs nothing."""
    return len(data) if len(data) <= LONGEST_LINE else max(map(len, data.split(b"\n")))


def _base64(data: bytes) -> bytes:
    encoded = b64encode(data)
    return b"\r\n".join([encoded[at : at + 76] for at in range(0, len(encoded), 76)])


def _multipart(subtype: bytes, parts: Sequence[bytes], message_id: str) -> bytes:
    """Of alternatives the preferred one is last (RFC 2046, 5.1.4)."""
    boundary = _boundary(message_id, *parts)
    head = b'Content-Type: multipart/%b; boundary="%b"\r\n\r\n' % (subtype, boundary)
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    return head + body + b"--%b--\r\n" % boundary


def _boundary(message_id: str, *parts: bytes) -> bytes:
    """A boundary that no part holds. `=_` occurs in no quoted-printable and no Base64 text."""
    for attempt in range(1, 1000):
        seed = f"{attempt}:{message_id}".encode()
        boundary = b"=_" + blake2b(seed, digest_size=12).hexdigest().encode()
        if not any(boundary in part for part in parts):
            return boundary
    raise AssertionError("a thousand 96-bit digests occur in one message")
