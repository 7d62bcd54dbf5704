"""Opening a session: connect, hello, TLS and sign-in by aiosmtplib, then its transport taken over.

aiosmtplib waits for each reply of a message before it sends the next command, and its sending path
costs several times what a message needs. So it does what is intricate and rare, and the messages go
through Session. The hand-over uses public interfaces alone: `SMTP.transport` and asyncio's
`set_protocol`. When sign-in is over no reply is outstanding, so nothing is lost between the two.
"""

import asyncio
import socket
import ssl
from dataclasses import dataclass, field
from typing import cast

import aiosmtplib

from tidings.domain.outcomes import Transient
from tidings.domain.reasons import Reason
from tidings.providers.smtp import verdicts
from tidings.providers.smtp.replies import Reply
from tidings.providers.smtp.session import Extensions, Session
from tidings.providers.smtp.verdicts import Stage


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect and how. tls: None for no encryption. tls_first: TLS from the start, without
    STARTTLS. username: empty for no sign-in. hello: empty for this machine's name or address."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    tls_first: bool
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    hello: str = ""


class NotConnected(Exception):
    """There is no session; nothing was sent. Its text, for people, says what to look at."""

    def __init__(self, outcome: Transient, advice: str) -> None:
        super().__init__(advice)
        self.outcome = outcome


async def connect(server: Server) -> Session:
    """Open a session. Raises NotConnected. Limits no time: the caller does."""
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        # Not said to anyone: hello() below says the name. Without it, aiosmtplib would look up this
        # machine's name in DNS for every connection.
        local_hostname="localhost",
        timeout=None,
        use_tls=server.tls_first,
        start_tls=False,
        tls_context=server.tls,
    )
    stage = Stage.CONNECT
    try:
        await client.connect()
        await _hello(client, server)
        if server.tls is not None and not server.tls_first:
            stage = Stage.STARTTLS
            await _start_tls(client, server)
        if server.username:
            stage = Stage.AUTH
            await client.login(server.username, server.password)
        return _take_over(client)
    except BaseException as error:
        client.close()
        if isinstance(error, OSError | aiosmtplib.SMTPException | UnicodeError):
            # "from None": an error's text may repeat what the server said, and that an address.
            raise _explain(error, stage, server) from None
        raise


async def _hello(client: aiosmtplib.SMTP, server: Server) -> None:
    """EHLO, or HELO for servers that do not know it (RFC 5321, 3.2)."""
    name = server.hello or _own_name(client)
    try:
        await client.ehlo(hostname=name)
    except aiosmtplib.SMTPHeloError:
        if not client.is_connected:
            raise
        await client.helo(hostname=name)


def _own_name(client: aiosmtplib.SMTP) -> str:
    """This machine's full name, or its address where it has none (RFC 5321, 4.1.3 and 4.1.4)."""
    name = socket.gethostname()
    if "." in name and name.isascii():
        return name
    address = client.get_transport_info("sockname")[0]
    return f"[IPv6:{address.partition('%')[0]}]" if ":" in address else f"[{address}]"


async def _start_tls(client: aiosmtplib.SMTP, server: Server) -> None:
    """STARTTLS, which must be on offer: going on without it would send everything in the clear."""
    if not client.supports_extension("starttls"):
        raise NotConnected(
            Transient(Reason.TLS_FAILED, detail="STARTTLS is not offered"),
            f"{server.host}:{server.port} does not offer STARTTLS: set security to tls if the server "
            "speaks TLS from the start (port 465), or to none only if you trust the network",
        )
    await client.starttls()
    await _hello(client, server)


def _take_over(client: aiosmtplib.SMTP) -> Session:
    transport = client.transport
    if transport is None or transport.is_closing():
        raise aiosmtplib.SMTPServerDisconnected("closed after sign-in")
    offered = Extensions.read(client.esmtp_extensions)
    session = Session(cast("asyncio.Transport", transport), offered)
    transport.set_protocol(session)
    return session


def _explain(error: Exception, stage: Stage, server: Server) -> NotConnected:
    """What a failed step means for a message, and what a person should look at."""
    where = f"{server.host}:{server.port}"
    # aiosmtplib wraps what the operating system or the TLS library said.
    match error.__cause__ if isinstance(error, aiosmtplib.SMTPConnectError) else None, error:
        case (ssl.SSLError() as tls, _) | (_, ssl.SSLError() as tls):
            return _explain_tls(tls, where)
        case _, aiosmtplib.SMTPResponseException() as refusal:
            return _explain_reply(refusal, stage, where)
        case (socket.gaierror(), _) | (_, UnicodeError()):
            return NotConnected(
                Transient(Reason.CONNECTION_FAILED, detail="host name not found"),
                f"the name {server.host} was not found: check host",
            )
        case _, OSError() if stage is Stage.STARTTLS:
            return NotConnected(
                Transient(Reason.TLS_FAILED, detail="connection lost at STARTTLS"),
                f"{where} closed the connection during the TLS handshake",
            )
        case cause, OSError():
            fact = type(cause or error).__name__
            return NotConnected(
                Transient(Reason.CONNECTION_FAILED, detail=f"{fact} at {stage}"),
                f"no connection to {where} ({fact}): check host, port, security and the firewall",
            )
        case _:
            # What is left of aiosmtplib's errors is that AUTH, or every known kind of it, is missing.
            return NotConnected(
                Transient(Reason.CREDENTIALS_REFUSED, detail="no common AUTH method"),
                f"{where} offers no way to sign in that is known here: check security and port, or "
                "leave username out",
            )


def _explain_tls(error: ssl.SSLError, where: str) -> NotConnected:
    fact = error.reason or "handshake failed"
    what = getattr(error, "verify_message", "") or fact
    return NotConnected(
        Transient(Reason.TLS_FAILED, detail=fact),
        f"TLS with {where} failed ({what}): check host, port, security and ca_file",
    )


def _explain_reply(
    refusal: aiosmtplib.SMTPResponseException, stage: Stage, where: str
) -> NotConnected:
    if not 400 <= refusal.code <= 599:
        return NotConnected(
            Transient(Reason.MALFORMED_ANSWER, detail=f"malformed reply at {stage}"),
            f"{where} does not answer as a mail server does: check host, port and security",
        )
    reply = Reply(refusal.code, refusal.message)
    advice = {
        Stage.AUTH: "check username and password",
        Stage.STARTTLS: "its TLS does not work at present",
    }.get(stage, "it does not take mail from here at present")
    return NotConnected(
        verdicts.refused_setup(stage, reply), f"{where} answered {reply.codes} at {stage}: {advice}"
    )
