"""Batches: what was sent in bulk, as one thing that can be followed, paused and cancelled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from tidings.domain import ids
from tidings.store.database import Connection, Reader, Record

BatchState = Literal["running", "paused", "cancelled"]
SweepKind = Literal["resume", "cancel", "retry"]


@dataclass(frozen=True, slots=True)
class NewBatch:
    """expected: how many notifications there will be, as far as whoever opens it knows. key: the idempotency
    key of the stream that fills it. sealed: nothing will be added."""

    id: UUID
    api_key_id: UUID
    name: str | None = None
    expected: int | None = None
    key: str | None = None
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch as stored. lines: of its stream, accepted or refused; refused: of these lines; refusals: by the
    code of the problem."""

    id: UUID
    api_key_id: UUID
    name: str | None
    expected: int | None
    state: BatchState
    sealed_at: datetime | None
    lines: int
    refused: int
    refusals: Mapping[str, int]

    @property
    def opened_at(self) -> datetime:
        return ids.time_of(self.id)

    @property
    def open(self) -> bool:
        """Whether it takes more."""
        return self.sealed_at is None and self.state != "cancelled"


_COLUMNS = "id, api_key_id, name, expected, state, sealed_at, lines, refused, refusals"


async def create(connection: Reader, batch: NewBatch) -> None:
    await connection.execute(
        """INSERT INTO batches (id, api_key_id, name, expected, key, sealed_at)
           VALUES ($1, $2, $3, $4, $5, CASE WHEN $6 THEN now() END)""",
        batch.id,
        batch.api_key_id,
        batch.name,
        batch.expected,
        batch.key,
        batch.sealed,
    )


async def open_by_key(connection: Reader, batch: NewBatch) -> BatchRow:
    """The batch that this idempotency key opened before; the given one, made now, where there is none."""
    while True:
        row = await connection.fetchrow(
            f"""INSERT INTO batches (id, api_key_id, name, expected, key) VALUES ($1, $2, $3, $4, $5)
                ON CONFLICT (api_key_id, key) DO NOTHING RETURNING {_COLUMNS}""",
            batch.id,
            batch.api_key_id,
            batch.name,
            batch.expected,
            batch.key,
        ) or await connection.fetchrow(
            f"SELECT {_COLUMNS} FROM batches WHERE api_key_id = $1 AND key = $2",
            batch.api_key_id,
            batch.key,
        )
        if row is not None:  # its key was forgotten between the two statements: it is free now
            return _batch(row)


async def find(connection: Reader, batch_id: UUID) -> BatchRow | None:
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM batches WHERE id = $1", batch_id)
    return None if row is None else _batch(row)


async def listed(
    connection: Reader, *, api_key_id: UUID | None, before: UUID | None, limit: int
) -> list[BatchRow]:
    """The newest first, below the id `before`; of one API key, or of all."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM batches
            WHERE ($1::uuid IS NULL OR api_key_id = $1) AND ($2::uuid IS NULL OR id < $2)
            ORDER BY id DESC LIMIT $3""",
        api_key_id,
        before,
        limit,
    )
    return [_batch(row) for row in rows]


async def hold_open(connection: Connection, batch_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these take more; they do so until this transaction ends."""
    rows = await connection.fetch(
        """SELECT id FROM batches WHERE id = ANY ($1::uuid[]) AND sealed_at IS NULL AND state <> 'cancelled'
           ORDER BY id FOR SHARE""",
        batch_ids,
    )
    return {row["id"] for row in rows}


async def advance(
    connection: Connection, batch_id: UUID, *, before: int, lines: int, refused: Mapping[str, int]
) -> bool:
    """In the transaction that stores them: the stream's lines up to `lines` are done. False when it has not
    come as far as `before`, or farther, or takes no more: then nothing of them may be stored. refused: of them, by the
    code of the problem."""
    done = await connection.execute(
        """UPDATE batches SET lines = $3, refused = refused + $4,
             refusals = CASE WHEN $4 = 0 THEN refusals ELSE add_counts(refusals, $5) END
           WHERE id = $1 AND lines = $2 AND sealed_at IS NULL AND state <> 'cancelled'""",
        batch_id,
        before,
        lines,
        sum(refused.values()),
        dict(refused),
    )
    return bool(done == "UPDATE 1")


async def seal(connection: Reader, batch_id: UUID) -> None:
    """Nothing can be added any more; again does no harm."""
    await connection.execute(
        "UPDATE batches SET sealed_at = now() WHERE id = $1 AND sealed_at IS NULL", batch_id
    )


async def pause(connection: Connection, batch_id: UUID) -> bool:
    """False where it was cancelled before."""
    async with connection.transaction():
        if not await _turn(connection, batch_id, "paused"):
            return False
        await connection.execute(
            "DELETE FROM batch_sweeps WHERE batch_id = $1 AND kind = 'resume'", batch_id
        )
    return True


async def resume(connection: Connection, batch_id: UUID) -> bool:
    """Let go on what waits; False where it was cancelled before."""
    async with connection.transaction():
        if not await _turn(connection, batch_id, "running"):
            return False
        await _sweep(connection, batch_id, "resume")
    return True


async def cancel(connection: Connection, batch_id: UUID) -> None:
    """Cancel all that has not been sent, for good; again does no harm."""
    async with connection.transaction():
        await connection.execute(
            "UPDATE batches SET state = 'cancelled' WHERE id = $1 AND state <> 'cancelled'",
            batch_id,
        )
        await connection.execute(
            "DELETE FROM batch_sweeps WHERE batch_id = $1 AND kind <> 'cancel'", batch_id
        )
        await _sweep(connection, batch_id, "cancel")


async def retry(connection: Connection, batch_id: UUID, *, include_unknown: bool) -> bool:
    """Try again what failed; False where it was cancelled."""
    async with connection.transaction():
        if not await connection.fetchval(
            "SELECT true FROM batches WHERE id = $1 AND state <> 'cancelled' FOR UPDATE", batch_id
        ):
            return False
        await _sweep(connection, batch_id, "retry", include_unknown=include_unknown)
    return True


async def park(
    connection: Connection, lease: UUID, held: Sequence[tuple[UUID, UUID]]
) -> list[UUID]:
    """Lay aside what was claimed of paused batches, (delivery id, batch id); which deliveries.

    What belongs to a batch that was resumed meanwhile stays as it was claimed: the lock on the batch's row
    orders this before its resumption, whose sweep then finds it, or after.
    """
    async with connection.transaction():
        rows = await connection.fetch(
            """SELECT id FROM batches WHERE id = ANY ($1::uuid[]) AND state = 'paused'
               ORDER BY id FOR SHARE""",
            list({batch_id for _, batch_id in held}),
        )
        paused = {row["id"] for row in rows}
        parked = await connection.fetch(
            """UPDATE queue SET lease = NULL, due_at = 'infinity'
               WHERE delivery_id = ANY ($1::uuid[]) AND lease = $2 AND started_at IS NULL
               RETURNING delivery_id""",
            sorted(delivery_id for delivery_id, batch_id in held if batch_id in paused),
            lease,
        )
    return [row["delivery_id"] for row in parked]


async def forget_keys(connection: Connection, older_than: float) -> None:
    """Idempotency keys of streams begun more than so many seconds ago are free again."""
    await connection.execute(
        """UPDATE batches SET key = NULL
           WHERE key IS NOT NULL AND id < uuid_first_at(now() - make_interval(secs => $1))""",
        older_than,
    )


async def forget_before(connection: Connection, moment: datetime, *, most: int = 1_000) -> int:
    """Delete up to `most` that were opened before, take no more, and have no notification left; how many."""
    done = await connection.execute(
        """DELETE FROM batches WHERE id = ANY (ARRAY(
             SELECT b.id FROM batches b
             WHERE b.id < $1 AND (b.sealed_at IS NOT NULL OR b.state = 'cancelled')
               AND NOT EXISTS (SELECT FROM notifications n WHERE n.batch_id = b.id) LIMIT $2))""",
        ids.first_at(moment),
        most,
    )
    return int(done.rpartition(" ")[2])


class BatchStates:
    """The batches that do not run, known in a process: asked for every delivery that is claimed."""

    def __init__(self) -> None:
        self._paused: frozenset[UUID] = frozenset()
        self._cancelled: frozenset[UUID] = frozenset()
        self._stale = True

    def changed(self, payload: str = "") -> None:
        """Heard on the channel of changes: `batches:ID`, or empty when something may have been missed."""
        if payload.partition(":")[0] in {"", "batches"}:
            self._stale = True

    async def refresh(self, connection: Reader) -> None:
        """Read them anew, if anything has changed."""
        if not self._stale:
            return
        # Before reading: what changes meanwhile is read again.
        self._stale = False
        try:
            rows = await connection.fetch(
                """SELECT id, state FROM batches WHERE state = 'paused' OR (state = 'cancelled'
                     AND id >= uuid_first_at(now() - interval '90 days'))"""
            )
        except BaseException:
            self._stale = True
            raise
        self._paused = frozenset(row["id"] for row in rows if row["state"] == "paused")
        self._cancelled = frozenset(row["id"] for row in rows if row["state"] == "cancelled")

    def is_paused(self, batch_id: UUID | None) -> bool:
        return batch_id in self._paused

    def is_cancelled(self, batch_id: UUID | None) -> bool:
        return batch_id in self._cancelled


async def _turn(connection: Connection, batch_id: UUID, state: BatchState) -> bool:
    done = await connection.execute(
        "UPDATE batches SET state = $2 WHERE id = $1 AND state <> 'cancelled'", batch_id, state
    )
    return bool(done == "UPDATE 1")


async def _sweep(
    connection: Connection, batch_id: UUID, kind: SweepKind, *, include_unknown: bool = False
) -> None:
    """From the first notification on, where one is under way, too."""
    await connection.execute(
        """INSERT INTO batch_sweeps (batch_id, kind, include_unknown) VALUES ($1, $2, $3)
           ON CONFLICT (batch_id, kind) DO UPDATE SET after = excluded.after,
             include_unknown = excluded.include_unknown""",
        batch_id,
        kind,
        include_unknown,
    )


def _batch(row: Record) -> BatchRow:
    return BatchRow(**dict(row))
