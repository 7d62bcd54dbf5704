"""Broadcasts: one request to a topic, a segment, or everyone."""

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import orjson
import uuid_utils.compat as uuids
from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field, StrictBool, model_validator

from tidings.api.authentication import CanRead, CanSend
from tidings.api.bodies import StrictJson
from tidings.api.paging import Cursor, Limit
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, FieldError, Problem
from tidings.api.refusals import Refusals, refusals_of
from tidings.api.rehearsing import BroadcastRehearsal, Rehearsed
from tidings.api.responses import problems
from tidings.api.routes.segments import SegmentId
from tidings.api.routes.sending import answered, wrong_key
from tidings.api.routes.topics import TopicId
from tidings.domain.templates import TemplateVersion
from tidings.intake.broadcasting import CannotGoOnError, rehearsed
from tidings.intake.request import Content, Name, Times, Wire
from tidings.store import broadcasts, segments, topics
from tidings.store.api_keys import ApiKey
from tidings.store.broadcasts import BroadcastRow, Held, NewBroadcast
from tidings.store.database import Connection, borrow

router = APIRouter(prefix="/broadcasts", tags=["broadcasts"], route_class=StrictJson)

_MOST = 20


class AudienceRequest(Wire):
    """Everyone, or who is in at least one of these topics and segments; each user once."""

    everyone: Literal[True] | None = None
    topics: Annotated[list[TopicId], Field(max_length=_MOST)] = Field(default_factory=list)
    segments: Annotated[list[SegmentId], Field(max_length=_MOST)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if bool(self.everyone) == bool(self.topics or self.segments):
            raise ValueError("name either topics and segments, or everyone")
        return self

    def document(self) -> dict[str, Any]:
        if self.everyone:
            return {"everyone": True}
        chosen = {"topics": self.topics, "segments": self.segments}
        return {kind: list(dict.fromkeys(ids)) for kind, ids in chosen.items() if ids}


class BroadcastRequest(Content, Times):
    """What POST /notifications/send takes, with an audience in place of the recipient. send_at: when it begins,
    and its audience is who belongs to it then; with send_at_local it begins at once, and each notification
    waits for its time. name: for people. dry_run: nothing is stored or sent; the answer, with 200, tells what would
    be."""

    audience: AudienceRequest
    name: Name | None = None
    idempotency_key: Name | None = None
    dry_run: StrictBool = False


class BroadcastView(BaseModel):
    """broadcast_id: also the id of its batch, under /batches. begun_at: since when its audience and its template's
    version are fixed; expected: how many users these are. done: users who were reached or refused; refused:
    those for whom there is no address, for instance; refusals: why, counted. problem: why it ended before all were reached."""

    broadcast_id: UUID
    name: str | None
    state: Literal["scheduled", "running", "paused", "cancelled", "finished", "failed"]
    audience: dict[str, Any]
    template_id: str
    template_version: int | None
    starts_at: datetime
    begun_at: datetime | None
    finished_at: datetime | None
    expected: int | None
    done: int
    refused: int
    refusals: list[Refusals]
    problem: str | None


class BroadcastPage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    broadcasts: list[BroadcastView]
    next_cursor: UUID | None


@router.post(
    "",
    status_code=202,
    response_model=BroadcastView,
    responses={
        200: {"model": BroadcastRehearsal, "description": "A dry run: nothing was stored."},
        **problems(409, 413),
    },
)
async def send(
    body: BroadcastRequest,
    parts: Wired,
    key: CanSend,
    idempotency_key: Annotated[
        str | None, Header(description="Instead of the field of this name.")
    ] = None,
) -> BroadcastView | Response:
    """Send it to all of an audience, in the background. GET /batches/{broadcast_id} tells what becomes of it,
    and POST /batches/{broadcast_id}/pause, resume and cancel act on it."""
    if body.idempotency_key is not None and idempotency_key not in (None, body.idempotency_key):
        raise wrong_key("differs from the header Idempotency-Key")
    given = body.idempotency_key or idempotency_key
    if given is not None and not (1 <= len(given) <= 255 and given.isprintable()):
        raise wrong_key("must be 1 to 255 printable characters")
    document = body.model_dump(
        mode="json", exclude_unset=True, exclude={"idempotency_key", "dry_run"}
    )
    new = NewBroadcast(
        id=uuids.uuid7(),
        api_key_id=key.id,
        name=body.name,
        key=given,
        fingerprint=_fingerprint(document),
        template_id=body.template_id,
        audience=body.audience.document(),
        request={
            name: value for name, value in document.items() if name not in _ABOUT_THE_BROADCAST
        },
        starts_at=body.send_at or datetime.now(UTC),
    )
    if body.dry_run:
        return await _rehearsed(parts, key, body, new)
    return _view(await _created(parts, body, new))


@router.get("", responses=problems())
async def listed(
    parts: Wired, _: CanRead, cursor: Cursor = None, limit: Limit = 50
) -> BroadcastPage:
    """Broadcasts, the newest first."""
    rows = await broadcasts.listed(parts.pool, before=cursor, limit=limit)
    return BroadcastPage(
        broadcasts=[_view(row) for row in rows],
        next_cursor=rows[-1].id if len(rows) == limit else None,
    )


@router.get("/{broadcast_id}", responses=problems(404))
async def read(broadcast_id: UUID, parts: Wired, _: CanRead) -> BroadcastView:
    """A broadcast, and how far it has come."""
    row = await broadcasts.find(parts.pool, broadcast_id)
    if row is None:
        raise Problem(Code.NOT_FOUND, "There is no broadcast with this id.")
    return _view(row)


# send_at is when the broadcast begins: when it has, each notification is sent at once.
_ABOUT_THE_BROADCAST = frozenset({"audience", "name", "send_at"})


async def _rehearsed(
    parts: Parts, key: ApiKey, body: BroadcastRequest, new: NewBroadcast
) -> Response:
    """Page by page, as it would be sent. The idempotency key is not looked at."""
    template = await _template(parts, body)
    async with borrow(parts.pool) as connection:
        await _check_audience(connection, body.audience)
    held = Held.of(new, app=key.number, send_at=body.send_at)
    found = Rehearsed(parts, key)
    users = 0
    try:
        async for page in rehearsed(parts.pool, held, template, new.starts_at):
            users += len(page)
            found.add(await parts.intake.rehearse(page))
    except CannotGoOnError as error:
        raise Problem(Code.INVALID_REQUEST, str(error)) from None
    return answered(BroadcastRehearsal(**await found.view(), users=users))


async def _template(parts: Parts, body: BroadcastRequest) -> TemplateVersion:
    found = await parts.templates.find(body.template_id)
    if found is None:
        message = f"There is no template {body.template_id!r}."
        where = [FieldError(path="template_id", message=message)]
        raise Problem(Code.UNKNOWN_TEMPLATE, message, where)
    return found


async def _created(parts: Parts, body: BroadcastRequest, new: NewBroadcast) -> BroadcastRow:
    await _template(parts, body)
    async with borrow(parts.pool) as connection:
        await _check_audience(connection, body.audience)
        stored = await broadcasts.create(connection, new, parts.keyring)
    if stored is None or stored.fingerprint != new.fingerprint:
        message = "This idempotency key was used before with another request."
        where = [FieldError(path="idempotency_key", message=message)]
        raise Problem(Code.IDEMPOTENCY_CONFLICT, message, where)
    return stored


async def _check_audience(connection: Connection, audience: AudienceRequest) -> None:
    absent = {
        "topics": await topics.missing(connection, audience.topics),
        "segments": set(audience.segments)
        - (await segments.find_many(connection, audience.segments)).keys(),
    }
    errors = [
        FieldError(path=f"audience.{kind}.{number}", message="there is none with this id")
        for kind, named in (("topics", audience.topics), ("segments", audience.segments))
        for number, one in enumerate(named)
        if one in absent[kind]
    ]
    if errors:
        detail = "; ".join(f"{one.path}: {one.message}" for one in errors[:5])
        raise Problem(Code.INVALID_REQUEST, detail, errors)


def _fingerprint(document: dict[str, Any]) -> bytes:
    canonical = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(canonical, digest_size=16).digest()


def _view(row: BroadcastRow) -> BroadcastView:
    return BroadcastView(
        broadcast_id=row.id,
        name=row.name,
        state=_state(row),
        audience=dict(row.audience),
        template_id=row.template_id,
        template_version=row.template_version,
        starts_at=row.starts_at,
        begun_at=row.audience_at,
        finished_at=row.finished_at,
        expected=row.expected,
        done=row.lines,
        refused=row.refused,
        refusals=refusals_of(row.refusals),
        problem=row.problem,
    )


def _state(row: BroadcastRow) -> Any:
    if row.state == "cancelled":
        return "cancelled"
    if row.finished_at is not None:
        return "finished" if row.problem is None else "failed"
    if row.state == "paused":
        return "paused"
    return "scheduled" if row.audience_at is None else "running"
