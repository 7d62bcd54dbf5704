"""The health of accounts, shared by all workers: each decision is made under the row's lock, by the pure
functions of domain/breaker.py and domain/pacing.py, on the database's clock."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat as uuids

from tidings.domain import breaker as breakers
from tidings.domain import ids, pacing
from tidings.domain.breaker import (
    NONE,
    Breaker,
    BreakerPolicy,
    Cause,
    Change,
    Counts,
    Second,
    State,
)
from tidings.domain.pacing import Pace
from tidings.store.database import Connection, Reader, Record

CHANNEL = "tidings_health"
EVENTS_KEPT = 1000
"""Events of each account; how long they are kept is a setting."""
_SEEN = 5.0  # seconds for which a worker counts as one that uses the account


@dataclass(frozen=True, slots=True)
class Report:
    """What one worker saw of an account since its last report. wanted: probes it has work for; trial, good, bad:
    results of the probes it made."""

    account: str
    counts: Counts = NONE
    wanted: int = 0
    trial: int = 0
    good: int = 0
    bad: int = 0
    throttled: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Shared:
    """What all workers know of an account. now: the database's clock; workers: that use it, by when seen last."""

    account: str
    breaker: Breaker
    pace: Pace
    now: float
    workers: Mapping[str, float] = field(default_factory=dict)

    @property
    def sharers(self) -> int:
        return max(1, sum(self.now - seen <= _SEEN for seen in self.workers.values()))


@dataclass(frozen=True, slots=True)
class Told:
    """All accounts that have a row; the permits that the asking worker got; and what changed by its report."""

    shared: Sequence[Shared]
    permits: Mapping[str, int]
    changes: Sequence[tuple[str, Change]]


@dataclass(frozen=True, slots=True)
class AccountEvent:
    id: UUID
    account: str
    at: datetime
    state_from: State
    state_to: State
    reason: str
    detail: str


_ALL = """SELECT account, state, reason, extract(epoch FROM since)::float8 AS since,
  extract(epoch FROM probe_at)::float8 AS probe_at, details,
  extract(epoch FROM clock_timestamp())::float8 AS now
FROM account_health"""


async def read(reader: Reader) -> list[Shared]:
    """All accounts of which something is known."""
    return [_shared(row) for row in await reader.fetch(_ALL)]


async def report(
    connection: Connection,
    worker: str,
    reports: Sequence[Report],
    policies: Mapping[str, BreakerPolicy],
    uniform: Callable[[], float],
) -> Told:
    """Add a worker's report and decide. An account without a policy has no breaker. Others hear of changes at once."""
    permits: dict[str, int] = {}
    changes: list[tuple[str, Change]] = []
    written: list[Shared] = []
    async with connection.transaction():
        rows = await _locked(connection, [one.account for one in reports])
        for one in reports:
            policy = policies.get(one.account)
            before = rows[one.account]
            after, granted, changed = _decided(before, one, worker, policy, uniform())
            written.append(after)
            permits[one.account] = granted
            changes += [(one.account, change) for change in changed]
        await _write(connection, written)
        for account, change in changes:
            await _record(connection, account, change)
        shared = await read(connection)
    for account in {account for account, _ in changes}:
        await tell(connection, account)
    return Told(shared, permits, changes)


async def reset(connection: Connection, account: str, by: str) -> None:
    """Close the breaker by hand and lift what slows the account down; recorded as an event. by: who did it."""
    async with connection.transaction():
        before = (await _locked(connection, [account]))[account]
        breaker, change = breakers.reset(before.breaker, before.now, by)
        await _write(connection, [Shared(account, breaker, Pace(), before.now, before.workers)])
        if change is not None:
            await _record(connection, account, change)
    await tell(connection, account)


async def events(reader: Reader, limit: int) -> list[AccountEvent]:
    """The newest of each account, the newest first."""
    rows = await reader.fetch(
        """SELECT id, account, at, state_from, state_to, reason, detail FROM (
             SELECT *, row_number() OVER (PARTITION BY account ORDER BY id DESC) AS nth FROM account_events
           ) AS numbered WHERE nth <= $1 ORDER BY id DESC""",
        limit,
    )
    return [_event(row) for row in rows]


async def events_before(
    reader: Reader, *, account: str | None, before: UUID | None, limit: int
) -> list[AccountEvent]:
    """A page, the newest first. account: only of this one; before: the last id of the page before."""
    rows = await reader.fetch(
        """SELECT id, account, at, state_from, state_to, reason, detail FROM account_events
           WHERE ($1::text IS NULL OR account = $1) AND ($2::uuid IS NULL OR id < $2)
           ORDER BY id DESC LIMIT $3""",
        account,
        before,
        limit,
    )
    return [_event(row) for row in rows]


async def tell(connection: Connection, account: str) -> None:
    """Outside of any transaction: NOTIFY takes a lock over all that commit."""
    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, account)


def _decided(
    before: Shared, one: Report, worker: str, policy: BreakerPolicy | None, uniform: float
) -> tuple[Shared, int, list[Change]]:
    now, breaker, granted = before.now, before.breaker, 0
    found: list[Change | None] = []
    if policy is not None:
        breaker, change = breakers.observe(breaker, one.counts, now, policy, uniform)
        found.append(change)
        if one.good or one.bad:
            breaker, change = breakers.probed(
                breaker, one.trial, one.good, one.bad, now, policy, uniform
            )
            found.append(change)
        breaker, granted, change = breakers.ask(breaker, one.wanted, now, policy)
        found.append(change)
    pace = pacing.grown(before.pace, now)
    if one.throttled:
        pace = pacing.throttled(pace, one.retry_after, _measured(breaker, one.counts, now), now)
    workers = {name: seen for name, seen in before.workers.items() if now - seen <= _SEEN}
    after = Shared(before.account, breaker, pace, now, {**workers, worker: now})
    return after, granted, [change for change in found if change is not None]


def _measured(breaker: Breaker, counts: Counts, now: float) -> float:
    """Calls per second that the account took lately."""
    if not breaker.window:
        return float(counts.all)
    seconds = max(1.0, now - breaker.window[0].at)
    return sum(one.counts.all for one in breaker.window) / seconds


async def _locked(connection: Connection, accounts: Sequence[str]) -> dict[str, Shared]:
    """Their rows, locked in the order of names, so that two workers never wait in a circle."""
    names = sorted(accounts)
    query = f"{_ALL} WHERE account = ANY ($1::text[]) ORDER BY account FOR UPDATE"
    rows = await connection.fetch(query, names)
    if len(rows) < len(set(names)):
        await connection.execute(
            """INSERT INTO account_health (account, since) SELECT name, 'epoch' FROM unnest($1::text[]) AS name
               ORDER BY name ON CONFLICT DO NOTHING""",
            names,
        )
        rows = await connection.fetch(query, names)
    return {row["account"]: _shared(row) for row in rows}


async def _write(connection: Connection, written: Sequence[Shared]) -> None:
    await connection.executemany(
        """UPDATE account_health SET state = $2, reason = $3, since = to_timestamp($4::float8),
             probe_at = to_timestamp($5::float8), details = $6 WHERE account = $1""",
        [
            (
                one.account,
                one.breaker.state.value,
                one.breaker.cause,
                one.breaker.since,
                one.breaker.probe_at,
                _details(one),
            )
            for one in written
        ],
    )


async def _record(connection: Connection, account: str, change: Change) -> None:
    await connection.execute(
        """INSERT INTO account_events (id, account, state_from, state_to, reason, detail)
           VALUES ($1, $2, $3, $4, $5, $6)""",
        uuids.uuid7(),
        account,
        change.state_from.value,
        change.state_to.value,
        change.cause.value,
        change.detail,
    )
    await connection.execute(
        """DELETE FROM account_events WHERE account = $1 AND id <= (
             SELECT id FROM account_events WHERE account = $1 ORDER BY id DESC OFFSET $2 LIMIT 1)""",
        account,
        EVENTS_KEPT,
    )


async def forget_before(connection: Connection, moment: datetime, *, most: int = 10_000) -> int:
    """Delete up to `most` events from before this moment; how many."""
    done = await connection.execute(
        """DELETE FROM account_events WHERE id = ANY (ARRAY(
             SELECT id FROM account_events WHERE id < $1 ORDER BY id LIMIT $2))""",
        ids.first_at(moment),
        most,
    )
    return int(done.rpartition(" ")[2])


def _details(one: Shared) -> dict[str, Any]:
    breaker = one.breaker
    return {
        "window": [[second.at, *second.counts] for second in breaker.window],
        "strikes": breaker.strikes,
        "trial": breaker.trial,
        "granted": breaker.granted,
        "good": breaker.good,
        "rounds": breaker.rounds,
        "lapse_at": breaker.lapse_at,
        "pace": asdict(one.pace),
        "workers": dict(one.workers),
    }


def _shared(row: Record) -> Shared:
    details = row["details"]
    breaker = Breaker(
        state=State(row["state"]),
        since=row["since"],
        cause=Cause(row["reason"]) if row["reason"] else None,
        window=tuple(Second(at, Counts(*counts)) for at, *counts in details.get("window", ())),
        probe_at=row["probe_at"],
        strikes=details.get("strikes", 0),
        trial=details.get("trial", 0),
        granted=details.get("granted", 0),
        good=details.get("good", 0),
        rounds=details.get("rounds", 0),
        lapse_at=details.get("lapse_at", 0.0),
    )
    pace = Pace(**details.get("pace", {}))
    return Shared(row["account"], breaker, pace, row["now"], details.get("workers", {}))


def _event(row: Record) -> AccountEvent:
    return AccountEvent(
        row["id"],
        row["account"],
        row["at"],
        State(row["state_from"]),
        State(row["state_to"]),
        row["reason"],
        row["detail"],
    )


def moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
