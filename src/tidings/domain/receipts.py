"""What is learnt of a message after it was sent, in one vocabulary for all vendors, and what follows from it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.reasons import Reason


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


@dataclass(frozen=True, slots=True)
class Landed:
    """Where a receipt takes a delivery. rank: of two, the higher one holds, in whatever order they came."""

    rank: int
    status: DeliveryStatus
    reason: Reason


_SENT = Landed(1, DeliveryStatus.SENT, Reason.PROVIDER_ACCEPTED)
_DROPPED = Landed(2, DeliveryStatus.FAILED, Reason.PROVIDER_DROPPED)
_FAILED = Landed(3, DeliveryStatus.FAILED, Reason.DELIVERY_FAILED)
_DELIVERED = Landed(4, DeliveryStatus.DELIVERED, Reason.CONFIRMED)
_BOUNCED_SOFT = Landed(5, DeliveryStatus.BOUNCED, Reason.BOUNCED_SOFT)
_BOUNCED_HARD = Landed(6, DeliveryStatus.BOUNCED, Reason.BOUNCED_HARD)

_LANDS = {
    ReceiptType.SENT: _SENT,
    ReceiptType.DEFERRED: _SENT,
    ReceiptType.DROPPED: _DROPPED,
    ReceiptType.REJECTED: _DROPPED,
    ReceiptType.FAILED: _FAILED,
    ReceiptType.DELIVERED: _DELIVERED,
    # Who reads it, clicks in it or complains about it has it.
    ReceiptType.OPENED: _DELIVERED,
    ReceiptType.CLICKED: _DELIVERED,
    ReceiptType.COMPLAINED: _DELIVERED,
    ReceiptType.UNSUBSCRIBED: _DELIVERED,
}

# Where a delivery can be without any receipt, and which receipts take it further: those of a higher rank. What was never
# called, or ended by a decision, is not moved.
_RANKS = {
    DeliveryStatus.PENDING: 0,
    DeliveryStatus.UNKNOWN: 0,
    DeliveryStatus.SENT: _SENT.rank,
    DeliveryStatus.FAILED: _SENT.rank,
    DeliveryStatus.DELIVERED: _DELIVERED.rank,
    DeliveryStatus.BOUNCED: _DELIVERED.rank,
}


def landing(kind: ReceiptType, bounce: Bounce | None) -> Landed | None:
    """None for what says nothing of where the message is."""
    if kind is ReceiptType.BOUNCED:
        return _BOUNCED_SOFT if bounce is Bounce.SOFT else _BOUNCED_HARD
    return _LANDS.get(kind)


def advanced(
    status: DeliveryStatus, receipts: Iterable[tuple[ReceiptType, Bounce | None]]
) -> Landed | None:
    """Where all its receipts together take a delivery; None where they leave it. The same for any order of them, and
    for any number of each."""
    found = [landed for one in receipts if (landed := landing(*one)) is not None]
    if not found or status not in _RANKS:
        return None
    highest = max(found, key=lambda one: one.rank)
    return highest if highest.rank > _RANKS[status] else None
