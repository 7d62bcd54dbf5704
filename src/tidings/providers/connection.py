"""One HTTP/1.1 connection: a request at a time, and what came of it.

What was sent is known exactly: nothing before `call` writes, all of it perhaps from then on. So a connection that
ends before it is used costs nothing, and one that ends after a request was written leaves it unknown.
"""

import asyncio
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from tidings.domain.outcomes import Unknown
from tidings.domain.reasons import Reason
from tidings.providers.http import BODY_LIMIT, Answer, Failure

_HEAD_LIMIT = 64 * 1024
_LIMIT = 16 * BODY_LIMIT
"""Bytes of all that is received for a request: an answer in the smallest of chunks fits, but not an endless row of
interim answers, nor of trailers."""
_VERSIONS = frozenset({"1.0", "1.1"})
_INFORMATIONAL = range(100, 200)
_SWITCHED = 101


class Connection(asyncio.Protocol):
    """open: it may be used for a request, as far as is known here."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._waiter: asyncio.Future[Answer | Failure] | None = None
        self._bodyless = False
        self.idle_since = 0.0
        self.open = False
        self._received = 0
        self._begin()

    def _begin(self) -> None:
        self._headers: dict[str, str] = {}
        self._head = 0
        self._status = 0
        self._body = b""
        self._delimited = False

    async def call(self, request: bytes, seconds: float, *, bodyless: bool) -> Answer | Failure:
        """Send this, and wait for the answer for so many seconds. bodyless: the answer has no body, whatever its
        head says (RFC 9110, 9.3.2). Once a status is known it is reported, whatever becomes of the body."""
        self._begin()
        self._received = 0
        self._bodyless = bodyless
        waiter: asyncio.Future[Answer | Failure] = self._loop.create_future()
        self._waiter = waiter
        timer = self._loop.call_later(seconds, self._out_of_time)
        self._transport.write(request)
        try:
            return await waiter
        finally:
            timer.cancel()
            if (
                self._waiter is not None
            ):  # cancelled: what is still to come answers no other request
                self.cut()

    def cut(self) -> None:
        """End it at once."""
        self.open = False
        self._transport.abort()

    def stop(self) -> None:
        """End it because the client is closed."""
        self._conclude(Unknown(Reason.CONNECTION_LOST, detail="stopped by Tidings"))
        self.cut()

    # ------------------------------------------------------------ called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it
        self.open = True

    def data_received(self, data: bytes) -> None:
        if not self._is_awaited():  # an answer to nothing
            self.cut()
            return
        self._received += len(data)
        if not self._status:
            self._head += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._end(Unknown(Reason.MALFORMED_ANSWER))
            return
        if not self._is_awaited():
            return
        if self._is_too_long():
            self._end(Unknown(Reason.MALFORMED_ANSWER))

    def _is_too_long(self) -> bool:
        if not self._status and self._head > _HEAD_LIMIT:
            return True
        return len(self._body) >= BODY_LIMIT or self._received > _LIMIT

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        if self._status and not self._delimited and error is None:
            self._conclude(self._answer(complete=True))
        else:
            self._end(Unknown(Reason.CONNECTION_LOST))

    def _out_of_time(self) -> None:
        self._end(Unknown(Reason.TIMED_OUT))

    # ------------------------------------------------------------ called by the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        key = name.decode("latin-1").lower()
        if key in {"content-length", "transfer-encoding"}:
            self._delimited = True
        if value.isascii():  # others are as good as missing
            self._headers.setdefault(key, value.decode("ascii"))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status in _INFORMATIONAL and status != _SWITCHED:
            return
        if self._parser.get_http_version() not in _VERSIONS:
            self._end(Unknown(Reason.MALFORMED_ANSWER))
            return
        self._status = status
        if self._bodyless:
            self._end(Unknown(Reason.MALFORMED_ANSWER), complete=True)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if not self._status:  # informational: the answer proper follows
            self._begin()
            return
        if not self._is_awaited():
            self.cut()
            return
        self._conclude(self._answer(complete=len(self._body) <= BODY_LIMIT))
        if not self._parser.should_keep_alive():
            self.open = False
            self._transport.close()

    # ------------------------------------------------------------ what came of it

    def _is_awaited(self) -> bool:
        return self._waiter is not None

    def _answer(self, *, complete: bool) -> Answer:
        return Answer(self._status, self._headers, self._body[:BODY_LIMIT], complete)

    def _end(self, failure: Unknown, *, complete: bool = False) -> None:
        """Without an answer, or with what is known of it; the connection cannot be used again."""
        self._conclude(self._answer(complete=complete) if self._status else failure)
        self.cut()

    def _conclude(self, result: Answer | Failure) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(result)
