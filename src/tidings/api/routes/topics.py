"""Topics: what users subscribe to, and who does."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from tidings.api.authentication import CanEditUsers, CanRead
from tidings.api.bodies import StrictJson
from tidings.api.paging import Limit
from tidings.api.parts import Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.intake.request import Name, Wire
from tidings.store import topics
from tidings.store.database import borrow
from tidings.store.topics import Subscription, Topic

router = APIRouter(tags=["topics"], route_class=StrictJson)

TopicId = Annotated[
    str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")
]
After = Annotated[
    Name | None, Query(alias="cursor", description="`next_cursor` of the page before.")
]


class TopicUpdate(Wire):
    """name: for people; the id if not given."""

    name: Name | None = None
    description: Annotated[str, Field(max_length=2_000, pattern=r"^[^\x00]*$")] = ""


class TopicView(BaseModel):
    id: str
    name: str
    description: str
    created_at: datetime
    updated_at: datetime


class TopicPage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    topics: list[TopicView]
    next_cursor: str | None


class Users(Wire):
    """user_ids: each once or more often; who is named twice counts once."""

    user_ids: Annotated[list[Name], Field(min_length=1, max_length=10_000)]


class SubscriptionChange(BaseModel):
    """changed: how many it made a difference for; the others were as asked for already."""

    changed: int


class SubscriptionView(BaseModel):
    topic_id: str
    user_id: str
    since: datetime


class SubscriptionPage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    subscriptions: list[SubscriptionView]
    next_cursor: str | None


@router.get("/topics", responses=problems())
async def listed(parts: Wired, _: CanRead, cursor: After = None, limit: Limit = 50) -> TopicPage:
    """Topics, in the order of their ids."""
    rows = await topics.listed(parts.pool, after=cursor or "", limit=limit)
    return TopicPage(
        topics=[_view(row) for row in rows],
        next_cursor=rows[-1].id if len(rows) == limit else None,
    )


@router.put("/topics/{topic_id}", responses=problems(413))
async def save(topic_id: TopicId, body: TopicUpdate, parts: Wired, _: CanEditUsers) -> TopicView:
    """Make a topic, or change its name and description; its subscribers stay."""
    return _view(
        await topics.save(
            parts.pool, topic_id, name=body.name or topic_id, description=body.description
        )
    )


@router.get("/topics/{topic_id}", responses=problems(404))
async def read(topic_id: TopicId, parts: Wired, _: CanRead) -> TopicView:
    """A topic."""
    found = await topics.find(parts.pool, topic_id)
    if found is None:
        raise no_topic()
    return _view(found)


@router.delete(
    "/topics/{topic_id}", status_code=204, response_class=Response, responses=problems(404)
)
async def delete(topic_id: TopicId, parts: Wired, _: CanEditUsers) -> None:
    """Delete a topic with all its subscriptions."""
    if not await topics.delete(parts.pool, topic_id):
        raise no_topic()


@router.get("/topics/{topic_id}/subscribers", responses=problems(404))
async def subscribers(
    topic_id: TopicId, parts: Wired, _: CanRead, cursor: After = None, limit: Limit = 50
) -> SubscriptionPage:
    """Who is subscribed, in the order of the user ids."""
    rows = await topics.subscribers(parts.pool, topic_id, after=cursor or "", limit=limit)
    if not rows and await topics.find(parts.pool, topic_id) is None:
        raise no_topic()
    return _page(rows, rows[-1].user_id if len(rows) == limit else None)


@router.post("/topics/{topic_id}/subscribers", responses=problems(404, 413))
async def subscribe_many(
    topic_id: TopicId, body: Users, parts: Wired, _: CanEditUsers
) -> SubscriptionChange:
    """Subscribe many users; those who are subscribed stay so."""
    return _changed(await topics.subscribe(parts.pool, topic_id, body.user_ids))


@router.post("/topics/{topic_id}/subscribers/remove", responses=problems(404, 413))
async def unsubscribe_many(
    topic_id: TopicId, body: Users, parts: Wired, _: CanEditUsers
) -> SubscriptionChange:
    """Unsubscribe many users; those who are not subscribed stay so."""
    async with borrow(parts.pool) as connection:
        return _changed(await topics.unsubscribe(connection, topic_id, body.user_ids))


@router.put("/topics/{topic_id}/subscribers/{user_id}", responses=problems(404))
async def subscribe(
    topic_id: TopicId, user_id: Name, parts: Wired, _: CanEditUsers
) -> SubscriptionChange:
    """Subscribe a user; again does no harm."""
    return _changed(await topics.subscribe(parts.pool, topic_id, [user_id]))


@router.delete("/topics/{topic_id}/subscribers/{user_id}", responses=problems(404))
async def unsubscribe(
    topic_id: TopicId, user_id: Name, parts: Wired, _: CanEditUsers
) -> SubscriptionChange:
    """Unsubscribe a user; again does no harm."""
    async with borrow(parts.pool) as connection:
        return _changed(await topics.unsubscribe(connection, topic_id, [user_id]))


@router.get("/users/{user_id}/topics", tags=["users"], responses=problems())
async def of_user(
    user_id: Name, parts: Wired, _: CanRead, cursor: After = None, limit: Limit = 50
) -> SubscriptionPage:
    """The topics a user is subscribed to, in the order of their ids."""
    rows = await topics.of_user(parts.pool, user_id, after=cursor or "", limit=limit)
    return _page(rows, rows[-1].topic_id if len(rows) == limit else None)


def _changed(count: int | None) -> SubscriptionChange:
    if count is None:
        raise no_topic()
    return SubscriptionChange(changed=count)


def _page(rows: list[Subscription], cursor: str | None) -> SubscriptionPage:
    return SubscriptionPage(
        subscriptions=[
            SubscriptionView(topic_id=row.topic_id, user_id=row.user_id, since=row.since)
            for row in rows
        ],
        next_cursor=cursor,
    )


def _view(one: Topic) -> TopicView:
    return TopicView(
        id=one.id,
        name=one.name,
        description=one.description,
        created_at=one.created_at,
        updated_at=one.updated_at,
    )


def no_topic() -> Problem:
    return Problem(Code.NOT_FOUND, "There is no such topic.")
