"""The HTTP client that providers share, and what each of its failures means for a message.

What pyreqwest 0.15 raises was found by experiment with real sockets; its classes cannot be trusted to
tell "not sent" from "perhaps sent". A slow answer raises ConnectTimeoutError, and a connection that is
cut after the request was read raises ConnectError, as if they had failed to connect. Reliable is the
chain of causes, where hyper says at which stage the call ended:

    stage in the causes          what happened                                      sent?
    client error (Connect)       refused, DNS, TLS, time-out while connecting       surely not
    client error (Canceled)      hyper took the request back from a dead connection surely not
    client error (SendRequest)   cut, or an unreadable answer                       perhaps
    none                         the time-out of the whole call                     perhaps

A kept connection that the server closed is found dead before use, or hyper hands the request back and
dials anew, as long as no byte of it was written. After that the request is never sent a second time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    BuilderError,
    ClientClosedError,
    DecodeError,
    DetailedPyreqwestError,
    PyreqwestError,
    RequestTimeoutError,
)
from pyreqwest.http import Url
from pyreqwest.response import Response

from tidings import __version__
from tidings.domain.outcomes import Permanent, Transient, Unknown
from tidings.domain.reasons import Reason

BODY_LIMIT = 64 * 1024
"""Bytes of an answer that are read; a longer one is cut there, and its connection closed."""

CONNECT_TIMEOUT = 4.0
"""Seconds for TCP and TLS. Below the time-out of a call, else a call that surely was not sent cannot
be told from one that perhaps was."""

# Below the 5 s after which Node, uvicorn and Apache close an idle connection, so that it is not used
# in the moment in which they do.
_IDLE = timedelta(seconds=4)
_LONGEST_RETRY_AFTER = 3600.0
_UNSENT = frozenset({"client error (Connect)", "client error (Canceled)"})

Failure = Transient | Permanent | Unknown


class HttpSetupError(Exception):
    """No HTTP client can be made on this machine; the message says what to mend."""


@dataclass(frozen=True, slots=True)
class Request:
    """timeout: seconds for the whole call, the answer's body included."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    timeout: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered. body: at most BODY_LIMIT bytes; complete: they are all that it sent."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    complete: bool = True

    def header(self, name: str) -> str:
        """A header's first value; empty when it is missing or is not text."""
        try:
            return self.headers.get(name, "")
        except ValueError:  # pyreqwest's map, for a value that is not visible ASCII
            return ""


class Http(Protocol):
    """Something that makes HTTP requests. A failure is a value, and nothing is ever sent twice."""

    async def send(self, request: Request) -> Answer | Failure: ...

    async def close(self) -> None: ...


class HttpClient:
    """Calls servers that the operator configured: no outbound guard. Redirects are not followed.

    connect_timeout: seconds. trust: certificates (PEM) trusted beside those of the system.
    Raises HttpSetupError.
    """

    def __init__(
        self, *, connect_timeout: float = CONNECT_TIMEOUT, trust: Sequence[bytes] = ()
    ) -> None:
        self._client = new_client(connect_timeout=connect_timeout, trust=trust)

    async def send(self, request: Request) -> Answer | Failure:
        url = parse_url(request.url)
        return await exchange(self._client, request, url) if isinstance(url, Url) else url

    async def close(self) -> None:
        await self._client.close()


def new_client(
    *, connect_timeout: float, trust: Sequence[bytes] = (), pin: tuple[str, str] | None = None
) -> Client:
    """A client with a pool of its own. pin: a host, and the address to connect to for it.

    Takes about 5 ms of CPU, most of it to read the system's certificates, without holding the
    interpreter's lock. Raises HttpSetupError.
    """
    builder = (
        ClientBuilder()
        .no_proxy()
        .follow_redirects(False)
        .min_tls_version("TLSv1.2")
        .connect_timeout(timedelta(seconds=connect_timeout))
        .pool_idle_timeout(_IDLE)
        .user_agent(f"Tidings/{__version__}")
        .http1_lower_case_headers()
        # An answer is small; a compressed one could be a bomb, or break and hide the status.
        .gzip(False)
        .brotli(False)
        .zstd(False)
        .deflate(False)
    )
    for certificate in trust:
        builder = builder.add_root_certificate_pem(certificate)
    if pin is not None:
        host, address = pin
        builder = builder.resolve(host, address, 0)  # 0: the port of the URL
    try:
        return builder.build()
    except BuilderError as error:
        raise HttpSetupError(
            "The HTTP client cannot start: "
            + "; ".join(_causes(error))
            + ". Install the system's CA certificates (package ca-certificates), "
            "or name a bundle in SSL_CERT_FILE."
        ) from None


def parse_url(url: str) -> Url | Permanent:
    """The URL as the client itself reads it, so that a check and the call cannot differ."""
    try:
        target = Url(url)
    except ValueError:
        return Permanent(Reason.ADDRESS_INVALID, detail="not a URL")
    if target.scheme not in {"http", "https"} or target.host_str is None:
        return Permanent(Reason.ADDRESS_INVALID, detail="not an http or https URL")
    return target


async def exchange(client: Client, request: Request, url: Url) -> Answer | Failure:
    """One call, to the request's URL as parsed. Once a status is known it is reported, whatever
    becomes of the body."""
    try:
        call = (
            client.request(request.method, url)
            .headers(request.headers)
            .body_bytes(request.body)
            .timeout(timedelta(seconds=request.timeout))
            # With a buffer, the call would wait for the body, and a broken body would hide the status.
            .streamed_read_buffer_limit(0)
            .build_streamed()
        )
        async with call as response:
            content, complete = await _read(response)
            return Answer(response.status, response.headers, content, complete)
    except PyreqwestError as error:
        return failure(error, https=url.scheme == "https")


async def _read(response: Response) -> tuple[bytes, bool]:
    """The body up to the limit. It has to be read to its end for the connection to be used again."""
    expected = response.headers.get("content-length", "")
    if expected == "0":
        return b"", True
    content = b""
    try:
        while len(content) < BODY_LIMIT:
            chunk = await response.body_reader.read(BODY_LIMIT - len(content))
            if chunk is None:
                return content, True
            content += bytes(chunk)
            if str(len(content)) == expected:
                return content, True
    except PyreqwestError:
        return content, False
    return content, False


def failure(error: PyreqwestError, *, https: bool) -> Failure:
    """What an exception of the client means. Its text is not used: it holds the URL."""
    if isinstance(error, BuilderError):
        return Permanent(Reason.ADDRESS_INVALID, detail="not a request that can be made")
    causes = _causes(error)
    if not _UNSENT.isdisjoint(causes):
        return _unsent(error, causes, https=https)
    if isinstance(error, RequestTimeoutError):
        return Unknown(Reason.TIMED_OUT)
    if isinstance(error, DecodeError):
        return Unknown(Reason.MALFORMED_ANSWER)
    if isinstance(error, ClientClosedError):
        return Unknown(Reason.CONNECTION_LOST, detail="stopped by Tidings")
    return Unknown(Reason.CONNECTION_LOST)


def _unsent(error: PyreqwestError, causes: list[str], *, https: bool) -> Transient:
    if isinstance(error, RequestTimeoutError):
        return Transient(Reason.CONNECTION_FAILED, detail="time-out while connecting")
    if "dns error" in causes:
        return Transient(Reason.CONNECTION_FAILED, detail="host not found")
    # What is not a socket's error on the way to an https server is the handshake's.
    if https and not any("(os error" in cause for cause in causes):
        return Transient(Reason.TLS_FAILED)
    return Transient(Reason.CONNECTION_FAILED)


def _causes(error: PyreqwestError) -> list[str]:
    if not isinstance(error, DetailedPyreqwestError):
        return []
    return [cause["message"] for cause in error.details.get("causes") or ()]


def retry_after(answer: Answer, now: float) -> float | None:
    """Seconds that the server asks to wait, at most an hour; None when it does not, or unreadably.

    Both forms of RFC 9110, 10.2.3: seconds, and a date. now: seconds since the epoch.
    """
    value = answer.header("retry-after").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), _LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:  # "-0000": UTC, as RFC 5322 has it
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp() - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)
