"""Accept notifications: resolve, plan and store them, in batches and in one transaction each."""

import contextlib
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

import asyncpg
import structlog

from tidings.intake import filing, gathering, once, upserting
from tidings.intake.deciding import Decider, Known
from tidings.intake.drafting import Draft, Receipt, Result, Submission
from tidings.intake.filling import BatchClosedError, Filling
from tidings.intake.refusals import Refusal, RefusalCode
from tidings.intake.repeats import claims_of, recalled, result_of
from tidings.metrics import Metrics
from tidings.store import acceptance, idempotency
from tidings.store.database import UNAVAILABLE, Connection, Pool, borrow
from tidings.store.group_commit import GroupCommit
from tidings.store.keyring import KeyRing

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_FAILED = Refusal(RefusalCode.INTERNAL_ERROR, "This one could not be stored. The error was logged.")


class Intake:
    """The door. Answers only after the commit. wake: tells the workers that there is work."""

    def __init__(
        self,
        *,
        pool: Pool,
        keyring: KeyRing,
        decider: Decider,
        wake: Callable[[], None],
        metrics: Metrics,
        largest_batch: int,
        checkpoint: Callable[[str], None],
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._decider = decider
        self._wake = wake
        self._metrics = metrics
        self.largest_batch = largest_batch
        self._checkpoint = checkpoint
        self._commits = GroupCommit(self._write, largest=largest_batch)

    async def accept(self, submission: Submission) -> Result:
        """Store one, together with others that come at the same time."""
        return await self._commits.submit(submission)

    async def consider(self, batch: Sequence[Submission]) -> list[Draft | Refusal]:
        """What would become of these, decided as for a send. Nothing is stored, and no permit of a limit is taken."""
        known = await self._decider.known(batch)
        async with borrow(self._pool) as connection:
            return await self._decider.draft(connection, batch, known)

    async def rehearse(self, submissions: Sequence[Submission]) -> list[Draft | Result]:
        """What would become of these if they came now, each after those before it: a draft as it would be stored, or
        the answer where nothing would be. It is decided and settled as for a send, in a transaction that is taken
        back: nothing is stored, no window or digest is opened, no key is taken."""
        known = await self._decider.known(submissions)
        rehearsed: list[Draft | Result] = []
        async with borrow(self._pool) as connection, _taken_back(connection):
            for first in range(0, len(submissions), self.largest_batch):
                batch = submissions[first : first + self.largest_batch]
                drafts = await self._decider.draft(connection, batch, known)
                settled = await self._recall(connection, batch, drafts)
                results, fresh = await self._settle(connection, settled, None, 0)
                left = iter(fresh)
                rehearsed += [next(left) if _is_new(one) else one for one in results]
        # What a later one replaces would be withdrawn when that one is stored.
        last = iter(
            once.superseded([one for one in rehearsed if isinstance(one, Draft)], self._keyring)
        )
        return [next(last) if isinstance(one, Draft) else one for one in rehearsed]

    async def accept_many(
        self, submissions: Sequence[Submission], filling: Filling | None = None
    ) -> list[Result]:
        """Store these in one transaction, at most `largest_batch` of them; a result for each. filling: what the
        transaction writes for their batch. Raises BatchClosedError, and stores nothing then."""
        return await self._write(submissions, filling)

    async def _write(
        self, batch: Sequence[Submission], filling: Filling | None = None
    ) -> list[Result]:
        """Where one of them cannot be decided, or the database will not have it, that one is refused, and the others
        are stored."""
        try:
            return await self._commit(batch, filling)
        except Exception as error:
            if not _of_one(error):
                raise
            guilty = await self._guilty(range(len(batch)), batch)
            frames = traceback.format_tb(error.__traceback__)
            log.error(  # noqa: TRY400 - exception() would show the text of the error, which may hold an address
                "accept.failed",
                error=type(error).__name__,
                of=len(batch),
                guilty=len(guilty),
                frames="".join(frames),
            )
        stored = iter(
            await self._commit(
                [one for index, one in enumerate(batch) if index not in guilty],
                filling,
                failed=len(guilty),
            )
        )
        return [_FAILED if index in guilty else next(stored) for index in range(len(batch))]

    async def _commit(
        self, batch: Sequence[Submission], filling: Filling | None, *, failed: int = 0
    ) -> list[Result]:
        """failed: how many could not be stored, and were left out of the batch."""
        known = await self._decider.known(batch)
        async with borrow(self._pool) as connection:
            drafts, results = await self._try(connection, batch, known, filling, failed)
        self._checkpoint("accepted")
        self._wake()
        self._report(drafts, results)
        return results

    async def _try(
        self,
        connection: Connection,
        batch: Sequence[Submission],
        known: Known,
        filling: Filling | None = None,
        failed: int = 0,
    ) -> tuple[Sequence[Draft | Result], list[Result]]:
        drafts = await self._decider.draft(connection, batch, known)
        settled = await self._recall(connection, batch, drafts)
        return settled, await self._store(connection, settled, filling, failed)

    async def _guilty(self, indices: Sequence[int], batch: Sequence[Submission]) -> set[int]:
        """Those that cannot be stored, found by halves, in transactions that are taken back."""
        if await self._storable([batch[index] for index in indices]):
            return set()
        if len(indices) == 1:
            return set(indices)
        half = len(indices) // 2
        return await self._guilty(indices[:half], batch) | await self._guilty(indices[half:], batch)

    async def _storable(self, batch: Sequence[Submission]) -> bool:
        known = await self._decider.known(batch)
        try:
            async with borrow(self._pool) as connection, _taken_back(connection):
                await self._try(connection, batch, known)
        except Exception as error:
            if not _of_one(error):
                raise
            return False
        return True

    async def _recall(
        self,
        connection: Connection,
        batch: Sequence[Submission],
        drafts: Sequence[Draft | Refusal],
    ) -> Sequence[Draft | Result]:
        """What would be refused now, as expired for instance, may be a request that was accepted before."""
        doubtful = {
            (submission.api_key_id, key)
            for submission, one in zip(batch, drafts, strict=True)
            if isinstance(one, Refusal) and (key := submission.request.idempotency_key)
        }
        if not doubtful:
            return drafts
        held = await idempotency.holders(connection, doubtful)
        return [
            one if isinstance(one, Draft) else recalled(submission, one, held)
            for submission, one in zip(batch, drafts, strict=True)
        ]

    async def _store(
        self,
        connection: Connection,
        drafts: Sequence[Draft | Result],
        filling: Filling | None,
        failed: int,
    ) -> list[Result]:
        async with _together(connection, filling is not None or _writes_more(drafts)):
            results, fresh = await self._settle(connection, drafts, filling, failed)
            if fresh:
                await acceptance.store(
                    connection,
                    [one.row for one in fresh],
                    [delivery for one in fresh for delivery in one.deliveries],
                    self._keyring,
                )
            if carrying := [one for one in fresh if filing.concerns(one)]:
                await filing.store(connection, carrying, self._keyring)
        return results

    async def _settle(
        self,
        connection: Connection,
        drafts: Sequence[Draft | Result],
        filling: Filling | None,
        failed: int,
    ) -> tuple[list[Result], list[Draft]]:
        """What is answered, and the new ones as they are to be stored: written is all but themselves."""
        claims = claims_of(drafts)
        holders = await idempotency.claim(connection, claims) if claims else {}
        results = [result_of(one, holders) if isinstance(one, Draft) else one for one in drafts]
        fresh = [
            one
            for one, result in zip(drafts, results, strict=True)
            if isinstance(one, Draft) and _is_new(result)
        ]
        if filling is not None:
            refused = Counter(
                result.code.value for result in results if isinstance(result, Refusal)
            )
            refused[_FAILED.code.value] += failed
            await filling.join(connection, stored=len(fresh), refused=+refused)
        if theirs := [one for one in fresh if upserting.concerns(one)]:
            await upserting.upsert(connection, theirs, self._keyring)
        careful = any(map(once.concerns, fresh))
        if careful:
            fresh = await once.deduplicate(connection, fresh, self._keyring)
        if any(map(gathering.concerns, fresh)):
            fresh = await gathering.gather(connection, fresh, self._keyring)
        # What is told in a digest replaces nothing, and is not replaced.
        if careful:
            fresh = await once.collapse(connection, fresh, self._keyring)
        return results, fresh

    def _report(self, drafts: Sequence[Draft | Result], results: Sequence[Result]) -> None:
        accepted: Counter[str] = Counter()
        for one, result in zip(drafts, results, strict=True):
            if isinstance(result, Refusal):
                continue
            if result.repeated or not isinstance(one, Draft):
                log.info("notification.repeated", notification_id=str(result.notification_id))
                continue
            accepted[one.row.priority.word] += 1
            log.info(
                "notification.accepted",
                notification_id=str(one.row.id),
                template_id=one.row.template_id,
                priority=one.row.priority.word,
                deliveries=len(one.deliveries),
            )
        for priority, count in accepted.items():
            self._metrics.accepted.labels(priority).inc(count)


def _is_new(result: Result) -> bool:
    return isinstance(result, Receipt) and not result.repeated


def _writes_more(drafts: Sequence[Draft | Result]) -> bool:
    """Whether more is to be written than what the storing statement writes."""
    return any(
        isinstance(one, Draft)
        and (
            one.submission.request.idempotency_key is not None
            or once.concerns(one)
            or gathering.concerns(one)
            or upserting.concerns(one)
            or filing.concerns(one)
        )
        for one in drafts
    )


@contextlib.asynccontextmanager
async def _taken_back(connection: Connection) -> AsyncIterator[None]:
    """A transaction of which nothing stays."""
    trial = connection.transaction()
    await trial.start()
    try:
        yield
    finally:
        await trial.rollback()


@contextlib.asynccontextmanager
async def _together(connection: Connection, several: bool) -> AsyncIterator[None]:
    """A transaction, where more than the storing statement is written; that one is atomic by itself."""
    if not several:
        yield
        return
    async with connection.transaction():
        yield


def _of_one(error: Exception) -> bool:
    """Whether it may be for one of them alone: a value that the database, or the way to it, refuses, or one with which
    deciding fails."""
    if isinstance(error, asyncpg.InterfaceError):
        return isinstance(error, ValueError)  # a value that has no form for its column
    return not isinstance(error, (*UNAVAILABLE, BatchClosedError))
