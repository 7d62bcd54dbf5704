"""The same vendors over HTTP/2, for those that insist on it: without TLS, as both ends are on this machine.

RFC 9113, 3.3: the client knows beforehand.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

from tidings.sandbox.calls import Call, Reply
from tidings.sandbox.faults import Mishap
from tidings.sandbox.server import VendorsApp
from tidings.sandbox.vendor import Vendor

_LARGEST = 2**20


@dataclass
class _Request:
    headers: Mapping[str, str]
    body: bytearray = field(default_factory=bytearray)


class _Session(asyncio.Protocol):
    """One connection, with any number of requests under way. open_ones: all sessions that are connected."""

    def __init__(self, vendor: Vendor, app: VendorsApp, open_ones: "set[_Session]") -> None:
        self._vendor = vendor
        self._app = app
        self._open_ones = open_ones
        self._http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._requests: dict[int, _Request] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._open_ones.add(self)
        self._http.initiate_connection()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._open_ones.discard(self)
        for task in list(self._tasks.values()):
            task.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            events = self._http.receive_data(data)
        except ProtocolError:
            self._flush()
            self.cut()
            return
        for event in events:
            match event:
                case RequestReceived(stream_id=int(stream), headers=headers):
                    said = {str(name): str(value) for name, value in headers or ()}
                    self._requests[stream] = _Request(said)
                case DataReceived(stream_id=int(stream), data=part, flow_controlled_length=length):
                    self._took(stream, part or b"", length or 0)
                case StreamEnded(stream_id=int(stream)):
                    self._ended(stream)
                case StreamReset(stream_id=int(stream)):
                    self._forget(stream)
                case ConnectionTerminated():
                    self.cut()
        self._flush()

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _took(self, stream: int, part: bytes, length: int) -> None:
        request = self._requests.get(stream)
        if request is None:
            return
        request.body += part
        if len(request.body) > _LARGEST:
            self._http.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
            self._forget(stream)
        else:
            self._http.acknowledge_received_data(length, stream)

    def _ended(self, stream: int) -> None:
        request = self._requests.pop(stream, None)
        if request is None:
            return
        task = asyncio.ensure_future(self._answer(stream, request))
        self._tasks[stream] = task
        task.add_done_callback(lambda _: self._tasks.pop(stream, None))

    def _forget(self, stream: int) -> None:
        self._requests.pop(stream, None)
        task = self._tasks.pop(stream, None)
        if task is not None:
            task.cancel()

    async def _answer(self, stream: int, request: _Request) -> None:
        reply = await self._app.answer(self._vendor, _call(request))
        if isinstance(reply, Reply):
            self._send(stream, reply)
        elif reply is Mishap.CUT:
            self.cut()

    def _send(self, stream: int, reply: Reply) -> None:
        """Answers are small: they fit the window that every client opens."""
        if self._transport is None:
            return
        headers = [(":status", str(reply.status)), ("content-length", str(len(reply.body)))]
        headers += [(name.decode(), value.decode("latin-1")) for name, value in reply.headers]
        self._http.send_headers(stream, headers, end_stream=not reply.body)
        if reply.body:
            self._http.send_data(stream, reply.body, end_stream=True)
        self._flush()

    def _flush(self) -> None:
        if self._transport is not None:
            self._transport.write(self._http.data_to_send())


def _call(request: _Request) -> Call:
    said = request.headers
    path, _, query = said.get(":path", "/").partition("?")
    headers = {"host": said.get(":authority", ""), **said}
    return Call(said.get(":method", ""), path, path, query, headers, bytes(request.body))


@contextlib.asynccontextmanager
async def serving(vendor: Vendor, app: VendorsApp, host: str, port: int) -> AsyncIterator[int]:
    """Listens meanwhile; the port. Raises OSError when it is taken."""
    loop = asyncio.get_running_loop()
    sessions: set[_Session] = set()
    server = await loop.create_server(lambda: _Session(vendor, app, sessions), host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for session in list(sessions):
            session.cut()
