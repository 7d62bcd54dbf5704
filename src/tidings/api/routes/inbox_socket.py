"""A user's feed over a WebSocket: what happens to it, and changes of it by the user."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter, ValidationError, model_validator
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from tidings.api.authentication import Permission, bearer_of
from tidings.api.bodies import parse
from tidings.api.feed_access import Visitor, admit
from tidings.api.parts import Parts
from tidings.api.problems import Code, Problem, of_validation
from tidings.api.routes.inbox import mark
from tidings.api.routes.inbox_events import refuse_when_full, run_stream
from tidings.inbox.events import Closing, Event, as_json
from tidings.inbox.subscription import Subscription
from tidings.inbox.tokens import PREFIX
from tidings.intake.request import Name, Wire
from tidings.store.database import UNAVAILABLE
from tidings.store.feeds import Kind

PROTOCOL = "tidings.inbox"
"""The subprotocol. A browser offers it and its token beside it: it can set no header."""

LONGEST_MESSAGE = 16 * 2**10  # bytes

_AFTER = TypeAdapter(Annotated[int, Field(ge=0, le=2**53)])
_NAME: TypeAdapter[str] = TypeAdapter(Name)
# RFC 6455, 7.4: 1011 "internal error", 1012 "service restart" and 1013 "try again later" are registered; from 4000 on they are our own,
# and those that stand for a problem are 4000 and its HTTP status.
CLOSE_CODES = {
    Closing.SHUTTING_DOWN: 1012,
    Closing.TOO_SLOW: 1013,
    Closing.FAILED: 1011,
    Closing.TOKEN_EXPIRED: 4401,
}


class Command(Wire):
    """What a user does. id: comes back with the answer. entry_ids, or all that are not archived."""

    id: Annotated[int, Field(ge=0, le=2**53)] | Annotated[str, Field(max_length=100)] | None = None
    do: Literal["seen", "read", "unread", "archive", "unarchive"]
    entry_ids: Annotated[list[UUID], Field(min_length=1, max_length=100)] | None = None
    all: Literal[True] | None = None

    @model_validator(mode="after")
    def _says_which(self) -> "Command":
        if (self.entry_ids is None) == (self.all is None):
            raise ValueError('give either entry_ids or "all": true')
        return self


_KINDS = {
    "seen": Kind.SEEN,
    "read": Kind.READ,
    "unread": Kind.UNREAD,
    "archive": Kind.ARCHIVED,
    "unarchive": Kind.UNARCHIVED,
}


def socket_routes() -> list[BaseRoute]:
    return [WebSocketRoute("/users/{user_id}/inbox/events", watch)]


async def watch(socket: WebSocket) -> None:
    """`?after=` as with Server-Sent Events. The token: in `Authorization`, as a second subprotocol, or `?token=`."""
    parts: Parts = socket.app.state.parts
    offered = socket.scope["subprotocols"]
    await socket.accept(subprotocol=PROTOCOL if PROTOCOL in offered else None)
    try:
        user_id, after, visitor = await _entered(parts, socket, offered)
    except Problem as problem:
        await socket.close(4000 + problem.code.status, problem.code.code)
        return
    except UNAVAILABLE:
        await socket.close(1013, Code.UNAVAILABLE.code)
        return
    with parts.hub.watching(user_id, after) as subscription:
        await _Conversation(parts, socket, subscription, visitor).run()


async def _entered(
    parts: Parts, socket: WebSocket, offered: Sequence[str]
) -> tuple[str, int | None, Visitor]:
    """Raises Problem."""
    given = bearer_of(socket) or next((one for one in offered if one.startswith(PREFIX)), None)
    given = given or socket.query_params.get("token")
    try:
        user_id = _NAME.validate_python(socket.path_params["user_id"])
        known = socket.query_params.get("after")
        after = None if known is None else _AFTER.validate_python(known)
    except ValidationError as error:
        raise of_validation(error) from None
    visitor = await admit(socket, user_id, given, Permission.READ)
    refuse_when_full(parts, user_id)
    return user_id, after, visitor


class _Conversation:
    """One connection: what is sent, and what is asked for, at the same time."""

    def __init__(
        self, parts: Parts, socket: WebSocket, subscription: Subscription, visitor: Visitor
    ) -> None:
        self._parts = parts
        self._socket = socket
        self._subscription = subscription
        self._visitor = visitor

    async def run(self) -> None:
        listening = asyncio.create_task(self._listen())
        try:
            why = await run_stream(
                self._parts, self._subscription, self._visitor, "websocket", self._send_events
            )
        finally:
            listening.cancel()
            (ended,) = await asyncio.gather(listening, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended
        if why is not None and self._socket.application_state is WebSocketState.CONNECTED:
            await self._socket.close(CLOSE_CODES[why], why)

    async def _send_events(self, events: Sequence[Event]) -> None:
        try:
            for event in events:
                await self._socket.send_text(event.data.decode())
        except (WebSocketDisconnect, RuntimeError):  # they left while it was on its way
            self._subscription.abandon()
        self._parts.metrics.feed_events.labels("websocket").inc(len(events))

    async def _listen(self) -> None:
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                text = message.get("text")
                given = message.get("bytes") or b"" if text is None else text.encode()
                await self._socket.send_text(as_json(await self._answer(given)).decode())
        except (WebSocketDisconnect, RuntimeError):
            return
        finally:
            self._subscription.abandon()

    async def _answer(self, given: bytes) -> dict[str, Any]:
        command: Command | None = None
        try:
            command = _command(given)
            return {"event": "done", "id": command.id, **await self._do(command)}
        except Problem as problem:
            known = None if command is None else command.id
            return {"event": "refused", "id": known, "problem": problem.document()}

    async def _do(self, command: Command) -> dict[str, Any]:
        """Raises Problem."""
        if not self._visitor.may_change:
            raise Problem(Code.FORBIDDEN, "The API key's role may read the feed alone.")
        try:
            applied = await mark(
                self._parts, self._subscription.user_id, _KINDS[command.do], command.entry_ids
            )
        except UNAVAILABLE:
            raise Problem(Code.UNAVAILABLE, "Nothing was changed; try again.") from None
        return {"marked": applied.entries, "number": applied.last}


def _command(given: bytes) -> Command:
    """Raises Problem."""
    try:
        return Command.model_validate(parse(given))
    except ValidationError as error:
        raise of_validation(error) from None
    except ValueError as error:
        raise Problem(Code.MALFORMED_JSON, f"The message is not valid JSON: {error}.") from None
