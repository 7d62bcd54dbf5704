"""Accept notifications: resolve, plan and store them, in batches and in one transaction each."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import structlog

from tidings.domain import ids
from tidings.domain.channels import Channel
from tidings.domain.planning import PlannedDelivery, Situation, plan, reachable
from tidings.domain.priorities import Priority
from tidings.domain.templates import TemplateVersion
from tidings.intake.group_commit import GroupCommit
from tidings.intake.refusals import Refusal, RefusalCode
from tidings.intake.request import Recipient, SendRequest
from tidings.metrics import Metrics
from tidings.queue import postgres as queue
from tidings.store import deliveries, idempotency, notifications, people
from tidings.store.database import Connection, Pool, borrow
from tidings.store.deliveries import NewDelivery
from tidings.store.idempotency import KeyClaim
from tidings.store.keyring import KeyRing
from tidings.store.notifications import NotificationRow
from tidings.store.people import NOBODY, Person
from tidings.store.templates import TemplateCache

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Submission:
    """A valid request with who sent it. fingerprint: of the body, for its idempotency key."""

    api_key_id: UUID
    request: SendRequest
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """repeated: it is the notification that an earlier request with the same key made."""

    notification_id: UUID
    repeated: bool = False


Result = Receipt | Refusal


@dataclass(frozen=True, slots=True)
class Reach:
    """What the configured accounts can do: channels served, and addresses for recipients without one."""

    channels: Collection[Channel]
    default_addresses: Mapping[Channel, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A notification on its way into the database."""

    row: NotificationRow
    planned: Sequence[PlannedDelivery]
    submission: Submission


class Intake:
    """The door. Answers only after the commit."""

    def __init__(
        self,
        *,
        pool: Pool,
        keyring: KeyRing,
        templates: TemplateCache,
        reach: Reach,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
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
            drafts = await self._recall(
                connection, batch, await self._draft(connection, batch, templates)
            )
            results = await self._store(connection, drafts)
            self._checkpoint("accepted")
            await queue.wake(connection)
        self._report(drafts, results)
        return results

    async def _draft(
        self,
        connection: Connection,
        batch: Sequence[Submission],
        templates: Mapping[str, TemplateVersion | None],
    ) -> list[_Draft | Refusal]:
        known = await self._people(connection, batch)
        addresses = [
            _addresses(
                submission.request.recipient,
                known.get(submission.request.recipient.user_id or "", NOBODY),
                self._reach,
            )
            for submission in batch
        ]
        suppressed = await self._suppressed(connection, addresses)
        now = self._now()
        return [
            self._draft_one(
                submission,
                templates[submission.request.template_id],
                known.get(submission.request.recipient.user_id or "", NOBODY),
                reached,
                suppressed,
                now,
            )
            for submission, reached in zip(batch, addresses, strict=True)
        ]

    async def _people(
        self, connection: Connection, batch: Sequence[Submission]
    ) -> dict[str, Person]:
        user_ids = {one.request.recipient.user_id for one in batch if one.request.recipient.user_id}
        return (
            await people.fetch_many(connection, sorted(user_ids), self._keyring) if user_ids else {}
        )

    async def _suppressed(
        self, connection: Connection, addresses: Sequence[Mapping[Channel, Sequence[str]]]
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

    def _draft_one(
        self,
        submission: Submission,
        template: TemplateVersion | None,
        person: Person,
        addresses: Mapping[Channel, Sequence[str]],
        suppressed: Collection[tuple[Channel, str]],
        now: datetime,
    ) -> _Draft | Refusal:
        request = submission.request
        if template is None:
            return Refusal(
                RefusalCode.UNKNOWN_TEMPLATE,
                f"There is no template {request.template_id!r}.",
                "template_id",
            )
        if request.expires_at is not None and request.expires_at <= now:
            return Refusal(RefusalCode.ALREADY_EXPIRED, "expires_at is in the past.", "expires_at")
        planned = plan(
            Situation(
                requested=request.channel_preferences,
                routing=request.routing,
                category=template.category,
                content=template.content.keys(),
                accounts=self._reach.channels,
                addresses=addresses,
                preferences=person.preferences,
                suppressed=suppressed,
            )
        )
        if not reachable(planned):
            return _unreachable(planned)
        if len(planned) > ids.MAX_DELIVERIES:
            return Refusal(
                RefusalCode.TOO_MANY_DELIVERIES,
                f"More than {ids.MAX_DELIVERIES} addresses.",
                "recipient",
            )
        return _Draft(self._row(submission, template, person), planned, submission)

    def _row(
        self, submission: Submission, template: TemplateVersion, person: Person
    ) -> NotificationRow:
        request = submission.request
        recipient = request.recipient
        return NotificationRow(
            id=self._new_id(),
            api_key_id=submission.api_key_id,
            template_id=template.template_id,
            template_version=template.version,
            category=template.category,
            priority=Priority.of(request.priority),
            routing=request.routing,
            on_unknown=request.on_unknown or template.on_unknown,
            user_id=recipient.user_id,
            correlation_id=request.correlation_id,
            collapse_key=request.collapse_key,
            batch_id=None,
            send_at=request.send_at and request.send_at.astimezone(UTC),
            expires_at=request.expires_at and request.expires_at.astimezone(UTC),
            payload={
                "data": request.data,
                "recipient": {
                    "user_id": recipient.user_id,
                    "locale": recipient.locale or person.locale,
                    "timezone": recipient.timezone or person.timezone,
                },
                "metadata": request.metadata,
            },
        )

    async def _recall(
        self,
        connection: Connection,
        batch: Sequence[Submission],
        drafts: Sequence[_Draft | Refusal],
    ) -> Sequence[_Draft | Result]:
        """What would be refused now, as expired for instance, may be a request that was accepted before."""
        doubtful = {
            (submission.api_key_id, key)
            for submission, draft in zip(batch, drafts, strict=True)
            if isinstance(draft, Refusal) and (key := submission.request.idempotency_key)
        }
        if not doubtful:
            return drafts
        held = await idempotency.holders(connection, doubtful)
        return [
            draft if isinstance(draft, _Draft) else _recalled(submission, draft, held)
            for submission, draft in zip(batch, drafts, strict=True)
        ]

    async def _store(
        self, connection: Connection, drafts: Sequence[_Draft | Result]
    ) -> list[Result]:
        async with connection.transaction():
            results = await self._claim_keys(connection, drafts)
            fresh = [
                draft
                for draft, result in zip(drafts, results, strict=True)
                if isinstance(draft, _Draft) and isinstance(result, Receipt) and not result.repeated
            ]
            if fresh:
                await notifications.insert(
                    connection, [draft.row for draft in fresh], self._keyring
                )
                await deliveries.insert(
                    connection,
                    [row for draft in fresh for row in _deliveries(draft)],
                    self._keyring,
                )
                entries = [entry for draft in fresh for entry in _entries(draft)]
                if entries:
                    await queue.enqueue(connection, entries)
        return results

    async def _claim_keys(
        self, connection: Connection, drafts: Sequence[_Draft | Result]
    ) -> list[Result]:
        """Who gets to be stored: of several with the same idempotency key, the first."""
        claims: dict[tuple[UUID, str], KeyClaim] = {}
        for draft in drafts:
            if isinstance(draft, _Draft) and (key := draft.submission.request.idempotency_key):
                claim = KeyClaim(
                    draft.row.api_key_id, key, draft.submission.fingerprint, draft.row.id
                )
                claims.setdefault((claim.api_key_id, key), claim)
        holders = await idempotency.claim(connection, list(claims.values())) if claims else {}
        return [_result(draft, holders) if isinstance(draft, _Draft) else draft for draft in drafts]

    def _report(self, drafts: Sequence[_Draft | Result], results: Sequence[Result]) -> None:
        for draft, result in zip(drafts, results, strict=True):
            if isinstance(result, Refusal):
                continue
            if result.repeated or not isinstance(draft, _Draft):
                log.info("notification.repeated", notification_id=str(result.notification_id))
                continue
            self._metrics.accepted.labels(draft.row.priority.word).inc()
            log.info(
                "notification.accepted",
                notification_id=str(draft.row.id),
                template_id=draft.row.template_id,
                priority=draft.row.priority.word,
                deliveries=len(draft.planned),
            )


def _addresses(recipient: Recipient, person: Person, reach: Reach) -> dict[Channel, Sequence[str]]:
    """Where they can be reached: what the request says goes before what is known of the user."""
    single = {
        Channel.EMAIL: recipient.email or person.email,
        Channel.SMS: recipient.phone or person.phone,
        Channel.IN_APP: recipient.user_id,
        Channel.WEBHOOK: recipient.webhook_url or reach.default_addresses.get(Channel.WEBHOOK),
        Channel.CHAT: recipient.chat_url or reach.default_addresses.get(Channel.CHAT),
    }
    found: dict[Channel, Sequence[str]] = {
        channel: (one,) for channel, one in single.items() if one
    }
    if tokens := tuple(recipient.push_tokens) or person.push_tokens:
        found[Channel.PUSH] = tokens
    return found


def _unreachable(planned: Sequence[PlannedDelivery]) -> Refusal:
    why = ", ".join(f"{delivery.channel}: {delivery.reason}" for delivery in planned)
    return Refusal(
        RefusalCode.NO_REACHABLE_CHANNEL,
        f"The recipient cannot be reached ({why or 'no channel that the template has'}).",
        "recipient",
    )


def _recalled(
    submission: Submission, refusal: Refusal, held: Mapping[tuple[UUID, str], KeyClaim]
) -> Result:
    holder = held.get((submission.api_key_id, submission.request.idempotency_key or ""))
    if holder is None or holder.fingerprint != submission.fingerprint:
        return refusal
    return Receipt(holder.notification_id, repeated=True)


def _result(draft: _Draft, holders: Mapping[tuple[UUID, str], KeyClaim]) -> Result:
    key = draft.submission.request.idempotency_key
    if key is None:
        return Receipt(draft.row.id)
    holder = holders[draft.row.api_key_id, key]
    if holder.notification_id == draft.row.id:
        return Receipt(draft.row.id)
    if holder.fingerprint == draft.submission.fingerprint:
        return Receipt(holder.notification_id, repeated=True)
    return Refusal(
        RefusalCode.IDEMPOTENCY_CONFLICT,
        "This idempotency key was used before with another request.",
        "idempotency_key",
    )


def _deliveries(draft: _Draft) -> list[NewDelivery]:
    return [
        NewDelivery(
            notification_id=draft.row.id,
            id=ids.delivery_id(draft.row.id, ordinal),
            channel=planned.channel,
            address=planned.address,
            status=planned.status,
            reason=planned.reason,
        )
        for ordinal, planned in enumerate(draft.planned, start=1)
    ]


def _entries(draft: _Draft) -> list[queue.Entry]:
    return [
        queue.Entry(
            ids.delivery_id(draft.row.id, ordinal),
            draft.row.id,
            int(draft.row.priority),
            draft.row.send_at,
        )
        for ordinal, planned in enumerate(draft.planned, start=1)
        if planned.queued
    ]
