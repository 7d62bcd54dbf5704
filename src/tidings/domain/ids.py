"""Ids that sort by time.

A notification's id is a UUIDv7 (RFC 9562). Its deliveries' ids follow it: the id plus 1, plus 2, and
so on. So a delivery's id alone leads to its notification by a short range scan of one index, in the
one partition that its time names, and needs no index of its own.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

MAX_DELIVERIES = 1000
"""Deliveries of one notification: the width of the range behind its id."""

_HIGHEST = 2**128 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def delivery_id(notification_id: UUID, ordinal: int) -> UUID:
    """The id of the ordinal-th delivery, counted from 1."""
    return UUID(int=notification_id.int + ordinal)


def delivery_range(notification_id: UUID) -> tuple[UUID, UUID]:
    """The first and last id that a delivery of this notification can have; any UUID may be asked for."""
    return _bounded(notification_id.int + 1), _bounded(notification_id.int + MAX_DELIVERIES)


def owner_range(of_delivery: UUID) -> tuple[UUID, UUID]:
    """The first and last id that the notification of this delivery can have; any UUID may be asked for."""
    return _bounded(of_delivery.int - MAX_DELIVERIES), _bounded(of_delivery.int - 1)


def time_of(uuid7: UUID) -> datetime:
    """When the id was made, to the millisecond."""
    return _EPOCH + (uuid7.int >> 80) * _MILLISECOND


def first_at(moment: datetime) -> UUID:
    """The lowest UUIDv7 that can be made at this moment: a bound for ranges and partitions.

    For a moment before 1970, when none could be made, the lowest of all.
    """
    return UUID(int=max(0, (moment - _EPOCH) // _MILLISECOND) << 80)


def _bounded(number: int) -> UUID:
    return UUID(int=min(max(number, 0), _HIGHEST))
