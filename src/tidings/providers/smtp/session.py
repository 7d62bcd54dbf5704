"""A connection that is ready for mail: hello, TLS and sign-in are behind it."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from tidings.providers.smtp.replies import MalformedReply, Reply, ReplyReader


class ConnectionLost(Exception):
    """The server, or the network, ended the connection where a reply was due."""


@dataclass(frozen=True, slots=True)
class Extensions:
    """What the server offers. size: bytes of a message at the most; None for no declared limit."""

    pipelining: bool = False
    smtputf8: bool = False
    eight_bit: bool = False
    takes_size: bool = False
    size: int | None = None

    @classmethod
    def read(cls, offered: Mapping[str, str]) -> "Extensions":
        """From the reply to EHLO: keywords in lower case, with their parameters."""
        size = offered.get("size", "").strip()
        return cls(
            pipelining="pipelining" in offered,
            smtputf8="smtputf8" in offered,
            eight_bit="8bitmime" in offered,
            takes_size="size" in offered,
            # RFC 1870, 4: no number, or zero, is no limit.
            size=int(size) or None if size.isascii() and size.isdigit() else None,
        )


class Session(asyncio.Protocol):
    """Commands out, replies in, in order. One message at a time.

    busy: a message is on its way; only a session that is not busy can be used again. fresh: no
    message went through it yet. needs_reset: a refused message left its envelope behind. announced:
    the next message, whose envelope was sent right behind the last content. doubtful: that content
    was refused, so what is answered to the envelope may still be about it.
    """

    def __init__(self, transport: asyncio.Transport, extensions: Extensions) -> None:
        self.extensions = extensions
        self.busy = False
        self.fresh = True
        self.needs_reset = False
        self.announced: object | None = None
        self.doubtful = False
        self.kept_since = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport = transport
        self._reader = ReplyReader()
        self._replies: deque[Reply] = deque()
        self._failure: ConnectionLost | MalformedReply | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def reusable(self) -> bool:
        """Whether another message may go through it: alive, and with nothing left over."""
        return (
            not self.busy
            and self._failure is None
            and not self._replies
            and self._reader.empty
            and not self._transport.is_closing()
        )

    def takes(self, message: object) -> bool:
        """Whether this message may go through it now: as the announced one, or as any other."""
        if self.announced is None:
            return self.reusable
        return (
            self.announced is message and self._failure is None and not self._transport.is_closing()
        )

    def must_be_quiet(self) -> None:
        """Before a content is sent: nothing may have been said that nobody asked for, or replies
        would be paired with the wrong commands. Raises ConnectionLost or MalformedReply."""
        if self._failure is not None:
            raise self._failure
        if self._replies or not self._reader.empty:
            raise MalformedReply("more replies than commands")

    def write(self, data: bytes) -> None:
        """Send bytes. That a connection is lost shows where the reply is awaited."""
        # A closed transport of uvloop raises at a write, one of asyncio logs warnings.
        if not self._transport.is_closing():
            self._transport.write(data)

    async def reply(self) -> Reply:
        """The next reply. Raises ConnectionLost or MalformedReply."""
        while not self._replies:
            if self._failure is not None:
                raise self._failure
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._replies.popleft()

    async def command(self, line: bytes) -> Reply:
        """Send one command and read its reply. Raises as reply() does."""
        self.busy = True
        self.write(line)
        answer = await self.reply()
        self.busy = False
        return answer

    def quit(self) -> None:
        """Say goodbye and close, without waiting for the answer."""
        if not self._transport.is_closing():
            self.write(b"QUIT\r\n")
            self._transport.close()

    def abort(self) -> None:
        """Close at once; what is not sent yet never is."""
        self._transport.abort()

    def tls_version(self) -> str:
        """E.g. TLSv1.3; empty without TLS."""
        tls = self._transport.get_extra_info("ssl_object")
        return str(tls.version()) if tls is not None else ""

    def data_received(self, data: bytes) -> None:
        if not self.busy:
            # Nobody asked: a server that is about to close says so (RFC 5321, 3.8). Taken for a
            # reply it would be paired with the wrong command.
            self._fail(ConnectionLost())
            self.abort()
            return
        try:
            self._replies.extend(self._reader.feed(data))
        except MalformedReply as error:
            self._replies.extend(error.complete)
            self._fail(error)
        self._wake()

    def eof_received(self) -> None:
        self._fail(ConnectionLost())

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ConnectionLost())
        if not self.closed.done():
            self.closed.set_result(None)

    def _fail(self, error: ConnectionLost | MalformedReply) -> None:
        self._failure = self._failure or error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
