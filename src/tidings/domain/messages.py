"""What is handed to a provider: rendered content and whom it is for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from tidings.domain.channels import Channel

JSON: TypeAlias = "str | int | float | bool | list[JSON] | dict[str, JSON] | None"


@dataclass(frozen=True, slots=True)
class EmailContent:
    subject: str
    text: str
    html: str | None = None
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class SmsContent:
    body: str


@dataclass(frozen=True, slots=True)
class PushContent:
    title: str
    body: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class InAppContent:
    title: str
    body: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookContent:
    """type: the event's name; payload: what the receiver gets as `data`."""

    type: str
    payload: JSON


@dataclass(frozen=True, slots=True)
class ChatContent:
    body: str


Content = EmailContent | SmsContent | PushContent | InAppContent | WebhookContent | ChatContent


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery's message, ready to send.

    delivery_id stays the same over all attempts: providers use it as idempotency key or message id.
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
