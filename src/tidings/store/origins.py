"""What a replay is made from: the delivery that failed, with its address, and its notification."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from tidings.domain.suppressions import Block
from tidings.store import notifications
from tidings.store.database import Connection, Record
from tidings.store.dead_letters import DeadLetter
from tidings.store.keyring import KeyRing, KeyRingError
from tidings.store.notifications import NotificationRow
from tidings.store.suppressions import BLOCKS, read_blocks


@dataclass(frozen=True, slots=True)
class Origin:
    """app: the number of its API key. reached: it arrived after all, or another channel of its fallback, or
    the replay of one, reached the recipient or still may. blocks: what the suppression list keeps away from the address."""

    notification: NotificationRow
    address: str = field(repr=False)
    app: int
    reached: bool
    blocks: Sequence[Block]


async def fetch(
    connection: Connection, letters: Sequence[DeadLetter], keyring: KeyRing
) -> dict[UUID, Origin | None]:
    """By delivery, those that are still stored; None where the ring does not open what is."""
    rows = await connection.fetch(
        f"""SELECT d.id, d.notification_id, d.sealed_address, coalesce(k.number, 0) AS app,
             d.status IN ('pending', 'sent', 'delivered') OR n.routing = 'fallback' AND EXISTS (
               SELECT FROM deliveries o LEFT JOIN dead_letters l ON l.delivery_id = o.id
               WHERE o.notification_id = n.id AND o.id <> d.id
                 AND (o.status IN ('pending', 'sent', 'delivered', 'unknown') OR l.replays <> '{{}}')) AS reached,
             {BLOCKS} AS blocks
           FROM unnest($1::uuid[], $2::uuid[]) AS c (notification_id, id)
           JOIN deliveries d ON d.notification_id = c.notification_id AND d.id = c.id
           JOIN notifications n ON n.id = c.notification_id
           LEFT JOIN api_keys k ON k.id = n.api_key_id""",
        [one.notification_id for one in letters],
        [one.delivery_id for one in letters],
    )
    readable = await notifications.fetch_many(
        connection, list({row["notification_id"] for row in rows}), keyring
    )
    return {row["id"]: _origin(row, readable[row["notification_id"]], keyring) for row in rows}


def _origin(row: Record, notification: NotificationRow | None, keyring: KeyRing) -> Origin | None:
    if notification is None:
        return None
    try:
        address = keyring.open(row["sealed_address"], row["id"].bytes).decode()
    except KeyRingError:
        return None
    return Origin(notification, address, row["app"], row["reached"], read_blocks(row["blocks"]))
