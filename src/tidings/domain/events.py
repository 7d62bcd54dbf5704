"""What an application can be told of: one closed list, and who wants which."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from tidings.domain.records import record

CATEGORY = "events:"
"""Of notifications that tell events; no template can have it."""
PREFIX = "events:"
"""Before a subscription's id: its account in the engine. Configured accounts cannot be named so."""


class EventType(StrEnum):
    """A type of events; its text says what has happened."""

    text: str

    def __new__(cls, code: str, text: str) -> "EventType":
        member = str.__new__(cls, code)
        member._value_ = code
        member.text = text
        return member

    SENT = "delivery.sent", "The provider took the message."
    DELIVERED = "delivery.delivered", "It arrived."
    FAILED = "delivery.failed", "It failed for good."
    BOUNCED = "delivery.bounced", "It came back; the reason says whether for good."
    SUPPRESSED = "delivery.suppressed", "Its address is on the suppression list."
    SKIPPED = "delivery.skipped", "It was not sent, for a reason that is no fault."
    EXPIRED = "delivery.expired", "Its time had passed before it could be sent."
    CANCELLED = "delivery.cancelled", "It was cancelled before it was sent."
    UNKNOWN = "delivery.unknown", "Whether it was sent is not known, and left to a person."
    OPENED = "delivery.opened", "Somebody opened the message, as far as can be told."
    CLICKED = "delivery.clicked", "Somebody followed a link in it, as far as can be told."
    COMPLAINED = "delivery.complained", "The recipient called it unwanted mail."
    UNSUBSCRIBED = "delivery.unsubscribed", "The recipient unsubscribed at the provider."


OF_RECEIPTS = frozenset(
    {EventType.OPENED, EventType.CLICKED, EventType.COMPLAINED, EventType.UNSUBSCRIBED}
)
"""Those that are no state of a delivery."""
TEST = "test"
"""The type of an event that somebody asked for, to try an endpoint."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What filters ask of an event."""

    type: str
    template_id: str
    category: str
    channel: str


@dataclass(frozen=True, slots=True)
class Wants:
    """What a subscription wants. template_ids, categories, channels: empty for all."""

    types: Collection[str]
    template_ids: Collection[str] = ()
    categories: Collection[str] = ()
    channels: Collection[str] = ()

    def __contains__(self, event: Facts) -> bool:
        return (
            event.type in self.types
            and (not self.template_ids or event.template_id in self.template_ids)
            and (not self.categories or event.category in self.categories)
            and (not self.channels or event.channel in self.channels)
        )


@record
class Event:
    """As it is told. id: by which receivers know it again. data: what they get."""

    id: UUID
    type: str
    at: datetime
    data: Mapping[str, Any] = field(repr=False)

    def stored(self) -> dict[str, Any]:
        """As `told` reads it."""
        return {"id": str(self.id), "type": self.type, "at": self.at.isoformat(), "data": self.data}


def told(stored: Mapping[str, Any]) -> Event:
    return Event(
        UUID(stored["id"]),
        stored["type"],
        datetime.fromisoformat(stored["at"]),
        stored["data"],
    )


@dataclass(frozen=True, slots=True)
class Secret:
    """A signing secret; until: when one that was replaced is used no more."""

    text: str = field(repr=False)
    until: datetime | None = None


def in_use(secrets: Sequence[Secret], now: datetime) -> list[Secret]:
    """The newest first."""
    return [one for one in secrets if one.until is None or now < one.until]


def account_of(subscription_id: UUID) -> str:
    """Each subscription is an account of its own in the engine: one that is slow holds up no other."""
    return f"{PREFIX}{subscription_id}"
