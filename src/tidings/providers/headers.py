"""Text as the value of a mail header field: one line, folded, encoded where it must be.

What comes from templates and data may hold anything. Control characters and line breaks of every
kind become a space and lone surrogates become U+FFFD, instead of the message being refused: they
carry no text, and a name pasted with a stray line break is no reason not to tell its owner. With
them gone no value can end its own field, so none can start another.
"""

import re
from base64 import b64encode

LINE = 78
"""Characters of a line that RFC 5322, 2.1.1, recommends as the most, without CRLF."""
ENCODED_LINE = 76
"""Characters of a line that holds an encoded word, at the most (RFC 2047, 2)."""
ENCODED_WORD = 75
"""Characters of an encoded word at the most (RFC 2047, 2)."""

# All of Cc, and the two separators that readers such as str.splitlines take for line ends.
_CONTROLS = re.compile("\r\n|[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_FIELD_NAME = re.compile(r"[!-9;-~]{1,40}")
_ATOMS = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?: [\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)
_WORDS = re.compile(r" *[^ ]+")
_OPEN, _CLOSE = b"=?utf-8?B?", b"?="


def utf8(text: str) -> bytes:
    """The text in UTF-8; lone surrogates, which UTF-8 cannot hold, become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text).encode()


def one_line(text: str) -> str:
    """The text without control characters, line breaks and lone surrogates."""
    if text.isprintable():
        return text
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub(" ", text))


def field(name: str, value: str) -> bytes:
    """A field of free text, such as Subject, with its line end; reads back as `one_line(value)`.

    Raises ValueError for a name that is not printable ASCII, holds a colon or exceeds 40 characters.
    """
    if not _FIELD_NAME.fullmatch(name):
        raise ValueError("a header field's name is 1 to 40 printable ASCII characters, no colon")
    text = one_line(value)
    used = len(name) + 2
    plain = _fold(text, LINE - used) if _is_plain(text) else None
    body = encoded_words(text, ENCODED_LINE - used) if plain is None else plain
    return b"%b: %b\r\n" % (name.encode(), body)


def phrase(text: str, room: int) -> bytes:
    """A display name as atoms, a quoted string or encoded words (RFC 5322, 3.2.5); one line or folded.

    room: characters left on the first line.
    """
    name = one_line(text).strip(" ")
    if not _is_plain(name) or len(name) > room - 10:
        return encoded_words(name, room)
    if _ATOMS.fullmatch(name):
        return name.encode()
    return b'"%b"' % name.replace("\\", "\\\\").replace('"', '\\"').encode()


def encoded_words(text: str, room: int) -> bytes:
    """The text as RFC 2047 encoded words, folded, each of whole characters.

    room: characters left on the first line, 24 or more.
    """
    data = utf8(text)
    words = []
    start = 0
    while start < len(data):
        end = start + (min(room, ENCODED_WORD) - len(_OPEN) - len(_CLOSE)) // 4 * 3
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        words.append(_OPEN + b64encode(data[start:end]) + _CLOSE)
        start, room = end, ENCODED_WORD
    return b"\r\n ".join(words)


def _is_plain(text: str) -> bool:
    """Whether the text reads back unchanged without encoding."""
    return text.isascii() and "=?" not in text and text == text.strip(" ")


def _fold(text: str, room: int) -> bytes | None:
    """The text with lines broken before spaces; None where a word is too long for that."""
    if len(text) <= room:
        return text.encode()
    lines = [""]
    for word in _WORDS.findall(text):
        if len(lines[-1]) + len(word) > (room if len(lines) == 1 else LINE):
            lines.append("")
        lines[-1] += word
    if not lines[0] or max(map(len, lines)) > LINE:
        return None
    return "\r\n".join(lines).encode()
