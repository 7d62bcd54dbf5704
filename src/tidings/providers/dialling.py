"""Connections to HTTP servers: dialled when needed, and kept for the next request."""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from pyreqwest.http import Url

from tidings import __version__
from tidings.domain.outcomes import Permanent, Transient
from tidings.domain.reasons import Reason
from tidings.providers.connection import Connection
from tidings.providers.http import UNFIT, Answer, Failure, Request

CONNECT_TIMEOUT = 4.0
"""Seconds for TCP and TLS. Below the time-out of a call, else a call that surely was not sent cannot
be told from one that perhaps was."""

IDLE = 4.0
"""Seconds for which an idle connection is kept: below the 5 s after which Node, uvicorn and Apache close one, so that
it is not used in the moment in which they do."""

_HTTP2 = "h2"


class HttpSetupError(Exception):
    """No HTTP client can be made on this machine; the message says what to mend."""


class Origin(NamedTuple):
    """Whom a connection leads to. address: what is connected to; the host's, unless it was checked before."""

    scheme: str
    host: str
    port: int
    address: str


class SpeaksHttp2:
    """The server chose HTTP/2, for which a connection of this kind is of no use. Nothing was sent."""


def tls_context(trust: Sequence[bytes] = (), *, protocols: Sequence[str] = ()) -> ssl.SSLContext:
    """TLS 1.2 or later, certificates verified. trust: certificates (PEM) trusted beside the system's. protocols: what
    is offered by ALPN. Takes about 10 ms of CPU. Raises HttpSetupError where the system has no certificates."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    paths = ssl.get_default_verify_paths()
    if not context.cert_store_stats()["x509_ca"] and paths.capath is None:
        raise HttpSetupError(
            "The HTTP client cannot start: no certificates of certification authorities were found. "
            "Install the system's CA certificates (package ca-certificates), or name a bundle in SSL_CERT_FILE."
        )
    for certificate in trust:
        context.load_verify_locations(cadata=certificate.decode("ascii"))
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


class Dialler:
    """Sends each request over a connection of its own, taken from those that are kept or newly dialled.

    connect_timeout: seconds.
    """

    def __init__(self, tls: ssl.SSLContext, *, connect_timeout: float = CONNECT_TIMEOUT) -> None:
        self._tls = tls
        self._connect_timeout = connect_timeout
        self._idle: dict[Origin, deque[Connection]] = {}
        self._busy: set[Connection] = set()
        self._reaper: asyncio.TimerHandle | None = None
        self._closed = False

    async def send(
        self, origin: Origin, request: Request, url: Url
    ) -> Answer | Failure | SpeaksHttp2:
        """One call, to the request's URL as parsed."""
        data = compose(request, url)
        if data is None:
            return UNFIT
        loop = asyncio.get_running_loop()
        deadline = loop.time() + request.timeout
        connection = self._kept(origin, loop.time())
        if connection is None:
            dialled = await self._dial(origin, min(self._connect_timeout, request.timeout))
            if not isinstance(dialled, Connection):
                return dialled
            connection = dialled
        return await self._call(origin, connection, data, request, deadline)

    def close(self) -> None:
        """Calls in flight end as unknown."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        for connection in self._busy:
            connection.stop()
        for kept in self._idle.values():
            for connection in kept:
                connection.cut()
        self._idle.clear()

    async def _call(
        self, origin: Origin, connection: Connection, data: bytes, request: Request, deadline: float
    ) -> Answer | Failure:
        loop = asyncio.get_running_loop()
        self._busy.add(connection)
        try:
            return await connection.call(
                data, max(deadline - loop.time(), 0.001), bodyless=request.method == "HEAD"
            )
        finally:
            self._busy.discard(connection)
            if connection.open and not self._closed:
                self._keep(origin, connection, loop)

    def _kept(self, origin: Origin, now: float) -> Connection | None:
        """The one that was used last, so that those too many grow old."""
        kept = self._idle.get(origin)
        while kept:
            connection = kept.pop()
            if connection.open and now - connection.idle_since < IDLE:
                return connection
            connection.cut()
        return None

    def _keep(
        self, origin: Origin, connection: Connection, loop: asyncio.AbstractEventLoop
    ) -> None:
        connection.idle_since = loop.time()
        self._idle.setdefault(origin, deque()).append(connection)
        if self._reaper is None:
            self._reaper = loop.call_later(IDLE, self._reap)

    def _reap(self) -> None:
        """Close what has been idle for long; what is left is looked at again."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for origin, kept in list(self._idle.items()):
            while kept and (not kept[0].open or now - kept[0].idle_since >= IDLE):
                kept.popleft().cut()
            if not kept:
                del self._idle[origin]
        self._reaper = loop.call_later(IDLE, self._reap) if self._idle else None

    async def _dial(self, origin: Origin, seconds: float) -> Connection | Failure | SpeaksHttp2:
        secure = origin.scheme == "https"
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                transport, connection = await loop.create_connection(
                    Connection,
                    origin.address,
                    origin.port,
                    ssl=self._tls if secure else None,
                    server_hostname=origin.host if secure else None,
                )
        except (OSError, ValueError) as error:
            return _unconnected(error)
        tls = transport.get_extra_info("ssl_object") if secure else None
        if tls is not None and tls.selected_alpn_protocol() == _HTTP2:
            connection.cut()
            return SpeaksHttp2()
        return connection


def _unconnected(error: Exception) -> Failure:
    """Nothing was sent."""
    if isinstance(error, TimeoutError):
        return Transient(Reason.CONNECTION_FAILED, detail="time-out while connecting")
    if isinstance(error, ssl.SSLError):
        return Transient(Reason.TLS_FAILED)
    if isinstance(error, socket.gaierror):
        return Transient(Reason.CONNECTION_FAILED, detail="host not found")
    if isinstance(error, ValueError):  # a host name that no resolver takes
        return Permanent(Reason.ADDRESS_INVALID, detail="not a host name")
    return Transient(Reason.CONNECTION_FAILED)


@lru_cache(maxsize=1_024)
def origin_of(url: Url, address: str | None = None) -> Origin:
    """address: what is connected to instead of what the host name leads to."""
    host = (url.host_str or "").strip("[]")
    return Origin(url.scheme, host, url.port_or_known_default or 0, address or host)


def compose(request: Request, url: Url) -> bytes | None:
    """The request as it goes over the wire; None when a header cannot be sent as it is."""
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    lines.append(f"content-length: {len(request.body)}")
    fields = "\r\n".join(lines)
    breaks = len(lines) - 1
    if fields.count("\n") != breaks or fields.count("\r") != breaks or "\x00" in fields:
        return None
    try:
        return b"".join(
            (_opening(request.method, url), fields.encode("ascii"), b"\r\n\r\n", request.body)
        )
    except UnicodeEncodeError:
        return None


@lru_cache(maxsize=1_024)
def _opening(method: str, url: Url) -> bytes:
    """What is the same for each request to a URL. A parsed URL holds no line break and nothing but ASCII."""
    target = url.path if url.query_string is None else f"{url.path}?{url.query_string}"
    host = url.host_str if url.port is None else f"{url.host_str}:{url.port}"
    return (
        f"{method} {target} HTTP/1.1\r\nhost: {host}\r\nuser-agent: Tidings/{__version__}\r\n"
        "accept: */*\r\n"
    ).encode("ascii")
