"""Emails, for people to look at."""

import re
from base64 import b64decode
from collections.abc import Mapping
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses
from typing import Any

from tidings.sandbox.messages import Content, File

DOMAIN = "sandbox.example.com"
SENDER = f"hello@{DOMAIN}"
"""Who mails of the sandbox's accounts are from."""

_LINK = re.compile(r"""https?://[^\s"'<>)]+""")
_USUAL = frozenset(
    {"from", "to", "cc", "subject", "content-type", "mime-version", "content-transfer-encoding"}
)


def addresses(*texts: str) -> tuple[str, ...]:
    """The bare addresses of header-like texts: `Name <a@example.com>, b@example.com`."""
    if len(texts) == 1 and texts[0].count("@") == 1 and "<" not in texts[0]:
        return (texts[0].strip(),)  # much faster
    return tuple(address for _, address in getaddresses(list(texts)) if address)


def is_address(address: str) -> bool:
    """As vendors check it at the door: roughly."""
    local, _, domain = address.rpartition("@")
    return bool(local and domain) and " " not in address


def shown_address(one: Mapping[str, str]) -> str:
    """Of an object with `email` and, maybe, `name`."""
    return f"{one['name']} <{one['email']}>" if one.get("name") else one["email"]


def attached(name: str, content_type: str, base64: str, content_id: str | None = "") -> File:
    """A file as vendors take it. Raises ValueError for what is not base64."""
    return File(name, content_type, b64decode(base64), (content_id or "").removeprefix("cid:"))


def first_link(content: Content) -> str:
    """Of the text or else the HTML; the sandbox's own where there is none."""
    found = _LINK.search(content.text) or _LINK.search(content.html)
    return found[0] if found else f"https://{DOMAIN}/"


def parsed(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def content_of(raw: bytes) -> Content:
    """What a mail program shows of a message."""
    message = parsed(raw)
    return Content(
        subject=str(message["Subject"] or ""),
        text=_body(message, "plain"),
        html=_body(message, "html"),
        files=[*map(_file, _files(message))],
        shown={name: str(value) for name, value in message.items() if name.lower() not in _USUAL},
    )


def _body(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    return "" if part is None else str(part.get_content())


def _files(message: EmailMessage) -> list[EmailMessage]:
    shown = {id(message.get_body((subtype,))) for subtype in ("plain", "html")}
    return [
        part
        for part in message.walk()
        if isinstance(part, EmailMessage) and not part.is_multipart() and id(part) not in shown
    ]


def _file(part: EmailMessage) -> File:
    data: Any = part.get_payload(decode=True)
    return File(
        part.get_filename() or "unnamed",
        part.get_content_type(),
        data if isinstance(data, bytes) else b"",
        str(part["Content-ID"] or "").strip("<>"),
    )
