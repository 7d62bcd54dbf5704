"""Accept notifications: resolve, plan and store them, in batches and in one transaction each."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import structlog

from tidings.domain.channels import Channel
from tidings.domain.templates import TemplateVersion
from tidings.intake.drafting import (
    Addresses,
    Draft,
    Reach,
    Receipt,
    Result,
    Submission,
    addresses_of,
    draft,
)
from tidings.intake.group_commit import GroupCommit
from tidings.intake.refusals import Refusal, RefusalCode
from tidings.metrics import Metrics
from tidings.store import acceptance, idempotency, people
from tidings.store.database import Connection, Pool, borrow
from tidings.store.idempotency import KeyClaim
from tidings.store.keyring import KeyRing
from tidings.store.people import NOBODY, Person
from tidings.store.templates import TemplateCache

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Intake:
    """The door. Answers only after the commit. wake: tells the workers that there is work."""

    def __init__(
        self,
        *,
        pool: Pool,
        keyring: KeyRing,
        templates: TemplateCache,
        reach: Reach,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
        wake: Callable[[], None],
        metrics: Metrics,
        largest_batch: int,
        checkpoint: Callable[[str], None],
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._templates = templates
        self._reach = reach
        self._new_id = new_id
        self._now = now
        self._wake = wake
        self._metrics = metrics
        self.largest_batch = largest_batch
        self._checkpoint = checkpoint
        self._commits = GroupCommit(self._write, largest=largest_batch)

    async def accept(self, submission: Submission) -> Result:
        """Store one, together with others that come at the same time."""
        return await self._commits.submit(submission)

    async def accept_many(self, submissions: Sequence[Submission]) -> list[Result]:
        """Store many, a result for each; a transaction per batch, so that none grows without bounds."""
        results: list[Result] = []
        for start in range(0, len(submissions), self.largest_batch):
            results += await self._write(submissions[start : start + self.largest_batch])
        return results

    async def _write(self, batch: Sequence[Submission]) -> Sequence[Result]:
        templates = {
            template_id: await self._templates.find(template_id)
            for template_id in {submission.request.template_id for submission in batch}
        }
        async with borrow(self._pool) as connection:
            drafts = await self._draft(connection, batch, templates)
            recalled = await self._recall(connection, batch, drafts)
            results = await self._store(connection, recalled)
        self._checkpoint("accepted")
        self._wake()
        self._report(recalled, results)
        return results

    async def _draft(
        self,
        connection: Connection,
        batch: Sequence[Submission],
        templates: Mapping[str, TemplateVersion | None],
    ) -> list[Draft | Refusal]:
        known = await self._people(connection, batch)
        persons = [known.get(one.request.recipient.user_id or "", NOBODY) for one in batch]
        addresses = [
            addresses_of(one.request.recipient, person, self._reach)
            for one, person in zip(batch, persons, strict=True)
        ]
        suppressed = await self._suppressed(connection, addresses)
        now = self._now()
        return [
            draft(
                submission,
                templates[submission.request.template_id],
                person,
                reached,
                suppressed=suppressed,
                reach=self._reach,
                now=now,
                new_id=self._new_id,
            )
            for submission, person, reached in zip(batch, persons, addresses, strict=True)
        ]

    async def _people(
        self, connection: Connection, batch: Sequence[Submission]
    ) -> dict[str, Person]:
        user_ids = {one.request.recipient.user_id for one in batch if one.request.recipient.user_id}
        if not user_ids:
            return {}
        return await people.fetch_many(connection, sorted(user_ids), self._keyring)

    async def _suppressed(
        self, connection: Connection, addresses: Sequence[Addresses]
    ) -> set[tuple[Channel, str]]:
        # By address, not by hash: spellings that differ in case have one hash and are all suppressed.
        hashes = {
            (channel, address): (channel, self._keyring.address_hash(channel, address))
            for reached in addresses
            for channel, listed in reached.items()
            for address in listed
        }
        if not hashes:
            return set()
        found = await people.suppressed_among(connection, set(hashes.values()))
        return {reached for reached, digest in hashes.items() if digest in found}

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
            one if isinstance(one, Draft) else _recalled(submission, one, held)
            for submission, one in zip(batch, drafts, strict=True)
        ]

    async def _store(
        self, connection: Connection, drafts: Sequence[Draft | Result]
    ) -> list[Result]:
        claims = _claims(drafts)
        async with _together(connection, bool(claims)):
            holders = await idempotency.claim(connection, claims) if claims else {}
            results = [_result(one, holders) if isinstance(one, Draft) else one for one in drafts]
            fresh = [
                one
                for one, result in zip(drafts, results, strict=True)
                if isinstance(one, Draft) and isinstance(result, Receipt) and not result.repeated
            ]
            if fresh:
                await acceptance.store(
                    connection,
                    [one.row for one in fresh],
                    [delivery for one in fresh for delivery in one.deliveries],
                    self._keyring,
                )
        return results

    def _report(self, drafts: Sequence[Draft | Result], results: Sequence[Result]) -> None:
        for one, result in zip(drafts, results, strict=True):
            if isinstance(result, Refusal):
                continue
            if result.repeated or not isinstance(one, Draft):
                log.info("notification.repeated", notification_id=str(result.notification_id))
                continue
            self._metrics.accepted.labels(one.row.priority.word).inc()
            log.info(
                "notification.accepted",
                notification_id=str(one.row.id),
                template_id=one.row.template_id,
                priority=one.row.priority.word,
                deliveries=len(one.deliveries),
            )


@contextlib.asynccontextmanager
async def _together(connection: Connection, keyed: bool) -> AsyncIterator[None]:
    """A transaction, where idempotency keys are taken too; storing alone is atomic by itself."""
    if not keyed:
        yield
        return
    async with connection.transaction():
        yield


def _claims(drafts: Sequence[Draft | Result]) -> list[KeyClaim]:
    """One claim per idempotency key: of several requests with the same one, the first is stored."""
    claims: dict[tuple[UUID, str], KeyClaim] = {}
    for one in drafts:
        if isinstance(one, Draft) and (key := one.submission.request.idempotency_key):
            claim = KeyClaim(one.row.api_key_id, key, one.submission.fingerprint, one.row.id)
            claims.setdefault((claim.api_key_id, key), claim)
    return list(claims.values())


def _recalled(
    submission: Submission, refusal: Refusal, held: Mapping[tuple[UUID, str], KeyClaim]
) -> Result:
    holder = held.get((submission.api_key_id, submission.request.idempotency_key or ""))
    if holder is None or holder.fingerprint != submission.fingerprint:
        return refusal
    return Receipt(holder.notification_id, repeated=True)


def _result(one: Draft, holders: Mapping[tuple[UUID, str], KeyClaim]) -> Result:
    key = one.submission.request.idempotency_key
    if key is None:
        return Receipt(one.row.id)
    holder = holders[one.row.api_key_id, key]
    if holder.notification_id == one.row.id:
        return Receipt(one.row.id)
    if holder.fingerprint == one.submission.fingerprint:
        return Receipt(holder.notification_id, repeated=True)
    return Refusal(
        RefusalCode.IDEMPOTENCY_CONFLICT,
        "This idempotency key was used before with another request.",
        "idempotency_key",
    )
