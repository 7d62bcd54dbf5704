"""The load generator: asks Tidings over HTTP, single, in bulk or at a steady rate.

A process of its own: `python -m benchmarks.load` reads an Errand from standard input and prints a Tally.
It shares the cores with what it measures, so requests are filled into prepared bytes and answers are
read by the few fields that count.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import orjson
import uvloop

from benchmarks import job
from benchmarks.arrivals import percentile_ms
from benchmarks.work import Errand, Stopwatch, Tally

SINGLE_CONNECTIONS = 64
BULK_CONNECTIONS = 4
BULK_ITEMS = 500
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*(\d+)")

# Values that no other part of the body has; what changes from request to request is put in their place.
_NUMBER, _MICROSECONDS = 987_654, 1_234_567_890_123_456


@dataclass(frozen=True)
class Request:
    payload: bytes
    items: int


class Writer:
    """Writes requests of one errand."""

    def __init__(self, errand: Errand) -> None:
        self._errand = errand
        self._item = self._format()
        path = "/notifications/bulk" if errand.work.door == "bulk" else "/notifications/send"
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{errand.port}\r\n"
            f"Authorization: Bearer {errand.key}\r\nContent-Type: application/json\r\n"
        ).encode()

    def single(self, number: int, microseconds: int) -> Request:
        return self._request(self.item(number, microseconds), 1)

    def bulk(self, numbers: range, microseconds: int) -> Request:
        items = b",".join(self.item(number, microseconds) for number in numbers)
        return self._request(b'{"notifications":[' + items + b"]}", len(numbers))

    def item(self, number: int, microseconds: int) -> bytes:
        """One notification as JSON."""
        return self._item % {b"number": number, b"microseconds": microseconds}

    def _request(self, body: bytes, items: int) -> Request:
        return Request(self._head + b"Content-Length: %d\r\n\r\n" % len(body) + body, items)

    def _format(self) -> bytes:
        work = self._errand.work
        recipient = self._recipient()
        document: dict[str, Any] = {
            "template_id": job.TEMPLATE_ID,
            "recipient": recipient,
            "channel_preferences": [work.channel],
            "data": job.data(work.run, _NUMBER, _MICROSECONDS),
        }
        if work.priority:
            document["priority"] = work.priority
        return (
            orjson.dumps(document)
            .replace(b"%", b"%%")
            .replace(str(_NUMBER).encode(), b"%(number)06d")
            .replace(str(_MICROSECONDS).encode(), b"%(microseconds)d")
        )

    def _recipient(self) -> dict[str, str]:
        people = self._errand.work.people
        if people:
            return {
                "user_id": f"{people}{_NUMBER}",
                "email": f"user{_NUMBER}@{people}.example.com",
            }
        if self._errand.work.channel == "email":
            return {"email": f"user{_NUMBER}@example.com"}
        return {"webhook_url": self._errand.hook_url}


class Client(asyncio.Protocol):
    """One kept connection with at most one request in flight.

    ready: called when it can take a request. done: called with each request's status and body, or with
    None when the connection broke first.
    """

    def __init__(
        self,
        ready: "Callable[[Client], None]",
        done: "Callable[[Request, bytes | None, bytes, float], None]",
    ) -> None:
        self._ready, self._done = ready, done
        self._request: Request | None = None
        self._received = b""
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self.open = True
        self._ready(self)

    def send(self, request: Request) -> None:
        self._request, self._sent = request, time.perf_counter()
        self.transport.write(request.payload)

    def data_received(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or self._request is None:
            return
        length = _LENGTH.search(self._received, 0, end)
        if length is None or len(self._received) < end + 4 + int(length[1]):
            return
        request, answer = self._request, self._received
        self._request, self._received = None, b""
        self._done(request, answer[9:12], answer[end + 4 :], time.perf_counter() - self._sent)
        if not self.transport.is_closing():
            self._ready(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self._request is not None:
            request, self._request = self._request, None
            self._done(request, None, b"", time.perf_counter() - self._sent)


class Load:
    """One errand's requests over kept connections. A request whose connection broke is not sent again."""

    def __init__(self, errand: Errand) -> None:
        self.errand = errand
        self.writer = Writer(errand)
        self.tally = Tally()
        self._times_us: list[int] = []
        self._open_requests = errand.work.count
        self._finished = asyncio.Event()

    async def run(self) -> Tally:
        """Ask for everything, and wait for the answers, as long as the errand's limit allows."""
        stopwatch = Stopwatch()
        try:
            async with asyncio.timeout(self.errand.limit):
                await (self._steady() if self.errand.work.rate else self._flat_out())
        except TimeoutError:
            self.tally.count("not asked or not answered in time", self._open_requests)
        stopwatch.read(self.tally)
        self._times_us.sort()
        self.tally.p50_ms = percentile_ms(self._times_us, 0.50)
        self.tally.p99_ms = percentile_ms(self._times_us, 0.99)
        return self.tally

    async def _flat_out(self) -> None:
        """Closed loop: each connection sends its next request when it has the answer to the last."""
        requests = self._bulks() if self.errand.work.door == "bulk" else self._singles()

        def ready(client: Client) -> None:
            request = next(requests, None)
            if request is not None:
                client.send(request)

        bulk = self.errand.work.door == "bulk"
        clients = await self._connect(BULK_CONNECTIONS if bulk else SINGLE_CONNECTIONS, ready)
        while not await self._finished_within(0.5):
            # Whoever was thrown out comes back; without this, a closed connection would slow the rest.
            missing = sum(not client.open for client in clients)
            clients = [c for c in clients if c.open] + await self._connect(missing, ready)

    async def _steady(self) -> None:
        """Open loop: a request is due at its time, whether or not the system keeps up. Its time counts from
        when it was due, so waiting for a connection is part of it."""
        rate = self.errand.work.rate
        assert rate
        idle: deque[Client] = deque()
        overdue: deque[Request] = deque()

        def ready(client: Client) -> None:
            if overdue:
                client.send(overdue.popleft())
            else:
                idle.append(client)

        clients = await self._connect(SINGLE_CONNECTIONS, ready)
        start = time.time()
        for number in range(self.errand.work.count):
            due = start + number / rate
            await _sleep_until(due)
            overdue.append(self.writer.single(number, int(due * 1e6)))
            while idle and overdue:
                client = idle.popleft()
                if client.open:
                    client.send(overdue.popleft())
            if not any(client.open for client in clients):
                clients = await self._connect(SINGLE_CONNECTIONS, ready)
        await self._finished.wait()

    async def _connect(self, count: int, ready: Callable[[Client], None]) -> list[Client]:
        loop = asyncio.get_running_loop()
        pairs = [
            await loop.create_connection(
                lambda: Client(ready, self._done), "127.0.0.1", self.errand.port
            )
            for _ in range(count)
        ]
        return [client for _, client in pairs]

    async def _finished_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._finished.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _singles(self) -> Iterator[Request]:
        for number in range(self.errand.work.count):
            yield self.writer.single(number, time.time_ns() // 1000)

    def _bulks(self) -> Iterator[Request]:
        count = self.errand.work.count
        for start in range(0, count, BULK_ITEMS):
            yield self.writer.bulk(
                range(start, min(start + BULK_ITEMS, count)), time.time_ns() // 1000
            )

    def _done(self, request: Request, status: bytes | None, body: bytes, seconds: float) -> None:
        self._times_us.append(int(seconds * 1e6))
        self._open_requests -= request.items
        accepted = _accepted(request, status, body)
        self.tally.accepted += accepted
        if accepted:
            self.tally.count("202", accepted)
        if accepted < request.items:
            word = "connection broke" if status is None else status.decode("latin-1")
            word = "refused in a 202" if word == "202" else word
            self.tally.count(word, request.items - accepted)
        if self._open_requests == 0:
            self._finished.set()


async def _sleep_until(moment: float) -> None:
    """The loop's timers know whole milliseconds and would turn without pause through the last one."""
    if (wait := moment - time.time()) > 0.001:
        await asyncio.sleep(wait - 0.001)
    if (wait := moment - time.time()) > 0:
        time.sleep(wait)


def _accepted(request: Request, status: bytes | None, body: bytes) -> int:
    """How many of the request's notifications were accepted."""
    if status != b"202":
        return 0
    if request.items == 1 and b'"results"' not in body:
        return 1
    answer: dict[str, Any] = orjson.loads(body)
    return sum("notification_id" in result for result in answer["results"])


def main() -> None:
    errand = Errand.read()

    async def run() -> Tally:
        return await Load(errand).run()

    print(uvloop.run(run()).dump(), flush=True)


if __name__ == "__main__":
    main()
