"""The states of a delivery, and what they add up to for its notification."""

from collections.abc import Iterable
from enum import StrEnum


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    BOUNCED = "bounced"
    SUPPRESSED = "suppressed"
    SKIPPED = "skipped"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


# The status that says most about a notification comes first: what reached the person, then what may
# still reach them, then what needs attention, then what was decided.
SIGNIFICANCE: tuple[DeliveryStatus, ...] = (
    DeliveryStatus.DELIVERED,
    DeliveryStatus.SENT,
    DeliveryStatus.PENDING,
    DeliveryStatus.UNKNOWN,
    DeliveryStatus.BOUNCED,
    DeliveryStatus.FAILED,
    DeliveryStatus.SUPPRESSED,
    DeliveryStatus.EXPIRED,
    DeliveryStatus.CANCELLED,
    DeliveryStatus.SKIPPED,
)
_RANK = {status: rank for rank, status in enumerate(SIGNIFICANCE)}

# With routing "fallback" the next channel is tried after these. Not after unknown: it may have arrived.
# After expired it is, and finds itself expired: the expiry is the notification's.
FALLS_BACK = frozenset(
    {
        DeliveryStatus.FAILED,
        DeliveryStatus.BOUNCED,
        DeliveryStatus.SUPPRESSED,
        DeliveryStatus.SKIPPED,
        DeliveryStatus.EXPIRED,
    }
)


def significance(status: DeliveryStatus) -> int:
    """Lower says more about the notification."""
    return _RANK[status]


def rollup(statuses: Iterable[DeliveryStatus]) -> DeliveryStatus:
    """The status of a notification, given those of its deliveries (at least one)."""
    return min(statuses, key=significance)
