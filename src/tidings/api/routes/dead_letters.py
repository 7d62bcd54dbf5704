"""Dead letters: what failed for good, listed, shown with its attempts, replayed and discarded."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, Field, StrictBool

from tidings.api.authentication import CanRead, CanSend
from tidings.api.bodies import StrictJson
from tidings.api.numbers import whole_number
from tidings.api.paging import Cursor, Limit
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, FieldError, Problem
from tidings.api.responses import problems
from tidings.domain.channels import Channel
from tidings.domain.dead_letters import (
    FailedForGood,
    LetterState,
    Obstacle,
    Surmountable,
    is_surmountable,
)
from tidings.domain.deliveries import DeliveryStatus, rollup
from tidings.domain.reasons import Reason
from tidings.intake.replaying import How
from tidings.intake.request import Moment, Name, TemplateId, Wire
from tidings.store import attempts, dead_letters, deliveries
from tidings.store.api_keys import ApiKey, Role
from tidings.store.dead_letters import DeadLetter, Filter

router = APIRouter(prefix="/dead-letters", tags=["dead letters"], route_class=StrictJson)

_TEXTS = {str(reason): reason.text for reason in Reason}


class LetterFilter(Wire):
    """since and until: when they failed."""

    channel: Channel | None = None
    status: FailedForGood | None = None
    reason: Reason | None = None
    template_id: TemplateId | None = None
    account: Name | None = None
    batch_id: UUID | None = None
    since: Moment | None = None
    until: Moment | None = None


class Replaying(Wire):
    """template_version: the one of the origin, or the current one. despite: what is not to keep a letter from
    being replayed."""

    template_version: Literal["pinned", "current"] = "pinned"
    despite: Annotated[list[Surmountable], Field(max_length=5)] = Field(default_factory=list)


class Choosing(Wire):
    """Either a filter that says something, or `all`. limit: how many letters to look at."""

    filter: LetterFilter | None = None
    all: StrictBool = False
    limit: Annotated[int, Field(ge=1, le=10_000), BeforeValidator(whole_number)] = 1_000


class ReplayingMany(Replaying, Choosing):
    """cursor: `next_cursor` of the answer before."""

    cursor: UUID | None = None


class _Letter(BaseModel):
    delivery_id: UUID
    notification_id: UUID
    batch_id: UUID | None
    template_id: str
    channel: Channel
    status: DeliveryStatus
    reason: str | None
    text: str | None
    account: str | None
    failed_at: datetime
    state: LetterState
    changed_at: datetime | None


class DeadLetterSummary(_Letter):
    """account: the last that was called. changed_at: when it was last replayed or discarded. replays: the
    notifications that were made of it, the oldest first."""

    replays: list[UUID]


class AttemptView(BaseModel):
    number: int
    account: str | None
    choice: str | None
    started_at: datetime
    finished_at: datetime
    outcome: str
    reason: str
    detail: str | None


class ReplayView(BaseModel):
    """status: null where it is not stored any more."""

    notification_id: UUID
    status: DeliveryStatus | None


class DeadLetterView(_Letter):
    """detail: what the provider said last, or what was wrong."""

    detail: str | None
    attempts: list[AttemptView]
    replays: list[ReplayView]


class DeadLetterPage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    dead_letters: list[DeadLetterSummary]
    next_cursor: UUID | None


class Replayed(BaseModel):
    notification_id: UUID
    replay_of: UUID


class SkippedView(BaseModel):
    reason: str
    text: str
    count: int


class ReplayedMany(BaseModel):
    """next_cursor: to go on with; null when all that match were looked at."""

    replayed: int
    skipped: list[SkippedView]
    next_cursor: UUID | None


class DiscardedMany(BaseModel):
    """more: some that match may be left."""

    discarded: int
    more: bool


@router.get("", responses=problems())
async def listed(
    parts: Wired,
    key: CanRead,
    cursor: Cursor = None,
    limit: Limit = 50,
    state: LetterState | None = None,
    channel: Channel | None = None,
    status: FailedForGood | None = None,
    reason: Reason | None = None,
    template_id: TemplateId | None = None,
    account: Name | None = None,
    batch_id: UUID | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    mine: Annotated[bool, Query(description="Only those of this API key.")] = False,
) -> DeadLetterPage:
    """Dead letters; what failed last comes first."""
    wanted = Filter(
        states=None if state is None else [state],
        channel=channel,
        status=None if status is None else DeliveryStatus(status),
        reason=reason,
        template_id=template_id,
        account=account,
        batch_id=batch_id,
        api_key_id=key.id if mine else None,
        since=since,
        until=until,
    )
    found = await dead_letters.listed(parts.pool, wanted, before=cursor, limit=limit)
    return DeadLetterPage(
        dead_letters=[_summary(one) for one in found],
        next_cursor=found[-1].id if len(found) == limit else None,
    )


@router.post("/replay", status_code=202, responses=problems(413))
async def replay_many(body: ReplayingMany, parts: Wired, key: CanSend) -> ReplayedMany:
    """Send those that match once more, what failed last first; a sender, of its own. Letters that were
    replayed or discarded before are left out."""
    done = await parts.replayer.replay_matching(
        _chosen(body, key), _how(body), before=body.cursor, limit=body.limit
    )
    return ReplayedMany(
        replayed=done.replayed,
        skipped=[
            SkippedView(reason=str(why), text=why.text, count=count)
            for why, count in done.skipped.most_common()
        ],
        next_cursor=done.cursor,
    )


@router.post("/discard", responses=problems(413))
async def discard_many(body: Choosing, parts: Wired, key: CanSend) -> DiscardedMany:
    """Lay aside those that match and wait; a sender, of its own. They are kept, and not replayed."""
    async with parts.pool.acquire() as connection:
        count = await dead_letters.discard_matching(connection, _chosen(body, key), body.limit)
    return DiscardedMany(discarded=count, more=count == body.limit)


@router.get("/{delivery_id}", responses=problems(404))
async def read(delivery_id: UUID, parts: Wired, _: CanRead) -> DeadLetterView:
    """A dead letter with its attempts, and what became of its replays."""
    letter = await _find(parts, delivery_id)
    owners = [letter.notification_id, *letter.replays]
    async with parts.pool.acquire() as connection:
        found = await deliveries.of_notifications(connection, owners)
        tried = await attempts.of_notification(connection, letter.notification_id)
    own = next((one for one in found[letter.notification_id] if one.id == delivery_id), None)
    return DeadLetterView(
        **_facts(letter).model_dump(),
        detail=own and own.detail,
        attempts=[
            AttemptView.model_validate(one, from_attributes=True)
            for one in tried.get(delivery_id, ())
        ],
        replays=[
            ReplayView(
                notification_id=made,
                status=rollup(one.status for one in found[made]) if found[made] else None,
            )
            for made in letter.replays
        ],
    )


@router.post("/{delivery_id}/replay", status_code=202, responses=problems(403, 404, 409, 413))
async def replay(
    delivery_id: UUID, parts: Wired, key: CanSend, body: Replaying | None = None
) -> Replayed:
    """Send it once more, as a new notification over the same channel to the same address."""
    await _owned(parts, key, delivery_id)
    done = await parts.replayer.replay(delivery_id, _how(body or Replaying()))
    if done is None:
        raise _not_found()
    if not isinstance(done.result, UUID):
        raise _not_replayable(done.result)
    return Replayed(notification_id=done.result, replay_of=delivery_id)


@router.post("/{delivery_id}/discard", responses=problems(403, 404))
async def discard(delivery_id: UUID, parts: Wired, key: CanSend) -> DeadLetterSummary:
    """Lay it aside: it is kept, and not replayed with others. What was replayed stays as it is."""
    letter = await _owned(parts, key, delivery_id)
    async with parts.pool.acquire() as connection:
        await dead_letters.discard(connection, [letter.id])
    return _summary(await _find(parts, delivery_id))


async def _find(parts: Parts, delivery_id: UUID) -> DeadLetter:
    letter = await dead_letters.find(parts.pool, delivery_id)
    if letter is None:
        raise _not_found()
    return letter


async def _owned(parts: Parts, key: ApiKey, delivery_id: UUID) -> DeadLetter:
    letter = await _find(parts, delivery_id)
    if key.role is not Role.ADMIN and letter.api_key_id != key.id:
        raise Problem(Code.FORBIDDEN, "The delivery belongs to another API key.")
    return letter


def _not_found() -> Problem:
    return Problem(Code.NOT_FOUND, "There is no dead letter of a delivery with this id.")


def _not_replayable(why: Obstacle | Reason) -> Problem:
    if not is_surmountable(why):
        return Problem(Code.NOT_REPLAYABLE, why.text)
    message = f"without `{why}` it is not replayed"
    return Problem(Code.NOT_REPLAYABLE, why.text, [FieldError(path="despite", message=message)])


def _how(body: Replaying) -> How:
    return How(body.template_version, body.despite)


def _chosen(body: Choosing, key: ApiKey) -> Filter:
    """Raises Problem where it is not said which."""
    given = body.filter.model_dump(exclude_none=True) if body.filter else {}
    if bool(given) is body.all:
        message = "must be true, or `filter` must say which; not both"
        raise Problem(
            Code.INVALID_REQUEST, f"all: {message}", [FieldError(path="all", message=message)]
        )
    if "status" in given:
        given["status"] = DeliveryStatus(given["status"])
    return Filter(**given, api_key_id=None if key.role is Role.ADMIN else key.id)


def _facts(letter: DeadLetter) -> _Letter:
    return _Letter(
        delivery_id=letter.delivery_id,
        notification_id=letter.notification_id,
        batch_id=letter.batch_id,
        template_id=letter.template_id,
        channel=letter.channel,
        status=letter.status,
        reason=letter.reason,
        text=_TEXTS.get(letter.reason or ""),
        account=letter.account,
        failed_at=letter.failed_at,
        state=letter.state,
        changed_at=letter.changed_at,
    )


def _summary(letter: DeadLetter) -> DeadLetterSummary:
    return DeadLetterSummary(**_facts(letter).model_dump(), replays=list(letter.replays))
