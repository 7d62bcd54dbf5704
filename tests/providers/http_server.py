"""A stand-in for an HTTP server, which misbehaves as told: raw bytes over real sockets."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Received:
    """One request as it was read."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Connection:
    """One connection's two ends of talk: read a request, write anything, cut."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: "HttpStandIn"
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._server = server

    async def read(self) -> Received:
        """The next request, kept in the server's list. Raises IncompleteReadError at the end."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {
            name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)
        }
        body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        received = Received(method, target, headers, body)
        self._server.received.append(received)
        return received

    async def read_some(self) -> None:
        """A few bytes of a request, and no more."""
        await self._reader.readexactly(10)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()
        self._server.written += len(data)

    async def answer(self, status: int = 200, body: bytes = b"ok", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    async def hang(self) -> None:
        """Say nothing until the other side gives up."""
        while await self._reader.read(65_536):
            continue

    def cut(self) -> None:
        """End the connection with a reset, as a crash or a firewall does."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Script = Callable[[Connection], Awaitable[None]]


async def answer_ok(connection: Connection) -> None:
    """Answer every request on the connection with 200."""
    while True:
        await connection.read()
        await connection.answer()


class HttpStandIn:
    """Runs a script on every connection; ends the connection when the script does.

    received: all requests that were read whole. written: bytes of answers that were handed to the
    system. connections: how many were opened.
    """

    def __init__(
        self,
        script: Script = answer_ok,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._script = script
        self._tls = tls
        self._host = host
        self._handlers: set[asyncio.Task[None]] = set()
        self.received: list[Received] = []
        self.written = 0
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._handle, self._host, 0, ssl=self._tls, backlog=1000
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
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    def url(self, path: str = "/hook", host: str | None = None) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{host or self._host}:{self.port}{path}"

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        try:
            # The other side may leave at any time, and the test may end.
            with contextlib.suppress(
                asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError
            ):
                await self._script(Connection(reader, writer, self))
        finally:
            self._handlers.discard(task)
            writer.close()


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A port that is taken, and on which nobody listens: connections are refused."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port that does not answer a connection: its queue is full, and the system drops the rest."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
