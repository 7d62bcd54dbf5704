"""The provider stand-in: takes webhooks and mail, and counts them. One process, loopback only.

`python -m benchmarks.sink` prints {"http": port, "smtp": port} and runs until its standard input closes,
so it cannot outlive whoever started it.

    GET  /_reset?run=a&latency_ms=50   forget everything; the next messages belong to run "a"
    GET  /_fault?refusing=0.3&latency_ms=5000   mail is refused for now, and answers are late
    GET  /_count                       how many unique references arrived: cheap, for polling
    GET  /_ids                         how often each message id arrived
    GET  /_stats                       everything: see Arrivals.statistics
    POST anything                      a webhook

It runs on the cores of those it measures, so it spends as little as Python can: raw protocols on uvloop
and parsing by bytes.find.
"""

import asyncio
import os
import random
import re
import sys
import time
from typing import cast
from urllib.parse import parse_qs, urlsplit

import orjson
import uvloop

from benchmarks.arrivals import Arrivals, mark_of_message, mark_of_webhook

_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*(\d+)")
_WEBHOOK_ID = re.compile(rb"(?i)\r\nwebhook-id:[ \t]*([^\r]+)")
_CLOSE = re.compile(rb"(?i)\r\nconnection:[ \t]*close")
_CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding:")
_LARGEST = 4 * 2**20  # bytes of one message

_TAKEN = (
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
)
_LENGTH_REQUIRED = b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class Sink:
    """What the connections share. latency: seconds between a message and its answer."""

    def __init__(self) -> None:
        self.arrivals = Arrivals()
        self.latency = 0.0
        self.connections = 0
        self.refusing = 0.0
        self.refused = 0
        self._used_before = time.process_time()

    def control(self, target: str) -> bytes | None:
        """The JSON answer of a control path; None when there is no such path."""
        parts = urlsplit(target)
        match parts.path:
            case "/_reset":
                return orjson.dumps(
                    self._reset({k: v[-1] for k, v in parse_qs(parts.query).items()})
                )
            case "/_fault":
                return orjson.dumps(
                    self._fault({k: float(v[-1]) for k, v in parse_qs(parts.query).items()})
                )
            case "/_count":
                return orjson.dumps({"unique": len(self.arrivals.latencies)})
            case "/_ids":
                return orjson.dumps(self.arrivals.message_ids)
            case "/_stats":
                return orjson.dumps(self._statistics())
        return None

    def _statistics(self) -> dict[str, object]:
        """What arrived, the connections that carried it, and the sink's own processor time meanwhile."""
        used = round(time.process_time() - self._used_before, 3)
        own = {"connections": self.connections, "cpu_s": used, "refused": self.refused}
        return {**self.arrivals.statistics(), **own}

    def _fault(self, query: dict[str, float]) -> dict[str, object]:
        """From now on, without forgetting anything."""
        self.refusing = query.get("refusing", 0.0)
        self.latency = query.get("latency_ms", 0.0) / 1000
        return {"refusing": self.refusing, "latency_ms": self.latency * 1000}

    def refuses(self) -> bool:
        """Whether the next message is refused for now."""
        refused = self.refusing > 0 and random.random() < self.refusing
        self.refused += refused
        return refused

    def _reset(self, query: dict[str, str]) -> dict[str, object]:
        self.arrivals = Arrivals(query.get("run", ""))
        self.latency = float(query.get("latency_ms", 0)) / 1000
        self.connections = 0
        self._used_before = time.process_time()
        return {"run": self.arrivals.run, "latency_ms": self.latency * 1000}


class Connection(asyncio.Protocol):
    """Reads whole units, one after the other: while an answer is delayed, what follows it waits."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.rest = b""
        self.delaying = False
        self.used = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        self.rest = self.rest + data if self.rest else data
        if not self.delaying:
            self.advance()

    def advance(self) -> None:
        """Read on until more bytes are needed, or an answer is delayed."""
        while self.rest and not self.delaying:
            used = self.read(self.rest)
            if not used:
                if len(self.rest) > _LARGEST:
                    self.transport.close()
                return
            self.rest = self.rest[used:]

    def read(self, received: bytes) -> int:
        """Handle one unit at the start of received; its length, or 0 when it is not complete."""
        raise NotImplementedError

    def answer(self, answer: bytes) -> None:
        """Answer a message, after the sink's latency."""
        if not self.used:
            self.used = True
            self.sink.connections += 1
        if not self.sink.latency:
            self.transport.write(answer)
            return
        self.delaying = True
        asyncio.get_running_loop().call_later(self.sink.latency, self._answer_now, answer)

    def _answer_now(self, answer: bytes) -> None:
        self.delaying = False
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.advance()


class HttpConnection(Connection):
    """HTTP/1.1 with kept connections and Content-Length bodies."""

    def read(self, received: bytes) -> int:
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return 0
        head = received[:end]
        length = _LENGTH.search(head)
        if length is None and _CHUNKED.search(head):
            self.transport.write(_LENGTH_REQUIRED)
            self.transport.close()
            return len(received)
        stop = end + 4 + (int(length[1]) if length else 0)
        if len(received) < stop:
            return 0
        if head.startswith(b"POST "):
            self._take(head, received[end + 4 : stop])
        else:
            self._control(head)
        return stop

    def _take(self, head: bytes, body: bytes) -> None:
        found = _WEBHOOK_ID.search(head)
        message_id = found[1].decode("latin-1") if found else ""
        self.sink.arrivals.note(mark_of_webhook(body), message_id, time.time_ns() // 1000)
        self.answer(_TAKEN)

    def _control(self, head: bytes) -> None:
        target = head.split(b" ", 2)[1].decode("latin-1")
        body = self.sink.control(target)
        if body is None:
            self.transport.write(_NOT_FOUND)
        else:
            start = (
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            )
            self.transport.write(start % len(body) + body)
        if _CLOSE.search(head):
            self.transport.close()


class SmtpConnection(Connection):
    """As much SMTP (RFC 5321, PIPELINING of RFC 2920) as a sender needs; takes every message."""

    in_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.write(b"220 sink.example.com ESMTP\r\n")

    def read(self, received: bytes) -> int:
        return self._message(received) if self.in_data else self._command(received)

    def _message(self, received: bytes) -> int:
        # A lone dot ends the message; of an empty one it is all there is.
        end = 0 if received.startswith(b".\r\n") else received.find(b"\r\n.\r\n") + 2
        if end == 1:
            return 0
        self.in_data = False
        if self.sink.refuses():
            self.answer(b"451 4.3.0 not now\r\n")
            return end + 3
        mark, message_id = mark_of_message(received[:end])
        self.sink.arrivals.note(mark, message_id, time.time_ns() // 1000)
        self.answer(b"250 2.0.0 taken\r\n")
        return end + 3

    def _command(self, received: bytes) -> int:
        end = received.find(b"\r\n")
        if end < 0:
            return 0
        match received[:4].upper():
            case b"EHLO":
                self.transport.write(
                    b"250-sink.example.com\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
                )
            case b"DATA":
                self.in_data = True
                self.transport.write(b"354 go on\r\n")
            case b"QUIT":
                self.transport.write(b"221 2.0.0 bye\r\n")
                self.transport.close()
            case b"MAIL" | b"RCPT" | b"RSET" | b"NOOP" | b"HELO":
                self.transport.write(b"250 2.0.0 ok\r\n")
            case _:
                self.transport.write(b"502 5.5.1 not known here\r\n")
        return end + 2


async def serve() -> None:
    """Listen on free ports, print them, and run until standard input closes."""
    loop = asyncio.get_running_loop()
    sink = Sink()
    http = await loop.create_server(lambda: HttpConnection(sink), "127.0.0.1", 0, backlog=1024)
    smtp = await loop.create_server(lambda: SmtpConnection(sink), "127.0.0.1", 0, backlog=1024)
    ports = {"http": http.sockets[0].getsockname()[1], "smtp": smtp.sockets[0].getsockname()[1]}
    print(orjson.dumps(ports).decode(), flush=True)
    orphaned = asyncio.Event()

    def read_on() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            orphaned.set()

    loop.add_reader(sys.stdin.fileno(), read_on)
    async with http, smtp:
        await orphaned.wait()


def main() -> None:
    uvloop.run(serve())


if __name__ == "__main__":
    main()
