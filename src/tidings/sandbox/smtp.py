"""A mail server: PIPELINING as far as its library goes, AUTH for whoever wants it, and recipients with a fate."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tidings.domain.channels import Channel
from tidings.sandbox.credentials import credential
from tidings.sandbox.desk import PATIENCE, Desk, Refused
from tidings.sandbox.faults import Mishap
from tidings.sandbox.magic import Fate, fate_of_address
from tidings.sandbox.mails import SENDER, content_of
from tidings.sandbox.messages import Sent
from tidings.sandbox.vendor import Place

NAME = "smtp"
USER, PASSWORD = "sandbox", credential(NAME)
_LARGEST = 40 * 2**20

_THROTTLED = "450 4.7.1 Too many messages, slow down"
_FAILED = "451 4.3.0 Internal error, try again later"
_REFUSED: Mapping[Fate, str] = {
    Fate.INVALID: "550 5.1.1 No such user here",
    Fate.SUPPRESSED: "550 5.7.1 The recipient does not want mail of yours",
}


class _Handler:
    """For aiosmtpd, which calls handle_ and the name of a command."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refusal = _REFUSED.get(fate_of_address(address))
        if refusal is None:
            envelope.rcpt_tos.append(address)
        return refusal or "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        mishap = await self._desk.mishap(NAME)
        if mishap is Mishap.ERROR:
            return _FAILED
        if mishap is Mishap.THROTTLED:
            return _THROTTLED
        if mishap is Mishap.CUT:
            _cut(server)
            return _FAILED
        answer = await self._take(envelope)
        if mishap is Mishap.LOST:
            _cut(server)
        return answer

    async def _take(self, envelope: Envelope) -> str:
        sent = _sent(envelope)
        try:
            self._desk.take([sent])
        except Refused as refused:
            if refused.fate is Fate.TIMEOUT:
                await asyncio.sleep(PATIENCE)
            return _THROTTLED if refused.fate is Fate.THROTTLE else _FAILED
        return f"250 2.0.0 OK queued as {sent.message_id}"


def _cut(server: SMTP) -> None:
    transport = server.transport
    assert isinstance(transport, asyncio.WriteTransport)
    transport.abort()


def _sent(envelope: Envelope) -> Sent:
    raw = envelope.content
    assert isinstance(raw, bytes)
    recipients = tuple(envelope.rcpt_tos)
    return Sent(
        vendor=NAME,
        channel=Channel.EMAIL,
        sender=envelope.mail_from or "",
        recipients=recipients,
        message_id=secrets.token_hex(8),
        source=raw,
        read=partial(content_of, raw),
        fates=tuple(map(fate_of_address, recipients)),
    )


def _authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any
) -> AuthResult:
    right = isinstance(given, LoginPassword) and (given.login, given.password) == (
        USER.encode(),
        PASSWORD.encode(),
    )
    return AuthResult(success=right, handled=False)


def account(place: Place) -> Mapping[str, Any]:
    host = place.url.partition("://")[2].rpartition(":")[0]
    return {"host": host, "port": place.ports[NAME], "security": "none", "from": SENDER}


@contextlib.asynccontextmanager
async def serving(desk: Desk, host: str, port: int) -> AsyncIterator[int]:
    """Listens meanwhile; the port. Raises OSError when it is taken."""
    loop = asyncio.get_running_loop()

    def connected() -> SMTP:
        return SMTP(
            _Handler(desk),
            hostname="sandbox",
            ident="Tidings sandbox",
            data_size_limit=_LARGEST,
            enable_SMTPUTF8=True,
            auth_require_tls=False,
            authenticator=_authenticate,
            loop=loop,
        )

    server = await loop.create_server(connected, host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
