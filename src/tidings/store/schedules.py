"""Recurring schedules: what is sent again and again, and when next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson

from tidings.domain.schedules import CatchUp, Recurrence
from tidings.store.database import Connection, Reader, Record
from tidings.store.keyring import KeyRing, KeyRingError


class ScheduleState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Schedule:
    """request: what each run sends; None where it cannot be opened with this ring. next_run: None when none is left.
    last_problem: why the last run made no notification."""

    id: UUID
    api_key_id: UUID
    name: str | None
    cron: str
    timezone: str
    catch_up: CatchUp
    state: ScheduleState
    request: Mapping[str, Any] | None = field(repr=False)
    next_run: datetime | None
    runs: int = 0
    last_run: datetime | None = None
    last_notification: UUID | None = None
    last_problem: str | None = None

    @property
    def recurrence(self) -> Recurrence:
        return Recurrence(self.cron, ZoneInfo(self.timezone), self.catch_up)

    def after(self, moment: datetime) -> "Schedule":
        """With its next run behind this moment."""
        return replace(self, next_run=next(self.recurrence.after(moment), None))


@dataclass(frozen=True, slots=True)
class Planned:
    """A schedule whose run is due. app: number of its API key; revoked: the key is not valid any more."""

    schedule: Schedule
    next_run: datetime
    app: int
    revoked: bool


_COLUMNS = """id, api_key_id, name, cron, timezone, catch_up, state, sealed, next_run, runs, last_run,
  last_notification, last_problem"""


async def create(connection: Connection, one: Schedule, keyring: KeyRing) -> None:
    await connection.execute(
        """INSERT INTO schedules (id, name, cron, timezone, catch_up, state, sealed, next_run, api_key_id)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)""",
        *_changeable(one, keyring),
        one.api_key_id,
    )


async def change(connection: Connection, one: Schedule, keyring: KeyRing) -> None:
    """Its counters stay, and so does a request that cannot be opened."""
    await connection.execute(
        """UPDATE schedules SET name = $2, cron = $3, timezone = $4, catch_up = $5, state = $6,
             sealed = coalesce($7, sealed), next_run = $8, updated_at = now() WHERE id = $1""",
        *_changeable(one, keyring),
    )


def _changeable(one: Schedule, keyring: KeyRing) -> list[object]:
    sealed = None if one.request is None else keyring.seal(orjson.dumps(one.request), one.id.bytes)
    return [
        one.id,
        one.name,
        one.cron,
        one.timezone,
        one.catch_up,
        one.state,
        sealed,
        one.next_run,
    ]


async def find(
    connection: Reader, schedule_id: UUID, keyring: KeyRing, *, lock: bool = False
) -> Schedule | None:
    """lock: against its runs, until the transaction ends."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM schedules WHERE id = $1 {'FOR UPDATE' if lock else ''}",
        schedule_id,
    )
    return None if row is None else _schedule(row, keyring)


async def listed(
    connection: Reader, keyring: KeyRing, *, before: UUID | None, limit: int
) -> list[Schedule]:
    """The newest first; without those that were cancelled."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM schedules
            WHERE state <> 'cancelled' AND id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
            ORDER BY id DESC LIMIT $2""",
        before,
        limit,
    )
    return [_schedule(row, keyring) for row in rows]


async def kept(
    connection: Reader, keyring: KeyRing, *, before: UUID | None, limit: int
) -> list[Schedule]:
    """All that there are, those that were cancelled, too; the newest first."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM schedules
            WHERE id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff') ORDER BY id DESC LIMIT $2""",
        before,
        limit,
    )
    return [_schedule(row, keyring) for row in rows]


async def due(connection: Connection, now: datetime, limit: int, keyring: KeyRing) -> list[Planned]:
    """Those whose next run has come, the longest overdue first."""
    rows = await connection.fetch(
        f"""SELECT {", ".join(f"s.{column.strip()}" for column in _COLUMNS.split(","))},
              coalesce(k.number, 0) AS app, k.id IS NULL OR k.revoked_at IS NOT NULL AS revoked
            FROM schedules s LEFT JOIN api_keys k ON k.id = s.api_key_id
            WHERE s.state = 'active' AND s.next_run <= $1 ORDER BY s.next_run LIMIT $2""",
        now,
        limit,
    )
    return [_planned(row, keyring) for row in rows]


async def next_due(connection: Reader) -> datetime | None:
    found: datetime | None = await connection.fetchval(
        "SELECT min(next_run) FROM schedules WHERE state = 'active'"
    )
    return found


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of the runs that were due. notifications: those that were made, in the order of the runs."""

    planned: Planned
    next_run: datetime | None
    runs: Sequence[datetime]
    notifications: Sequence[UUID]
    problem: str | None = None
    pause: bool = False


async def record(connection: Connection, ran: Ran) -> None:
    """Unless another process did, or the schedule was changed meanwhile."""
    await connection.execute(
        """UPDATE schedules SET next_run = $3, runs = runs + $4, last_run = coalesce($5, last_run),
             last_notification = coalesce($6, last_notification), last_problem = $7,
             state = CASE WHEN $8 THEN 'paused' ELSE state END
           WHERE id = $1 AND next_run = $2 AND state = 'active'""",
        ran.planned.schedule.id,
        ran.planned.next_run,
        ran.next_run,
        len(ran.notifications),
        ran.runs[-1] if ran.runs else None,
        ran.notifications[-1] if ran.notifications else None,
        ran.problem,
        ran.pause,
    )


def _planned(row: Record, keyring: KeyRing) -> Planned:
    return Planned(_schedule(row, keyring), row["next_run"], row["app"], row["revoked"])


def _schedule(row: Record, keyring: KeyRing) -> Schedule:
    """One that cannot be opened must not keep the others from their runs, nor from being listed."""
    values = {name: row[name] for name in Schedule.__dataclass_fields__ if name != "request"}
    try:
        request = orjson.loads(keyring.open(row["sealed"], row["id"].bytes))
    except KeyRingError:
        request = None
    return Schedule(**{**values, "state": ScheduleState(row["state"])}, request=request)
