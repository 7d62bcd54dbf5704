"""A server that speaks HTTP/2 and nothing else, over TLS: what was asked, and over how many connections."""

import asyncio
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Self, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded

from tests.providers.http_server import Received


class Http2StandIn:
    """Answers each request as soon as `expected` of them have come, so that many are in flight at once.

    says: status and body; 200 if not given. received: all requests. connections: how many were opened.
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        *,
        expected: int = 1,
        says: Callable[[Received], tuple[int, bytes]] = lambda _: (200, b"ok"),
    ) -> None:
        tls.set_alpn_protocols(["h2"])
        self._says = says
        self._tls = tls
        self.expected = expected
        self._transports: set[asyncio.Transport] = set()
        self.waiting: list[tuple[_Session, int, Received]] = []
        self.received: list[Received] = []
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Session(self), "127.0.0.1", 0, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for transport in self._transports:
            transport.abort()

    def opened(self, transport: asyncio.Transport) -> None:
        self.connections += 1
        self._transports.add(transport)

    def asked(self, session: "_Session", stream: int, received: Received) -> None:
        self.received.append(received)
        self.waiting.append((session, stream, received))
        if len(self.received) >= self.expected:
            for waiting, number, asked in self.waiting:
                waiting.answer(number, *self._says(asked))
            self.waiting.clear()


class _Session(asyncio.Protocol):
    def __init__(self, server: Http2StandIn) -> None:
        self._server = server
        self._http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._headers: dict[int, dict[str, str]] = {}
        self._bodies: dict[int, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.opened(self._transport)
        self._http.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        for event in self._http.receive_data(data):
            if isinstance(event, RequestReceived):
                assert event.stream_id is not None
                self._headers[event.stream_id] = {
                    str(name): str(value) for name, value in event.headers or ()
                }
            elif isinstance(event, DataReceived):
                assert event.stream_id is not None
                self._bodies[event.stream_id] = self._bodies.get(event.stream_id, b"") + (
                    event.data or b""
                )
            elif isinstance(event, StreamEnded):
                assert event.stream_id is not None
                self._ended(event.stream_id)
        self._flush()

    def answer(self, stream: int, status: int, body: bytes) -> None:
        headers = [(":status", str(status)), ("content-length", str(len(body)))]
        self._http.send_headers(stream, headers)
        self._http.send_data(stream, body, end_stream=True)
        self._flush()

    def _ended(self, stream: int) -> None:
        headers = self._headers[stream]
        received = Received(
            headers[":method"], headers[":path"], headers, self._bodies.get(stream, b"")
        )
        self._server.asked(self, stream, received)

    def _flush(self) -> None:
        self._transport.write(self._http.data_to_send())
