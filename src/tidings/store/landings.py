"""Where receipts take deliveries, written there: forward only, and the same in whatever order they came."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from tidings.domain import ids
from tidings.domain.dead_letters import is_dead_letter
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.planning import Routing
from tidings.domain.receipts import Bounce, Landed, ReceiptType, advanced
from tidings.domain.records import record
from tidings.store.database import Connection, Reader

_TAKEN = 4  # the rank from which on a message was taken for sure, so that another try would be a second message
_EARLY_FOR = "7 days"


@dataclass(frozen=True, slots=True)
class Moved:
    """A delivery that its receipts took further."""

    notification_id: UUID
    delivery_id: UUID
    routing: Routing
    status: DeliveryStatus


@record
class _Row:
    notification_id: UUID
    id: UUID
    status: DeliveryStatus
    reason: str | None
    routing: Routing


async def apply(connection: Connection, delivery_ids: Collection[UUID]) -> list[Moved]:
    """Within a transaction: write where all that is known of these takes them. Those for which a call is under way, or
    that another writes at the moment, are looked at again by `early`."""
    rows = await _locked(connection, sorted(delivery_ids))
    said = await _said(connection, delivery_ids)
    landed = {
        row: found
        for row in rows.values()
        if (found := advanced(row.status, said.get(row.id, ()))) is not None
    }
    waiting = [row.id for row in landed if row.status is DeliveryStatus.PENDING]
    ends = [
        row.id
        for row, found in landed.items()
        if row.status is DeliveryStatus.PENDING and found.rank >= _TAKEN
    ]
    ended = await _dequeued(connection, ends) if ends else set()
    # Of a row that another writes it is not known what it says.
    held = {one: True for one in delivery_ids if one not in rows}
    held |= {one: one in set(ends) for one in waiting if one not in ended}
    await _keep_early(connection, held, set(delivery_ids) - held.keys())
    moves = {
        row: found
        for row, found in landed.items()
        if row.id not in held and (row.status, row.reason) != (found.status, found.reason)
    }
    if moves:
        await _write(connection, moves)
    return [
        Moved(row.notification_id, row.id, row.routing, found.status)
        for row, found in moves.items()
        if row.status is not found.status
    ]


async def early(connection: Connection, limit: int) -> list[UUID]:
    """Of those that waited, those whose call or last try has ended by now; the ones that were looked at longest ago."""
    await connection.execute(
        f"DELETE FROM early_receipts WHERE since < now() - interval '{_EARLY_FOR}'"
    )
    rows = await connection.fetch(
        """SELECT e.delivery_id FROM early_receipts e LEFT JOIN queue q ON q.delivery_id = e.delivery_id
           WHERE q.delivery_id IS NULL OR (e.taken AND q.started_at IS NULL) ORDER BY e.looked_at LIMIT $1""",
        limit,
    )
    return [row["delivery_id"] for row in rows]


async def any_early(connection: Reader, *, taken: bool = False) -> bool:
    """taken: of those only for which no other try is to begin."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM early_receipts WHERE taken OR NOT $1)", taken
    )
    return found


async def _locked(connection: Connection, wanted: Sequence[UUID]) -> dict[UUID, _Row]:
    """Those that nobody else writes at the moment: to wait for them could be waiting in a circle."""
    ranges = [ids.owner_range(one) for one in wanted]
    rows = await connection.fetch(
        """WITH owned AS MATERIALIZED (
             SELECT w.id, (SELECT d.notification_id FROM deliveries d
                           WHERE d.notification_id BETWEEN w.low AND w.high AND d.id = w.id) AS notification_id
             FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS w (id, low, high))
           SELECT d.id, d.notification_id, d.status, d.reason, n.routing
           FROM owned o JOIN deliveries d ON d.notification_id = o.notification_id AND d.id = o.id
           JOIN notifications n ON n.id = o.notification_id FOR UPDATE OF d SKIP LOCKED""",
        list(wanted),
        [low for low, _ in ranges],
        [high for _, high in ranges],
    )
    return {
        row["id"]: _Row(
            row["notification_id"],
            row["id"],
            DeliveryStatus(row["status"]),
            row["reason"],
            row["routing"],
        )
        for row in rows
    }


async def _said(
    connection: Reader, delivery_ids: Collection[UUID]
) -> dict[UUID, list[tuple[ReceiptType, Bounce | None]]]:
    rows = await connection.fetch(
        """SELECT DISTINCT delivery_id, type, bounce FROM receipts WHERE delivery_id = ANY ($1::uuid[])""",
        list(delivery_ids),
    )
    found: dict[UUID, list[tuple[ReceiptType, Bounce | None]]] = {}
    for row in rows:
        bounce = row["bounce"] and Bounce(row["bounce"])
        found.setdefault(row["delivery_id"], []).append((ReceiptType(row["type"]), bounce))
    return found


async def _dequeued(connection: Connection, ends: Sequence[UUID]) -> set[UUID]:
    """Taken off the queue, where no call for them is under way: they would be sent a second time."""
    rows = await connection.fetch(
        """DELETE FROM queue WHERE delivery_id = ANY (ARRAY(
             SELECT delivery_id FROM queue WHERE delivery_id = ANY ($1::uuid[]) AND started_at IS NULL
             FOR UPDATE SKIP LOCKED)) RETURNING delivery_id""",
        list(ends),
    )
    return {row["delivery_id"] for row in rows}


async def _keep_early(
    connection: Connection, held: Mapping[UUID, bool], done: Collection[UUID]
) -> None:
    if held:
        await connection.execute(
            """INSERT INTO early_receipts (delivery_id, taken) SELECT * FROM unnest($1::uuid[], $2::bool[])
               ON CONFLICT (delivery_id) DO UPDATE SET taken = excluded.taken, looked_at = now()""",
            list(held),
            list(held.values()),
        )
    if done:
        await connection.execute(
            "DELETE FROM early_receipts WHERE delivery_id = ANY ($1::uuid[])", list(done)
        )


async def _write(connection: Connection, moves: Mapping[_Row, Landed]) -> None:
    await connection.execute(
        """UPDATE deliveries d SET status = w.status, reason = w.reason, updated_at = now(),
             sent_at = coalesce(d.sent_at, now()),
             delivered_at = CASE WHEN w.status = 'delivered' THEN coalesce(d.delivered_at, now()) ELSE d.delivered_at END
           FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) AS w (notification_id, id, status, reason)
           WHERE d.notification_id = w.notification_id AND d.id = w.id""",
        [row.notification_id for row in moves],
        [row.id for row in moves],
        [found.status for found in moves.values()],
        [found.reason for found in moves.values()],
    )
    dead = [row.id for row, found in moves.items() if is_dead_letter(found.status, found.reason)]
    alive = [row.id for row in moves if row.id not in set(dead)]
    if dead:
        await connection.execute(
            """INSERT INTO dead_letters (delivery_id, notification_id, api_key_id, batch_id, template_id, channel,
                 status, reason, account)
               SELECT d.id, n.id, n.api_key_id, n.batch_id, n.template_id, d.channel, d.status, d.reason, d.account
               FROM unnest($1::uuid[], $2::uuid[]) AS w (notification_id, id)
               JOIN notifications n ON n.id = w.notification_id
               JOIN deliveries d ON d.notification_id = w.notification_id AND d.id = w.id
               ON CONFLICT (delivery_id) DO UPDATE SET status = excluded.status, reason = excluded.reason,
                 account = excluded.account""",
            [row.notification_id for row in moves if row.id in set(dead)],
            dead,
        )
    if alive:
        await connection.execute(
            "DELETE FROM dead_letters WHERE delivery_id = ANY ($1::uuid[]) AND state = 'waiting'",
            alive,
        )
