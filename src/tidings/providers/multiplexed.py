"""HTTP/2, by pyreqwest: many calls over one connection, and what each of its failures means for a message.

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

from collections.abc import Sequence
from datetime import timedelta

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
from tidings.domain.outcomes import Transient, Unknown
from tidings.domain.reasons import Reason
from tidings.providers.dialling import HttpSetupError
from tidings.providers.http import BODY_LIMIT, UNFIT, Answer, Failure, Request

_UNSENT = frozenset({"client error (Connect)", "client error (Canceled)"})


def new_client(*, connect_timeout: float, idle: float, trust: Sequence[bytes] = ()) -> Client:
    """A client with a pool of its own. connect_timeout, idle: seconds.

    Takes about 5 ms of CPU, most of it to read the system's certificates, without holding the
    interpreter's lock. Raises HttpSetupError.
    """
    builder = (
        ClientBuilder()
        .no_proxy()
        .follow_redirects(False)
        .min_tls_version("TLSv1.2")
        .connect_timeout(timedelta(seconds=connect_timeout))
        .pool_idle_timeout(timedelta(seconds=idle))
        .user_agent(f"Tidings/{__version__}")
        .http2(True)
        .http1_lower_case_headers()
        # An answer is small; a compressed one could be a bomb, or break and hide the status.
        .gzip(False)
        .brotli(False)
        .zstd(False)
        .deflate(False)
    )
    for certificate in trust:
        builder = builder.add_root_certificate_pem(certificate)
    try:
        return builder.build()
    except BuilderError as error:
        raise HttpSetupError(
            "The HTTP client cannot start: "
            + "; ".join(_causes(error))
            + ". Install the system's CA certificates (package ca-certificates), "
            "or name a bundle in SSL_CERT_FILE."
        ) from None


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
        return UNFIT
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
