"""Write what became of attempts, if the lease is still ours, and what follows from it."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import structlog

from tidings.delivery.fallbacks import follow_fallbacks
from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.endpoints import FAULTS
from tidings.domain.explanations import Mark
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Unknown
from tidings.domain.records import record
from tidings.domain.retry import Decision, Retry, Settle
from tidings.domain.routing import Choice
from tidings.queue.postgres import Claimed
from tidings.store import devices, endpoints, settlements, suppressions
from tidings.store.database import UNAVAILABLE, Connection, Pool, borrow
from tidings.store.deliveries import Work
from tidings.store.endpoints import Failure
from tidings.store.keyring import KeyRing
from tidings.store.settlements import AttemptEnd, SettlementRow

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@record
class Held:
    """A delivery that this worker holds."""

    claim: Claimed
    work: Work

    @property
    def tries_from(self) -> datetime:
        """When this round of tries began."""
        began = self.work.tries_from
        return began if self.claim.round_at is None else max(began, self.claim.round_at)


@record
class Try:
    """A call to a provider that ended, one way or the other."""

    number: int
    account: str | None
    choice: Choice | None
    outcome: Outcome
    word: str
    started_at: datetime
    finished_at: datetime


@record
class Settlement:
    """What is to be written: the decision, and the attempt it follows from, if a call was made. avoid: accounts
    that the next attempt does without. mark: what is to be remembered of a decision without an attempt.
    patience: seconds after which an endpoint that does nothing but fail is left alone; 0 for never."""

    held: Held
    decision: Decision
    tried: Try | None = None
    avoid: tuple[str, ...] = ()
    mark: Mark | None = None
    patience: float = 0.0

    def without_words(self) -> "Settlement":
        """The same without what the provider said: texts, and its id of the message."""
        tried = self.tried
        if tried is not None:
            outcome = replace(tried.outcome, detail="")
            if isinstance(outcome, Accepted):
                outcome = replace(outcome, provider_message_id=None)
            tried = replace(tried, outcome=outcome)
        return replace(self, tried=tried, decision=replace(self.decision, detail=""))

    @property
    def endpoint_fails(self) -> bool:
        return bool(self.patience and self.tried and self.tried.outcome.reason in FAULTS)

    @property
    def suppresses(self) -> bool:
        outcome = self.tried.outcome if self.tried else None
        return isinstance(outcome, Permanent) and outcome.suppress

    @property
    def moves_fallback(self) -> bool:
        return self.held.work.routing == "fallback" and isinstance(self.decision, Settle)


async def settle(
    pool: Pool,
    batch: Sequence[Settlement],
    keyring: KeyRing,
    now: datetime,
    checkpoint: Callable[[str], None],
) -> list[Settlement]:
    """Write all in one transaction; those that were still ours. The others came too late and changed
    nothing: whoever took over has recorded the call as unknown."""
    follows = any(one.suppresses or one.moves_fallback for one in batch)
    async with borrow(pool) as connection, _together(connection, follows):
        checkpoint("settling")
        mine = await settlements.settle(connection, [_row(one, now) for one in batch], now)
        ours = [one for one in batch if one.held.claim.hold in mine]
        if follows:
            await _suppress(connection, [one for one in ours if one.suppresses], keyring)
            await follow_fallbacks(connection, _chain_ends(ours))
    if failing := [one for one in ours if one.endpoint_fails]:
        await _note_failures(pool, failing, keyring)
    return ours


async def _note_failures(pool: Pool, failing: Sequence[Settlement], keyring: KeyRing) -> None:
    """By itself: many deliveries to one endpoint must not hold each other up within their transactions."""
    failures = [
        Failure(
            one.held.work.channel,
            one.held.work.address,
            (one.tried and one.tried.account) or "",
            str(one.tried.outcome.reason) if one.tried else "",
            one.patience,
        )
        for one in failing
    ]
    try:
        async with borrow(pool) as connection:
            await endpoints.note(connection, failures, keyring)
    except UNAVAILABLE as error:  # what is settled stays so; the next failure is noted
        log.warning("database.unavailable", doing="endpoints", error=type(error).__name__)
    except Exception as error:  # noqa: BLE001 - or what is settled would be taken for lost
        log.error("endpoints.failed", error=type(error).__name__)  # noqa: TRY400 - the text may show data


@contextlib.asynccontextmanager
async def _together(connection: Connection, follows: bool) -> AsyncIterator[None]:
    """A transaction, where more than the one statement is to be written; that one is atomic by itself."""
    if not follows:
        yield
        return
    async with connection.transaction():
        yield


def _row(one: Settlement, now: datetime) -> SettlementRow:
    decision, tried = one.decision, one.tried
    outcome = tried.outcome if tried else None
    return SettlementRow(
        notification_id=one.held.claim.notification_id,
        delivery_id=one.held.claim.delivery_id,
        lease=one.held.claim.lease,
        retry_at=decision.at if isinstance(decision, Retry) else None,
        status=DeliveryStatus.PENDING if isinstance(decision, Retry) else decision.status,
        reason=decision.reason,
        detail=_storable(decision.detail),
        attempts=tried.number if tried else one.held.claim.attempts,
        deferred=one.held.claim.deferred + (isinstance(decision, Retry) and decision.free),
        maybe_taken=one.held.claim.maybe_taken
        or (isinstance(decision, Retry) and decision.maybe_taken),
        pinned=_pinned(one),
        avoid=one.avoid,
        provider_message_id=_storable(outcome.provider_message_id)
        if isinstance(outcome, Accepted)
        else None,
        attempt=_attempt(tried) if tried else None,
        round_at=decision.at if isinstance(decision, Retry) and decision.anew else None,
        decided=_decided(one, now),
    )


def _decided(one: Settlement, now: datetime) -> str | None:
    """What is remembered of a decision that no attempt tells of."""
    if one.mark is not None:
        return str(one.mark)
    if one.tried is None and isinstance(one.decision, Retry):
        return str(Mark(one.decision.reason, now, one.decision.at))
    return None


def _pinned(one: Settlement) -> str | None:
    """The first account whose call ended as unknown: it may have sent the message, so no other one may."""
    if one.held.claim.account is None and one.tried and isinstance(one.tried.outcome, Unknown):
        return one.tried.account
    return one.held.claim.account


def _attempt(tried: Try) -> AttemptEnd:
    return AttemptEnd(
        account=tried.account,
        choice=tried.choice,
        started_at=tried.started_at,
        finished_at=tried.finished_at,
        outcome=tried.word,
        reason=tried.outcome.reason,
        detail=_storable(tried.outcome.detail),
    )


def _storable(text: str | None) -> str | None:
    """What a provider said, as PostgreSQL can hold it: no NUL, no lone surrogates, not endless."""
    if not text:
        return None
    return text[:500].replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


async def _suppress(connection: Connection, dead: Sequence[Settlement], keyring: KeyRing) -> None:
    if dead:
        addresses = [
            (one.held.work.channel, one.held.work.address, str(one.decision.reason)) for one in dead
        ]
        await suppressions.suppress(connection, addresses, keyring)
    if tokens := [one for one in dead if one.held.work.channel is Channel.PUSH]:
        digests = [keyring.address_hash(Channel.PUSH, one.held.work.address) for one in tokens]
        await devices.retire(connection, digests, [str(one.decision.reason) for one in tokens])


def _chain_ends(ours: Sequence[Settlement]) -> list[tuple[UUID, DeliveryStatus]]:
    return [
        (one.held.claim.notification_id, one.decision.status)
        for one in ours
        if one.moves_fallback and isinstance(one.decision, Settle)
    ]
