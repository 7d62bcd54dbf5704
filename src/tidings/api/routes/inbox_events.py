"""What happens to a user's feed: as a stream of Server-Sent Events, and as a page for those who poll."""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tidings.api.bodies import StrictJson
from tidings.api.feed_access import CanWatchFeed, Visitor
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.api.routes.inbox import FeedCounters, InboxEntry
from tidings.inbox.events import Closing, Event, Signal, changed, entries_of
from tidings.inbox.hub import Full
from tidings.inbox.streaming import Send as SendEvents
from tidings.inbox.streaming import Stream
from tidings.inbox.subscription import Subscription
from tidings.intake.request import Name
from tidings.store import feeds, inbox
from tidings.store.feeds import Kind

router = APIRouter(prefix="/users/{user_id}/inbox", tags=["inbox"], route_class=StrictJson)

_STREAM = "text/event-stream"
_AT_ONCE = 100
_MOST = 2**53  # what a browser's numbers hold exactly
After = Annotated[int, Query(ge=0, le=_MOST, description="The number of the last change known.")]


class FeedEvent(BaseModel):
    """event: what it is. number: to go on after it. counters: after it. entries: of `added`; entry_ids: of the other
    changes, or `all` for all that were not archived."""

    event: Kind | Signal
    number: int
    counters: FeedCounters
    entries: list[InboxEntry] | None = None
    entry_ids: list[UUID] | None = None
    all: bool | None = None


class FeedEvents(BaseModel):
    """The first is `ready`, or `reset` when the feed is to be loaded anew; up to 100 changes follow in their order.
    When there are none, that was all."""

    events: list[FeedEvent]


@router.get(
    "/events",
    response_model=FeedEvents,
    responses={200: {"content": {_STREAM: {}}}, **problems(429)},
)
async def watch(
    request: Request,
    user_id: Name,
    parts: Wired,
    visitor: CanWatchFeed,
    after: After | None = None,
    last_event_id: Annotated[int | None, Header(ge=0, le=_MOST, include_in_schema=False)] = None,
    token: Annotated[str | None, Query(description="The user's token.")] = None,
) -> Response:
    """What happened to the feed since, and with `Accept: text/event-stream` what happens, as it does. A stream
    begins after `Last-Event-ID`, or `after`, or now."""
    known = after if last_event_id is None else last_event_id
    if _STREAM not in request.headers.get("accept", ""):
        return await _since(parts, user_id, known)
    refuse_when_full(parts, user_id)
    return EventStream(parts, user_id, known, visitor)


def refuse_when_full(parts: Parts, user_id: str) -> None:
    """Raises Problem 429 or 503."""
    match parts.hub.full_for(user_id):
        case None:
            return
        case Full.USER:
            most = parts.inbox.connections_per_user
            detail = f"A user may have {most} open streams; close one first."
            raise Problem(Code.TOO_MANY_STREAMS, detail, headers={"Retry-After": "60"})
        case Full.PROCESS | Full.STOPPING:
            detail = "Connect again in a moment; another process may have room."
            raise Problem(Code.NO_ROOM, detail, headers={"Retry-After": "5"})


async def _since(parts: Parts, user_id: str, after: int | None) -> Response:
    """The same as a stream would begin with."""
    one = Subscription(user_id, after, room=_AT_ONCE + 1, hungry=lambda _: None)
    wanted = {user_id: feeds.NO_CHANGES if after is None else after}
    feed = (await feeds.read(parts.pool, wanted, limit=_AT_ONCE)).get(user_id, feeds.NOBODYS)
    entries = await inbox.fetch(parts.pool, entries_of(feed), parts.keyring)
    one.take(feed, [changed(change, entries) for change in feed.changes])
    body = b",".join(event.data for event in one.taken())
    return Response(b'{"events":[%s]}' % body, media_type="application/json")


class EventStream(Response):
    """Server-Sent Events of one user's feed, for as long as they stay."""

    media_type = _STREAM

    def __init__(self, parts: Parts, user_id: str, after: int | None, visitor: Visitor) -> None:
        # What stands between must neither keep nor gather it: X-Accel-Buffering is nginx's name for that.
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._parts = parts
        self._user_id = user_id
        self._after = after
        self._visitor = visitor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_events(events: Sequence[Event]) -> None:
            body = b"".join(event.as_server_sent for event in events)
            await send({"type": "http.response.body", "body": body, "more_body": True})
            self._parts.metrics.feed_events.labels("sse").inc(len(events))

        start = {"status": self.status_code, "headers": self.raw_headers}
        with self._parts.hub.watching(self._user_id, self._after) as subscription:
            await send({"type": "http.response.start", **start})
            # Those who are sent away together must not come back together.
            retry = b"retry: %d\n\n" % random.randint(1_000, 5_000)  # noqa: S311 - not a secret
            await send({"type": "http.response.body", "body": retry, "more_body": True})
            leaving = asyncio.create_task(_until_gone(receive, subscription))
            try:
                await run_stream(self._parts, subscription, self._visitor, "sse", send_events)
            finally:
                leaving.cancel()
                await asyncio.gather(leaving, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._parts.inbox.patience):
                await send({"type": "http.response.body", "body": b"", "more_body": False})


async def run_stream(
    parts: Parts,
    subscription: Subscription,
    visitor: Visitor,
    transport: str,
    send: SendEvents,
) -> Closing | None:
    """Until it ends, counted."""
    stream = Stream(
        subscription,
        send,
        parts.inbox.heartbeat,
        parts.inbox.patience,
        visitor.seconds_left,
    )
    with parts.metrics.feed_connections.labels(transport).track_inprogress():
        why = await stream.run()
    parts.metrics.feed_closed.labels(transport, why or "left").inc()
    return why


async def _until_gone(receive: Receive, subscription: Subscription) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
    subscription.abandon()
