"""The body of a Mail Send request: one email, or several that share what SendGrid shares."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from tidings.domain.messages import Attachment
from tidings.providers.letters import Letter
from tidings.providers.mailbox import Mailbox

SUBSTITUTIONS = 10_000
"""Bytes of all substitutions of one personalization, at the most."""
CUSTOM_ARGS = 10_000
"""Bytes of the custom arguments of one email, at the most."""
CATEGORIES = 10
"""Categories of an email, at the most; each has up to 255 characters."""


def mail_send(letters: Sequence[Letter], sender: Mailbox, *, sandbox: bool) -> dict[str, Any]:
    """All of them as one request: alike in sender, reply_to, tags and attachments."""
    first = letters[0]
    text, html = first.content.text, first.content.html
    tags: tuple[str, str] | None = None
    if any(not alike(first, other) for other in letters[1:]):
        # Of a random id, so that no text holds them: SendGrid would replace them there, too.
        tags = f"-text-{first.delivery_id}-", f"-html-{first.delivery_id}-"
        text, html = tags[0], None if html is None else tags[1]
    body: dict[str, Any] = {
        "personalizations": [_personalization(letter, tags) for letter in letters],
        "from": address(first.sender or sender),
        "subject": first.content.subject,
        "content": _content(text, html),
    }
    if first.reply_to is not None:
        body["reply_to"] = address(first.reply_to)
    if first.content.attachments:
        body["attachments"] = [_attachment(one) for one in first.content.attachments]
    if first.tags:
        body["categories"] = [tag[:255] for tag in first.tags[:CATEGORIES]]
    if sandbox:
        body["mail_settings"] = {"sandbox_mode": {"enable": True}}
    return body


def alike(one: Letter, other: Letter) -> bool:
    return one.content.text == other.content.text and one.content.html == other.content.html


def fits_substitution(letter: Letter) -> bool:
    bodies = len(letter.content.text.encode()) + len((letter.content.html or "").encode())
    return bool(letter.content.text) and bodies <= SUBSTITUTIONS - 200


def address(mailbox: Mailbox) -> dict[str, str]:
    if not mailbox.name:
        return {"email": mailbox.address}
    # The vendor refuses names with these characters, of recipients at least.
    name = mailbox.name.replace(",", " ").replace(";", " ")
    return {"email": mailbox.address, "name": name}


def _personalization(letter: Letter, tags: tuple[str, str] | None) -> dict[str, Any]:
    one: dict[str, Any] = {
        "to": [address(letter.to)],
        "subject": letter.content.subject,
        "custom_args": _custom_args(letter.metadata),
    }
    for name, mailboxes in (("cc", letter.cc), ("bcc", letter.bcc)):
        if mailboxes:
            one[name] = list(map(address, mailboxes))
    if letter.headers:
        one["headers"] = dict(letter.headers)
    if tags is not None:
        one["substitutions"] = {tags[0]: letter.content.text}
        if letter.content.html is not None:
            one["substitutions"][tags[1]] = letter.content.html
    return one


def _custom_args(metadata: Mapping[str, str]) -> dict[str, str]:
    """Our ids always; the application's own where there is room for all."""
    size = sum(len(name.encode()) + len(value.encode()) + 6 for name, value in metadata.items())
    if size <= CUSTOM_ARGS:
        return dict(metadata)
    return {name: metadata[name] for name in ("delivery_id", "notification_id")}


def _content(text: str, html: str | None) -> list[dict[str, str]]:
    """Plain text goes first, as the vendor asks; it takes no empty part."""
    parts = [("text/plain", text), ("text/html", html)]
    return [{"type": kind, "value": value} for kind, value in parts if value]


def _attachment(one: Attachment) -> dict[str, str]:
    shown = {"disposition": "attachment"}
    if one.content_id is not None:
        shown = {"disposition": "inline", "content_id": one.content_id}
    return {
        "content": b64encode(one.data).decode("ascii"),
        "type": one.content_type,
        "filename": one.filename,
        **shown,
    }
