"""Write what became of attempts: queue, delivery and attempt in one transaction, if the lease is ours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from tidings.domain.deliveries import FALLS_BACK, DeliveryStatus
from tidings.domain.outcomes import Accepted, Outcome, Permanent
from tidings.domain.retry import Decision, Retry, Settle
from tidings.queue import postgres as queue
from tidings.queue.postgres import Claimed, Hold, Postponed
from tidings.store import attempts, deliveries, people
from tidings.store.attempts import AttemptRow
from tidings.store.database import Connection, Pool, borrow
from tidings.store.deliveries import Verdict, Work
from tidings.store.keyring import KeyRing


@dataclass(frozen=True, slots=True)
class Held:
    """A delivery that this worker holds."""

    claim: Claimed
    work: Work


@dataclass(frozen=True, slots=True)
class Try:
    """A call to a provider that ended, one way or the other."""

    number: int
    account: str | None
    outcome: Outcome
    word: str
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is to be written: the decision, and the attempt it follows from, if a call was made."""

    held: Held
    decision: Decision
    tried: Try | None = None


async def settle(
    pool: Pool,
    settlements: Sequence[Settlement],
    keyring: KeyRing,
    now: datetime,
    checkpoint: Callable[[str], None],
) -> list[Settlement]:
    """Write all in one transaction; those that were still ours. The others came too late and changed
    nothing: whoever took over has recorded the call as unknown."""
    ordered = sorted(settlements, key=lambda one: one.held.claim.delivery_id)
    async with borrow(pool) as connection, connection.transaction():
        mine = await _release(connection, ordered)
        ours = [one for one in ordered if one.held.claim.hold in mine]
        checkpoint("settling")
        if ours:
            await deliveries.settle(connection, [_verdict(one) for one in ours], now)
            if tried := [_attempt(one.held, one.tried) for one in ours if one.tried]:
                await attempts.insert(connection, tried)
            await _suppress(connection, ours, keyring)
            await _follow_fallbacks(connection, ours)
    return ours


async def _release(connection: Connection, settlements: Sequence[Settlement]) -> set[Hold]:
    finished = [one.held.claim.hold for one in settlements if isinstance(one.decision, Settle)]
    postponed = [
        Postponed(*one.held.claim.hold, _attempts(one), one.decision.at)
        for one in settlements
        if isinstance(one.decision, Retry)
    ]
    mine: set[Hold] = set()
    if finished:
        mine |= await queue.finish(connection, finished)
    if postponed:
        mine |= await queue.postpone(connection, postponed)
    return mine


def _attempts(one: Settlement) -> int:
    return one.tried.number if one.tried else one.held.claim.attempts


def _verdict(one: Settlement) -> Verdict:
    decision = one.decision
    accepted = one.tried.outcome if one.tried and isinstance(one.tried.outcome, Accepted) else None
    return Verdict(
        notification_id=one.held.claim.notification_id,
        delivery_id=one.held.claim.delivery_id,
        status=decision.status if isinstance(decision, Settle) else DeliveryStatus.PENDING,
        reason=decision.reason,
        detail=_storable(decision.detail),
        account=one.tried.account if one.tried else None,
        attempts=_attempts(one),
        provider_message_id=_storable(accepted.provider_message_id) if accepted else None,
    )


def _attempt(held: Held, tried: Try) -> AttemptRow:
    return AttemptRow(
        delivery_id=held.claim.delivery_id,
        number=tried.number,
        account=tried.account,
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


async def _suppress(connection: Connection, ours: Sequence[Settlement], keyring: KeyRing) -> None:
    dead = [
        (one.held.work.channel, one.held.work.address, str(one.tried.outcome.reason))
        for one in ours
        if one.tried and isinstance(one.tried.outcome, Permanent) and one.tried.outcome.suppress
    ]
    if dead:
        await people.suppress(connection, dead, keyring)


async def _follow_fallbacks(connection: Connection, ours: Sequence[Settlement]) -> None:
    """With routing "fallback": a success ends the chain, a failure starts the next channel."""
    ended = [
        (one.held.claim.notification_id, one.decision.status)
        for one in ours
        if one.held.work.routing == "fallback" and isinstance(one.decision, Settle)
    ]
    reached = [
        notification_id
        for notification_id, status in ended
        if status in {DeliveryStatus.SENT, DeliveryStatus.DELIVERED}
    ]
    failed = [notification_id for notification_id, status in ended if status in FALLS_BACK]
    if reached:
        await deliveries.drop_fallbacks(connection, reached)
    if failed:
        released = await deliveries.release_fallbacks(connection, failed)
        if released:
            await queue.enqueue(
                connection,
                [
                    queue.Entry(delivery, notification, priority)
                    for notification, delivery, priority in released
                ],
            )
