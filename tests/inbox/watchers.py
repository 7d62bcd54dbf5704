"""Those who watch a feed, as browsers and apps do: over Server-Sent Events and over a WebSocket."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import websockets
from websockets.asyncio.client import ClientConnection

from tests.support.system import System
from tidings.api.routes.inbox_socket import PROTOCOL
from tidings.store.api_keys import Role

Document = dict[str, Any]


async def token_for(system: System, user_id: str, **wish: Any) -> str:
    """As the application's backend gets it."""
    answer = await system.call("POST", f"/users/{user_id}/inbox/tokens", wish, role=Role.SENDER)
    assert answer.status == 201, answer.body
    token: str = answer.body["token"]
    return token


class Refused(Exception):
    """status: of the answer; body: its text."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


class EventSource:
    """A browser's, as far as it matters here."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.last_event_id: int | None = None

    async def next(self, seconds: float = 20) -> Document:
        """The next event but heartbeats; `event` and `id` as the stream itself names them. EOFError at the end."""
        while True:
            async with asyncio.timeout(seconds):
                event = await self.any()
            if event["event"] != "heartbeat":
                return event

    async def any(self) -> Document:
        fields: dict[str, str] = {}
        while True:
            raw = await self.reader.readline()
            if not raw:
                raise EOFError
            line = raw.decode().rstrip("\r\n")
            name, colon, value = line.partition(": ")
            if colon:
                fields[name] = value
            elif not line and "data" in fields:
                break
        document: Document = json.loads(fields["data"])
        assert document["event"] == fields["event"]
        if "id" in fields:
            assert document["number"] == int(fields["id"])
            self.last_event_id = int(fields["id"])
        return document

    def close(self) -> None:
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def event_source(
    system: System, user_id: str, token: str, query: str = "", headers: Mapping[str, str] = {}
) -> AsyncIterator[EventSource]:
    """Raises Refused."""
    reader, writer = await _connect(system)
    lines = [
        f"GET /users/{user_id}/inbox/events?token={token}{query} HTTP/1.1",
        f"Host: {urlsplit(system.url).netloc}",
        "Accept: text/event-stream",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    try:
        status = int((await reader.readline()).split()[1])
        if status != 200:
            writer.write_eof()
            raise Refused(status, (await reader.read(10_000)).decode())
        while await reader.readline() != b"\r\n":
            continue
        yield EventSource(reader, writer)
    finally:
        writer.transport.abort()


async def _connect(system: System) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(system.url)
    assert parts.hostname is not None
    return await asyncio.open_connection(parts.hostname, parts.port, limit=2**21)


class Socket:
    """A browser's WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.number: int | None = None

    async def next(self, seconds: float = 20) -> Document:
        """The next message but heartbeats."""
        async with asyncio.timeout(seconds):
            while (document := await self.any())["event"] == "heartbeat":
                continue
        if "number" in document and document["event"] != "done":
            self.number = document["number"]
        return document

    async def any(self) -> Document:
        document: Document = json.loads(await self.connection.recv())
        return document

    async def ask(self, **command: Any) -> None:
        await self.connection.send(json.dumps(command))

    async def answer(self) -> Document:
        """That to what was asked; events that come meanwhile are passed over."""
        while (document := await self.next())["event"] not in {"done", "refused"}:
            continue
        return document

    async def closed(self) -> tuple[int, str]:
        """Code and reason."""
        async with asyncio.timeout(20):
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    await self.connection.recv()
        return self.connection.close_code or 0, self.connection.close_reason or ""


@contextlib.asynccontextmanager
async def socket(
    system: System, user_id: str, token: str, query: str = "", **options: Any
) -> AsyncIterator[Socket]:
    url = f"{system.url.replace('http', 'ws', 1)}/users/{user_id}/inbox/events{query}"
    options.setdefault("subprotocols", [PROTOCOL, token])
    async with websockets.connect(url, proxy=None, compression=None, **options) as connection:
        yield Socket(connection)
