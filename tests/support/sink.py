"""A webhook receiver on a real socket that remembers what came, by the delivery's id."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator


class Sink:
    """seen: how often each delivery arrived. delay: seconds before it answers. status: what it answers."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.retry_after: int | None = None
        self.delay = 0.0
        self.status = 200
        self.port = 0
        self._arrived = asyncio.Event()

    @classmethod
    @contextlib.asynccontextmanager
    async def run(cls) -> AsyncIterator["Sink"]:
        sink = cls()
        server = await asyncio.start_server(sink._serve, "127.0.0.1", 0)
        sink.port = server.sockets[0].getsockname()[1]
        try:
            yield sink
        finally:
            server.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def doubled(self) -> set[str]:
        return {delivery for delivery, times in self.seen.items() if times > 1}

    async def arrived(self, count: int, seconds: float = 30) -> None:
        """Wait until so many different deliveries were seen."""
        async with asyncio.timeout(seconds):
            while len(self.seen) < count:
                self._arrived.clear()
                await self._arrived.wait()

    async def times(self, count: int, seconds: float = 30) -> None:
        """Wait until so many calls came, for whatever delivery."""
        async with asyncio.timeout(seconds):
            while self.seen.total() < count:
                self._arrived.clear()
                await self._arrived.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                lines = [line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line]
                headers = {name.lower(): value for name, value in lines}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.seen[headers["webhook-id"]] += 1
                self.bodies.append(body)
                self.headers.append(headers)
                self._arrived.set()
                if self.delay:
                    await asyncio.sleep(self.delay)
                wait = (
                    f"retry-after: {self.retry_after}\r\n" if self.retry_after is not None else ""
                )
                writer.write(
                    f"HTTP/1.1 {self.status} X\r\n{wait}content-length: 0\r\n\r\n".encode()
                )
                await writer.drain()
        writer.close()
