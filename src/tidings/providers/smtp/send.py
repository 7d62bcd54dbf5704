"""Email through a mail server."""

import asyncio
import re
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

from tidings.domain.messages import EmailContent, Message
from tidings.domain.outcomes import Outcome, Permanent
from tidings.domain.provider import Account, ProviderCheckError
from tidings.domain.reasons import Reason
from tidings.providers.letters import check_attachments, checked_headers
from tidings.providers.mailbox import AddressError, Mailbox, parse_mailbox, wire_address
from tidings.providers.mime import Composer
from tidings.providers.smtp.connect import NotConnected, Server, connect
from tidings.providers.smtp.connections import Connections
from tidings.providers.smtp.manifest import MANIFEST
from tidings.providers.smtp.replies import MalformedReply
from tidings.providers.smtp.series import Series
from tidings.providers.smtp.session import ConnectionLost, Session
from tidings.providers.smtp.transaction import Transaction
from tidings.settings import SettingsError

# Keeps out-of-office programs from answering a machine (RFC 3834, 5).
_HEADERS: Mapping[str, str] = MappingProxyType({"Auto-Submitted": "auto-generated"})

_HOST = re.compile(r"[!-~\u00a0-\U0010ffff]+")
_HELLO = re.compile(r"[!-~]*")


class SmtpProvider:
    """An SMTP account in use.

    Raises SettingsError where a value cannot be used: host, hello, from, ca_file, or a username without
    a password.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._sender = _sender(account)
        self._composer = Composer(self._sender, _HEADERS)
        self._server = _server(account)
        self._connections = Connections(
            self._connect, limit=int(account.number("connections")), idle=account.number("idle")
        )

    @property
    def account(self) -> Account:
        return self._account

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Send each message in a transaction of its own.

        They share the connections that are free: side by side while there are some, one behind the
        other, and pipelined, when the account is busy.
        """
        if len(messages) == 1:
            return await self._send(messages)
        fewest = -(-len(messages) // MANIFEST.batch_size)
        lanes = min(len(messages), max(fewest, self._connections.free // 2))
        parts = [messages[lane::lanes] for lane in range(lanes)]
        outcomes = await asyncio.gather(*map(self._send, parts))
        return [outcomes[number % lanes][number // lanes] for number in range(len(messages))]

    async def close(self) -> None:
        await self._connections.close()

    async def check(self) -> str:
        """Connect, say hello, sign in and NOOP, over a connection of its own."""
        where = f"{self._server.host}:{self._server.port}"
        try:
            async with asyncio.timeout(self._account.timeout):
                session = await self._connect()
                try:
                    answer = await session.command(b"NOOP\r\n")
                finally:
                    session.quit()
        except TimeoutError:
            raise ProviderCheckError(
                f"{where} did not answer within {self._account.timeout:g} s: check host, port, "
                "security and the firewall"
            ) from None
        except NotConnected as error:
            raise ProviderCheckError(str(error)) from None
        except (ConnectionLost, MalformedReply):
            raise ProviderCheckError(f"{where} broke the connection off after sign-in") from None
        if not answer.positive:
            raise ProviderCheckError(f"{where} answered {answer.codes} to NOOP")
        return ", ".join(
            (
                f"{where} answers",
                session.tls_version() or "no encryption",
                "signed in" if self._server.username else "no sign-in",
            )
        )

    async def _connect(self) -> Session:
        return await connect(self._server)

    async def _send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Over one connection, one after the other; within the account's time-out, all in all."""
        series = Series(self._connections)
        outcomes = [self._prepare(message) for message in messages]
        transactions = [one for one in outcomes if isinstance(one, Transaction)]
        try:
            async with asyncio.timeout(self._account.timeout):
                await series.run(transactions)
        except TimeoutError:
            series.end(lambda transaction: transaction.timed_out())
        except NotConnected as error:
            failure = error.outcome
            series.end(lambda _: failure)
        return [series.outcomes[one] if isinstance(one, Transaction) else one for one in outcomes]

    def _prepare(self, message: Message) -> "Transaction | Permanent":
        try:
            return self._transaction(message)
        except AddressError as error:
            return Permanent(Reason.ADDRESS_INVALID, detail=str(error))
        except ValueError as error:
            return Permanent(Reason.CONTENT_REJECTED, detail=str(error))

    def _transaction(self, message: Message) -> Transaction:
        content = message.content
        if not isinstance(content, EmailContent):
            raise TypeError(f"smtp sends email, not {type(content).__name__}")
        checked_headers(content.headers)
        check_attachments(content.attachments)
        recipient, copies = Mailbox("", wire_address(message.address)), _copies(content)
        sender = parse_mailbox(content.sender) if content.sender else self._sender
        message_id = f"{message.delivery_id}@{sender.domain}"
        data = self._composer.compose(
            content, recipient=recipient, message_id=message_id, date=datetime.now(UTC)
        )
        return Transaction(sender.address, recipient.address, data, message_id, copies)


def _copies(content: EmailContent) -> Sequence[str]:
    """Addresses for the envelope. Raises ValueError for one that is none: the recipient's is not to blame."""
    if not (content.cc or content.bcc):
        return ()
    try:
        return [parse_mailbox(one).address for one in (*content.cc, *content.bcc)]
    except AddressError as error:
        raise ValueError(f"cc or bcc: {error}") from None


def _sender(account: Account) -> Mailbox:
    try:
        return parse_mailbox(account.text("from"))
    except AddressError as error:
        raise SettingsError(
            f"accounts.{account.name}.from: {error}; it should look like Shop <shop@example.com>"
        ) from None


def _server(account: Account) -> Server:
    for name, allowed in (("host", _HOST), ("hello", _HELLO)):
        if not allowed.fullmatch(account.text(name)):
            raise SettingsError(f"accounts.{account.name}.{name}: not a host name")
    username, password = account.text("username"), account.text("password")
    if bool(username) != bool(password):
        raise SettingsError(f"accounts.{account.name}: username and password go together")
    security = account.text("security")
    return Server(
        host=account.text("host"),
        port=int(account.number("port")),
        tls=None if security == "none" else _tls(account),
        tls_first=security == "tls",
        username=username,
        password=password,
        hello=account.text("hello"),
    )


def _tls(account: Account) -> ssl.SSLContext:
    """Verification of certificate and host name is on, and cannot be turned off."""
    ca_file = account.text("ca_file")
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise SettingsError(
            f"accounts.{account.name}.ca_file: {ca_file} cannot be used: {error.strerror or error}"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
