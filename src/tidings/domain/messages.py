"""What is handed to a provider: rendered content and whom it is for."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from tidings.domain.channels import Channel
from tidings.domain.priorities import Priority
from tidings.domain.records import record

JSON: TypeAlias = "str | int | float | bool | list[JSON] | dict[str, JSON] | None"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with an email.

    content_id: where the HTML shows it in place, as `<img src="cid:…">`; without angle brackets.
    """

    filename: str = field(repr=False)
    content_type: str
    data: bytes = field(repr=False)
    content_id: str | None = None


@record
class EmailContent:
    """cc, bcc, reply_to: addresses, with or without a display name. headers: beside those that a message has
    anyway, such as List-Unsubscribe. tags: words by which a provider groups its statistics. sender: None where it is
    the account's own."""

    subject: str
    text: str
    html: str | None = None
    reply_to: str | None = None
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()
    tags: tuple[str, ...] = ()
    sender: str | None = None


@record
class SmsContent:
    body: str


@record
class PushContent:
    """options: how services and devices treat it, by the names that a template has for them (image, data, ttl,
    priority, badge, sound, android, ios, web)."""

    title: str
    body: str
    url: str | None = None
    options: Mapping[str, JSON] = field(default_factory=dict)


@record
class InAppContent:
    title: str
    body: str
    url: str | None = None


@record
class WebhookContent:
    """type: the event's name; payload: what the receiver gets as `data`."""

    type: str
    payload: JSON


@record
class ChatContent:
    body: str


Content = EmailContent | SmsContent | PushContent | InAppContent | WebhookContent | ChatContent


def described(content: Content) -> dict[str, Any]:
    """Content as JSON takes it: files by name, type and size, and fields that an email seldom has only
    where it has them."""
    fields = asdict(content)
    for name in ("cc", "bcc", "headers", "attachments", "tags", "options"):
        if name in fields and not fields[name]:
            del fields[name]
    for file in fields.get("attachments", ()):
        file["size"] = len(file.pop("data"))
    return fields


@record
class Message:
    """One delivery's message, ready to send.

    delivery_id stays the same over all attempts: providers use it as idempotency key or message id. expires_at: after
    which it is of no use. priority: the notification's. collapse_key: a newer message of the same key takes its place
    at the recipient's, where the service can do that. event_id: of what is told to a subscription, by which the
    receiver knows it again.
    """

    delivery_id: UUID
    notification_id: UUID
    channel: Channel
    address: str = field(repr=False)
    content: Content = field(repr=False)
    accepted_at: datetime
    category: str = ""
    attempt: int = 1
    user_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    expires_at: datetime | None = None
    priority: Priority = Priority.MEDIUM
    collapse_key: str | None = None
    event_id: UUID | None = None
