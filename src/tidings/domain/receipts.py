"""What is learnt of a message after it was sent, in one vocabulary for all vendors."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class ReceiptType(StrEnum):
    """What happened; a vendor's event without a word of its own here is `other`, and kept."""

    SENT = "sent"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    DROPPED = "dropped"
    REJECTED = "rejected"
    FAILED = "failed"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    OPENED = "opened"
    CLICKED = "clicked"
    INBOUND = "inbound"
    OTHER = "other"


class Bounce(StrEnum):
    """hard: the address will not work; soft: it may work later."""

    HARD = "hard"
    SOFT = "soft"


@dataclass(frozen=True, slots=True)
class Receipt:
    """One event of a vendor's.

    event_id: the same for each repetition of the event, and different for each other one of the account: the
    vendor's id of it, or a digest of what identifies it. delivery_id: where the vendor gives ours back;
    provider_message_id: what its answer to the send call named. address: the recipient's, or, of an inbound message,
    the sender's; recipient: whom an inbound message was sent to. code: the vendor's, such as a bounce code or the
    name of an event without a word here. detail: holds no address and no content. url: what was clicked. text: what
    an inbound message says.
    """

    type: ReceiptType
    at: datetime
    event_id: str
    delivery_id: UUID | None = None
    provider_message_id: str | None = None
    address: str | None = field(default=None, repr=False)
    recipient: str | None = field(default=None, repr=False)
    bounce: Bounce | None = None
    code: str = ""
    detail: str = ""
    url: str | None = field(default=None, repr=False)
    user_agent: str | None = field(default=None, repr=False)
    ip_address: str | None = field(default=None, repr=False)
    text: str | None = field(default=None, repr=False)
