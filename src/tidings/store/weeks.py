"""Weeks of partitions: which there are, and dropping one in all its tables at once.

Dropping needs every table for itself alone. Behind that wait everybody else would wait, too, so it is a short
one, given up and tried again; and what is then done while all others wait is bounded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from tidings.store.database import Connection

_WAIT = "150ms"


@dataclass(frozen=True, slots=True)
class Table:
    """key: what it is partitioned by. of_deliveries: these are deliveries' ids, not their notifications'."""

    name: str
    key: str
    of_deliveries: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Tables whose weeks go together; the first is the one that the others belong to. alive: the one whose rows
    tell whether theirs is to be kept on, where `still` is true of one ($1: since when). queued: the queue does, too."""

    name: str
    tables: tuple[Table, ...]
    alive: Table
    still: str
    queued: bool

    @property
    def first(self) -> Table:
        return self.tables[0]


_DELIVERIES = Table("deliveries", "notification_id")
NOTIFICATIONS = Group(
    "notifications",
    (
        Table("notifications", "id"),
        _DELIVERIES,
        Table("attempts", "delivery_id", of_deliveries=True),
        Table("receipts", "delivery_id", of_deliveries=True),
        Table("link_targets", "delivery_id", of_deliveries=True),
        Table("attachments", "notification_id"),
        Table("engagements", "delivery_id", of_deliveries=True),
    ),
    alive=_DELIVERIES,
    still="(status = 'pending' OR updated_at >= $1)",
    queued=True,
)
INBOX = Group(
    "inbox",
    (Table("inbox", "id"),),
    alive=Table("inbox", "id"),
    still="stored_at >= $1",
    queued=False,
)


@dataclass(frozen=True, slots=True)
class Week:
    """Its ids, from `first` to below `beyond`; partitions: by table. whole: none is missing."""

    group: Group
    first: UUID
    beyond: UUID
    partitions: Mapping[str, str]

    @property
    def whole(self) -> bool:
        return len(self.partitions) == len(self.group.tables)


async def weeks_before(connection: Connection, group: Group, beyond: UUID) -> list[Week]:
    """Those that end before this id, the oldest first."""
    rows = await connection.fetch(
        r"""SELECT bounds[1]::uuid AS first, bounds[2]::uuid AS beyond,
              array_agg(parent.relname::text) AS parents, array_agg(part.relname::text) AS names
            FROM unnest($1::text[]) AS listed JOIN pg_class parent ON parent.oid = listed::regclass
            JOIN pg_inherits i ON i.inhparent = parent.oid JOIN pg_class part ON part.oid = i.inhrelid
            CROSS JOIN LATERAL regexp_match(pg_get_expr(part.relpartbound, part.oid),
              $$FROM \('(.+)'\) TO \('(.+)'\)$$) AS bounds
            WHERE bounds IS NOT NULL AND bounds[2]::uuid <= $2 GROUP BY 1, 2 ORDER BY 1""",
        [table.name for table in group.tables],
        beyond,
    )
    return [
        Week(
            group, row["first"], row["beyond"], dict(zip(row["parents"], row["names"], strict=True))
        )
        for row in rows
    ]


async def drop(connection: Connection, week: Week, kept: Sequence[UUID], most: int) -> bool:
    """Forget a week, but for the notifications (or entries) `kept` and those that were put on the queue meanwhile:
    these move to the default partitions, where the ids of a week without partitions belong. False, with nothing
    done, when they are more than `most`. Raises LockNotAvailableError when a table is in use for longer than a moment."""
    tables, parts = [table.name for table in week.group.tables], list(week.partitions.values())
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = '{_WAIT}'")
        await connection.execute(
            f"LOCK TABLE ONLY {', ONLY '.join(tables)} IN ACCESS EXCLUSIVE MODE"
        )
        queued = await queued_in(connection, week, most) if week.group.queued else []
        staying = sorted({*kept, *queued})
        if len(staying) > most:
            return False
        for table, part in week.partitions.items():
            await connection.execute(f"ALTER TABLE {table} DETACH PARTITION {part}")
        if staying:
            await _move(connection, week, staying)
        await connection.execute(f"DROP TABLE {', '.join(parts)}")
        await remember(connection, week.group, week.beyond)
    return True


async def _move(connection: Connection, week: Week, staying: Sequence[UUID]) -> None:
    """From the detached partitions through the tables into the default ones."""
    deliveries = week.partitions.get("deliveries")
    of_deliveries = (
        await connection.fetch(
            f"SELECT id FROM {deliveries} WHERE notification_id = ANY ($1::uuid[])", staying
        )
        if deliveries
        else []
    )
    for table in week.group.tables:
        owners = [row["id"] for row in of_deliveries] if table.of_deliveries else staying
        if part := week.partitions.get(table.name):
            await connection.execute(
                f"INSERT INTO {table.name} SELECT * FROM {part} WHERE {table.key} = ANY ($1::uuid[])",
                owners,
            )


async def queued_in(connection: Connection, week: Week, most: int) -> list[UUID]:
    """Notifications of a week that wait in the queue; one more than `most` when there are more."""
    rows = await connection.fetch(
        """SELECT DISTINCT notification_id FROM queue WHERE delivery_id >= $1 AND delivery_id < $2 LIMIT $3""",
        week.first,
        week.beyond,
        most + 1,
    )
    return [row["notification_id"] for row in rows]


async def remember(connection: Connection, group: Group, before: UUID) -> None:
    """That what was accepted before this id may be forgotten."""
    await connection.execute(
        """INSERT INTO forgotten AS f (what, before) VALUES ($1, $2)
           ON CONFLICT (what) DO UPDATE SET before = greatest(f.before, excluded.before), at = excluded.at""",
        group.name,
        before,
    )
