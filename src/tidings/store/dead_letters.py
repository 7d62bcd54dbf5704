"""Dead letters: what failed for good, kept until it is replayed, discarded or forgotten.

A letter is written by the statement that ends its delivery (settlements.py). Whoever replays, discards or
revives one locks its row first, so that exactly one of them does; the newest first, so that none wait for
each other in a circle.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from tidings.domain import ids
from tidings.domain.channels import Channel
from tidings.domain.dead_letters import LetterState
from tidings.domain.deliveries import DeliveryStatus
from tidings.store.database import Connection, Reader, Record


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """id: as UUIDv7, in the order in which they failed. account: the last that was called. changed_at: when it
    was last replayed or discarded. replays: the notifications that were made of it, the oldest first."""

    id: UUID
    delivery_id: UUID
    notification_id: UUID
    api_key_id: UUID
    batch_id: UUID | None
    template_id: str
    channel: Channel
    status: DeliveryStatus
    reason: str | None
    account: str | None
    state: LetterState
    changed_at: datetime | None
    replays: Sequence[UUID]

    @property
    def failed_at(self) -> datetime:
        return ids.time_of(self.id)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which letters; None means any. since, until: when they failed."""

    states: Collection[LetterState] | None = None
    channel: Channel | None = None
    status: DeliveryStatus | None = None
    reason: str | None = None
    template_id: str | None = None
    account: str | None = None
    batch_id: UUID | None = None
    api_key_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


_COLUMNS = """id, delivery_id, notification_id, api_key_id, batch_id, template_id, channel, status, reason,
  account, state, changed_at, replays"""
_EQUAL = ("channel", "status", "reason", "template_id", "account", "batch_id", "api_key_id")


async def listed(
    connection: Reader, wanted: Filter, *, before: UUID | None, limit: int
) -> list[DeadLetter]:
    """What failed last comes first, below the id `before` (keyset pagination)."""
    return await _select(connection, wanted, before, limit)


async def take(
    connection: Connection, wanted: Filter, *, before: UUID | None, limit: int
) -> list[DeadLetter]:
    """A page as `listed` gives it, locked until this transaction ends."""
    return await _select(connection, wanted, before, limit, "FOR UPDATE")


async def hold(connection: Connection, delivery_ids: Sequence[UUID]) -> list[DeadLetter]:
    """Those of these deliveries, locked until this transaction ends; what failed last comes first."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM dead_letters WHERE delivery_id = ANY ($1::uuid[])
            ORDER BY id DESC FOR UPDATE""",
        delivery_ids,
    )
    return [_letter(row) for row in rows]


async def find(connection: Reader, delivery_id: UUID) -> DeadLetter | None:
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM dead_letters WHERE delivery_id = $1", delivery_id
    )
    return None if row is None else _letter(row)


async def replayed(connection: Connection, made: Mapping[UUID, UUID]) -> None:
    """Say so, in the transaction that stores the replays; made: notifications by the letter's id."""
    await connection.execute(
        """UPDATE dead_letters SET state = 'replayed', changed_at = now(),
             replays = replays || ($2::uuid[])[array_position($1, id)]
           WHERE id = ANY ($1::uuid[])""",
        list(made),
        list(made.values()),
    )


async def discard(connection: Connection, letter_ids: Sequence[UUID]) -> int:
    """Lay aside those that wait; how many did."""
    rows = await connection.fetch(
        """UPDATE dead_letters SET state = 'discarded', changed_at = now()
           WHERE id = ANY ($1::uuid[]) AND state = 'waiting' RETURNING id""",
        letter_ids,
    )
    return len(rows)


async def discard_matching(connection: Connection, wanted: Filter, most: int) -> int:
    """Lay aside up to `most` of those that match and wait; how many."""
    wanted = replace(wanted, states=[LetterState.WAITING])
    async with connection.transaction():
        letters = await take(connection, wanted, before=None, limit=most)
        return await discard(connection, [one.id for one in letters])


async def waiting(connection: Reader) -> dict[Channel, int]:
    """How many wait, by channel; reads them all from an index, so ask for it at the pace of a scrape."""
    rows = await connection.fetch(
        "SELECT channel, count(*) FROM dead_letters WHERE state = 'waiting' GROUP BY channel"
    )
    return {Channel(row["channel"]): row["count"] for row in rows}


async def forget_before(connection: Connection, moment: datetime, *, most: int = 20_000) -> int:
    """Delete up to `most` of what failed before this moment; how many. To be called until it is 0.

    A letter that nobody has looked at yet goes, too: how long they are kept is a setting.
    """
    before = ids.first_at(moment)
    async with connection.transaction():
        await connection.execute(
            """INSERT INTO forgotten AS f VALUES ('dead_letters', $1)
               ON CONFLICT (what) DO UPDATE SET before = excluded.before WHERE f.before < excluded.before""",
            before,
        )
        rows = await connection.fetch(
            """DELETE FROM dead_letters WHERE id = ANY (ARRAY(
                 SELECT id FROM dead_letters WHERE id < $1 ORDER BY id DESC LIMIT $2
                 FOR UPDATE SKIP LOCKED)) RETURNING id""",
            before,
            most,
        )
    return len(rows)


async def _select(
    connection: Reader, wanted: Filter, before: UUID | None, limit: int, locking: str = ""
) -> list[DeadLetter]:
    upper = ids.first_at(wanted.until) if wanted.until else None
    if before is not None:
        upper = before if upper is None else min(before, upper)
    arguments: list[object] = []

    def bind(value: object) -> str:
        arguments.append(value)
        return f"${len(arguments)}"

    conditions = ["true"]
    if upper is not None:
        conditions.append(f"id < {bind(upper)}")
    if wanted.since is not None:
        conditions.append(f"id >= {bind(ids.first_at(wanted.since))}")
    if wanted.states is not None:
        # Not as a parameter: a plan for any state could not use the index of those that wait.
        words = ", ".join(f"'{one}'" for one in sorted(wanted.states))
        conditions.append(f"state IN ({words})")
    conditions += [
        f"{column} = {bind(value)}"
        for column in _EQUAL
        if (value := getattr(wanted, column)) is not None
    ]
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM dead_letters WHERE {" AND ".join(conditions)}
            ORDER BY id DESC LIMIT {bind(limit)} {locking}""",
        *arguments,
    )
    return [_letter(row) for row in rows]


def _letter(row: Record) -> DeadLetter:
    return DeadLetter(
        **{
            **dict(row),
            "channel": Channel(row["channel"]),
            "status": DeliveryStatus(row["status"]),
            "state": LetterState(row["state"]),
        }
    )
