"""Ordinary requests to the hottest paths, answered without ASGI between the socket and the endpoint.

ASGI's messages, events and middleware cost as much for a small request as all that accepting a notification is
besides. Ordinary is a POST over HTTP/1.1 whose declared length is within the limit, and which comes after the last
answer. All others (bodies in chunks or too large, `Expect`, pipelined requests, queries) go uvicorn's way to the same
endpoints.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

Answer = Callable[[Request], Coroutine[Any, Any, Response]]


class WholeRequest(Request):
    """A request whose body is there before anybody asks for it."""

    def __init__(self, scope: Scope, body: bytes) -> None:
        super().__init__(scope)
        self._whole = body

    async def body(self) -> bytes:
        return self._whole


class HotProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a shorter way for these paths.

    answer: must not raise. largest: bytes of a body; never more than uvicorn itself would read ahead.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        paths: frozenset[bytes],
        answer: Answer,
        largest: int,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._paths = paths
        self._answer = answer
        self._largest = min(largest, HIGH_WATER_LIMIT)
        self._exchange: Exchange | None = None  # that whose request is being read

    def on_headers_complete(self) -> None:
        if not self._is_ordinary():
            self._exchange = None
            super().on_headers_complete()
            return
        self.scope["method"] = "POST"
        self.scope["path"] = self.url.decode("ascii")
        self.scope["raw_path"] = self.url
        self.scope["query_string"] = b""
        # It has what the protocol's other methods use of a cycle.
        self._exchange = Exchange(self, self._answer)
        self.cycle = cast("RequestResponseCycle", self._exchange)

    def _is_ordinary(self) -> bool:
        return (
            self.url in self._paths
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
            and (self.cycle is None or self.cycle.response_complete)
            and self._declared() <= self._largest
        )

    def _declared(self) -> float:
        """Bytes of the body; endless without a word of it."""
        for name, value in self.headers:
            if name == b"content-length":
                return int(value)  # the parser lets nothing but digits through
        return float("inf")

    def on_body(self, body: bytes) -> None:
        if self._exchange is not None:
            self._exchange.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._exchange is not None:
            self._exchange.start()
        else:
            super().on_message_complete()


class Exchange:
    """One ordinary request and its answer, which leaves in one write."""

    # What is set here wakes whoever waits for a cycle's next message; nobody waits for one of an exchange.
    message_event: Final = asyncio.Event()

    __slots__ = ("_answer", "_protocol", "body", "disconnected", "keep_alive", "response_complete")

    def __init__(self, protocol: HotProtocol, answer: Answer) -> None:
        self._protocol = protocol
        self._answer = answer
        self.body = b""
        self.keep_alive = protocol.parser.should_keep_alive()
        self.disconnected = False
        self.response_complete = False

    def start(self) -> None:
        """The body is whole."""
        protocol = self._protocol
        task = protocol.loop.create_task(self._run(cast("Scope", protocol.scope)))
        protocol.tasks.add(task)  # the server waits for these before it ends
        task.add_done_callback(protocol.tasks.discard)

    async def _run(self, scope: Scope) -> None:
        response = await self._answer(WholeRequest(scope, self.body))
        protocol = self._protocol
        if protocol.flow.write_paused and not self.disconnected:
            await protocol.flow.drain()
        if self.disconnected or protocol.transport.is_closing():
            return
        protocol.transport.write(self._written(response))
        self.response_complete = True
        if not self.keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()

    def _written(self, response: Response) -> bytes:
        headers = [*self._protocol.server_state.default_headers, *response.raw_headers]
        if any(name == b"connection" and b"close" in value.lower() for name, value in headers):
            self.keep_alive = False
        elif not self.keep_alive:
            headers.append((b"connection", b"close"))
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        return b"".join((STATUS_LINE[response.status_code], lines, b"\r\n", response.body))
