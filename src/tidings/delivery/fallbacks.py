"""Routing "fallback": what becomes of the channels behind one that ended."""

from collections.abc import Sequence
from uuid import UUID

from tidings.domain.deliveries import FALLS_BACK, DeliveryStatus
from tidings.domain.lanes import Lane, lane_number
from tidings.domain.priorities import Priority
from tidings.domain.reasons import Reason
from tidings.queue import postgres as queue
from tidings.store import deliveries
from tidings.store.database import Connection

_ENDS_CHAIN = {
    DeliveryStatus.SENT: Reason.FALLBACK_NOT_NEEDED,
    DeliveryStatus.DELIVERED: Reason.FALLBACK_NOT_NEEDED,
    DeliveryStatus.UNKNOWN: Reason.FALLBACK_HELD,
}


async def follow_fallbacks(
    connection: Connection, ended: Sequence[tuple[UUID, DeliveryStatus]]
) -> None:
    """With routing "fallback": a success ends the chain, and so does what may be one; a failure starts
    the next channel. ended: (notification, status of its delivery)."""
    dropped: dict[Reason, list[UUID]] = {}
    failed: list[UUID] = []
    for notification_id, status in ended:
        if (reason := _ENDS_CHAIN.get(status)) is not None:
            dropped.setdefault(reason, []).append(notification_id)
        elif status in FALLS_BACK:
            failed.append(notification_id)
    for reason, notification_ids in dropped.items():
        await deliveries.drop_fallbacks(connection, notification_ids, reason)
    if failed and (released := await deliveries.release_fallbacks(connection, failed)):
        await queue.enqueue(connection, [_entry(one) for one in released])


def _entry(one: deliveries.Released) -> queue.Entry:
    lane = Lane(Priority(one.priority), lane_number(one.app, one.channel))
    return queue.Entry(one.delivery_id, one.notification_id, lane, expires_at=one.expires_at)
