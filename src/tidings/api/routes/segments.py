"""Segments: users chosen by their attributes."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from tidings.api.authentication import CanEditUsers, CanRead
from tidings.api.bodies import StrictJson
from tidings.api.paging import Limit
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, FieldError, Problem
from tidings.api.responses import problems
from tidings.api.routes.topics import After
from tidings.domain.filters import WrongFilterError, read
from tidings.intake.request import Document, Name, Wire
from tidings.store import attributes, audiences, segments
from tidings.store.audiences import Audience
from tidings.store.database import Connection, borrow
from tidings.store.segments import Segment

router = APIRouter(tags=["segments"], route_class=StrictJson)

SegmentId = Annotated[
    str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")
]


class SegmentUpdate(Wire):
    """filter: {"attribute": …, an operator: …}, or filters in {"all": […]}, {"any": […]}, {"none": […]} or
    {"not": …}. name: for people; the id if not given."""

    name: Name | None = None
    filter: Document


class FilterTrial(Wire):
    """filter: as of a segment."""

    filter: Document


class SegmentView(BaseModel):
    id: str
    name: str
    filter: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class SegmentPage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    segments: list[SegmentView]
    next_cursor: str | None


class SegmentSize(BaseModel):
    """users: how many belong to it at this moment."""

    users: int


class SegmentUsers(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    user_ids: list[str]
    next_cursor: str | None


@router.get("/segments", responses=problems())
async def listed(parts: Wired, _: CanRead, cursor: After = None, limit: Limit = 50) -> SegmentPage:
    """Segments, in the order of their ids."""
    rows = await segments.listed(parts.pool, after=cursor or "", limit=limit)
    return SegmentPage(
        segments=[_view(row) for row in rows],
        next_cursor=rows[-1].id if len(rows) == limit else None,
    )


@router.post("/filters/size", responses=problems(413))
async def size_of_filter(body: FilterTrial, parts: Wired, _: CanRead) -> SegmentSize:
    """How many users a filter chooses; nothing is stored."""
    async with borrow(parts.pool) as connection:
        audience = await _audience(connection, body.filter)
        return SegmentSize(users=await audiences.count(connection, audience))


@router.put("/segments/{segment_id}", responses=problems(413))
async def save(
    segment_id: SegmentId, body: SegmentUpdate, parts: Wired, _: CanEditUsers
) -> SegmentView:
    """Make or change a segment."""
    async with borrow(parts.pool) as connection:
        try:
            saved = await segments.save(
                connection, segment_id, name=body.name or segment_id, document=body.filter
            )
        except WrongFilterError as error:
            raise wrong_filter(error) from None
    return _view(saved)


@router.get("/segments/{segment_id}", responses=problems(404))
async def read_one(segment_id: SegmentId, parts: Wired, _: CanRead) -> SegmentView:
    """A segment and its filter."""
    return _view(await _find(parts, segment_id))


@router.delete(
    "/segments/{segment_id}", status_code=204, response_class=Response, responses=problems(404)
)
async def delete(segment_id: SegmentId, parts: Wired, _: CanEditUsers) -> None:
    """Delete a segment; its users stay."""
    if not await segments.delete(parts.pool, segment_id):
        raise _not_found()


@router.get("/segments/{segment_id}/size", responses=problems(404))
async def size(segment_id: SegmentId, parts: Wired, _: CanRead) -> SegmentSize:
    """How many users belong to it at this moment."""
    found = await _find(parts, segment_id)
    async with borrow(parts.pool) as connection:
        audience = await _audience(connection, found.filter)
        return SegmentSize(users=await audiences.count(connection, audience))


@router.get("/segments/{segment_id}/users", responses=problems(404))
async def users(
    segment_id: SegmentId, parts: Wired, _: CanRead, cursor: After = None, limit: Limit = 50
) -> SegmentUsers:
    """Who belongs to it at this moment, in the order of the user ids."""
    found = await _find(parts, segment_id)
    async with borrow(parts.pool) as connection:
        audience = await _audience(connection, found.filter)
        # The planner may choose here: one page is asked for, not all of them one after the other.
        user_ids = await audiences.page(
            connection, audience, after=cursor or "", limit=limit, few=True
        )
    return SegmentUsers(
        user_ids=user_ids, next_cursor=user_ids[-1] if len(user_ids) == limit else None
    )


def wrong_filter(error: WrongFilterError) -> Problem:
    errors = [
        FieldError(path=".".join(filter(None, ("filter", one.path))), message=one.message)
        for one in error.mistakes
    ]
    detail = "; ".join(f"{one.path}: {one.message}" for one in errors[:5])
    return Problem(Code.INVALID_REQUEST, detail, errors)


async def _audience(connection: Connection, document: Any) -> Audience:
    try:
        found = read(document, await attributes.types(connection))
    except WrongFilterError as error:
        raise wrong_filter(error) from None
    return Audience(datetime.now(UTC), filters=[found])


async def _find(parts: Parts, segment_id: str) -> Segment:
    found = await segments.find(parts.pool, segment_id)
    if found is None:
        raise _not_found()
    return found


def _view(one: Segment) -> SegmentView:
    return SegmentView(
        id=one.id,
        name=one.name,
        filter=one.filter,
        created_at=one.created_at,
        updated_at=one.updated_at,
    )


def _not_found() -> Problem:
    return Problem(Code.NOT_FOUND, "There is no such segment.")
