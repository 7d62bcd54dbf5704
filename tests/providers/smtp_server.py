"""Mail servers on real sockets: aiosmtpd for realistic behaviour, a scripted one for all else."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOST = "127.0.0.1"


@dataclass
class MailServer:
    """aiosmtpd, and what it took. `passwords`: who may sign in."""

    port: int = 0
    passwords: dict[bytes, bytes] = field(default_factory=dict)
    envelopes: list[Envelope] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    signed_in: list[bool] = field(default_factory=list)
    hello: list[str] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        self.encrypted.append(session.ssl is not None)
        self.signed_in.append(bool(session.authenticated))
        self.hello.append(str(session.host_name))
        return f"250 2.0.0 Ok: queued as {len(self.envelopes):08X}"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        # handled=False: the refusal is left to aiosmtpd to say.
        return AuthResult(success=self.passwords.get(data.login) == data.password, handled=False)


@contextlib.asynccontextmanager
async def mail_server(
    *,
    tls_first: ssl.SSLContext | None = None,
    passwords: Mapping[bytes, bytes] | None = None,
    **options: Any,
) -> AsyncIterator[MailServer]:
    """Run aiosmtpd with these options of its SMTP class."""
    taken = MailServer(passwords=dict(passwords or {}))
    loop = asyncio.get_running_loop()
    options["authenticator"] = taken.authenticate
    options["hostname"] = "mail.example.com"  # else it looks up this machine's
    server = await loop.create_server(
        lambda: SMTP(taken, loop=loop, **options), HOST, 0, ssl=tls_first
    )
    taken.port = server.sockets[0].getsockname()[1]
    try:
        yield taken
    finally:
        server.close()


class Odd(Enum):
    """What a server may do instead of answering."""

    CUT = auto()
    HANG = auto()


Answer = str | Odd

USUAL: Mapping[str, Answer] = {
    "CONNECT": "220 mail.example.com ESMTP",
    "HELO": "250 mail.example.com",
    "MAIL": "250 2.1.0 Ok",
    "RCPT": "250 2.1.5 Ok",
    "RSET": "250 2.0.0 Ok",
    "NOOP": "250 2.0.0 Ok",
    "DATA": "354 go ahead",
    "CONTENT": "250 2.0.0 Ok: queued as 4FzX5k1Qz",
    "QUIT": "221 2.0.0 Bye",
}


class ScriptedServer:
    """Answers each command as told.

    answers: by command (CONNECT and CONTENT beside the verbs); of a list, one each time, the last
    one ever after. hold: answers nothing between MAIL and DATA before DATA is there, as one who
    waits for a pipelining client.
    """

    def __init__(
        self,
        *,
        extensions: tuple[str, ...] = ("PIPELINING", "SIZE 1000000"),
        hold: bool = False,
        **answers: Answer | list[Answer],
    ) -> None:
        lines = ("mail.example.com", *extensions)
        ehlo = "\r\n".join(f"250-{line}" for line in lines[:-1]) + f"\r\n250 {lines[-1]}"
        script = {"EHLO": ehlo, **USUAL, **answers}
        self._answers = {
            name: list(given) if isinstance(given, list) else [given]
            for name, given in script.items()
        }
        self._hold = hold
        self.port = 0
        self.connections = 0
        self.commands: list[tuple[int, str]] = []
        self.contents: list[bytes] = []
        self._reached: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._talk(self.connections, reader, writer)
        finally:
            self._writers.discard(writer)
            self._reached["CLOSED"].set()
            writer.close()

    async def _talk(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        held: list[str] = []
        name = "CONNECT"
        while True:
            answer = self._next_answer(name)
            self._reached[name].set()
            if answer is Odd.CUT:
                return
            if answer is Odd.HANG:
                await reader.read()
                return
            assert isinstance(answer, str)
            held.append(answer + "\r\n")
            if not (self._hold and name in ("MAIL", "RCPT")):
                writer.write("".join(held).encode("latin-1"))
                held.clear()
            if name == "STARTTLS" and answer.startswith("220"):
                await reader.read(1)  # and then nobody speaks TLS
                return
            if name == "QUIT" or answer.startswith("421"):
                return
            if name == "DATA" and answer.startswith("354"):
                self.contents.append(await reader.readuntil(b"\r\n.\r\n"))
                name = "CONTENT"
                continue
            line = (await reader.readuntil(b"\r\n")).decode().removesuffix("\r\n")
            self.commands.append((number, line))
            name = line.partition(" ")[0].upper()

    def _next_answer(self, name: str) -> Answer:
        answers = self._answers.get(name, ["500 5.5.2 unknown command"])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def verbs(self, connection: int | None = None) -> list[str]:
        """The commands in order, without what follows them."""
        return [
            line.partition(" ")[0] for number, line in self.commands if connection in (None, number)
        ]

    def answer(self, name: str, *answers: Answer) -> None:
        """Change what this command is answered from now on."""
        self._answers[name] = list(answers)

    async def reached(self, name: str) -> None:
        """Wait until this command was read (CONTENT: to its end); CLOSED: until a client is gone."""
        async with asyncio.timeout(10):
            await self._reached[name].wait()

    def say(self, line: str) -> None:
        """Tell every client something that it did not ask for."""
        for writer in self._writers:
            writer.write(f"{line}\r\n".encode())

    def cut_all(self) -> None:
        """End every connection now, as a server that is stopped."""
        for writer in self._writers:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def scripted_server(
    *, tls_first: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[ScriptedServer]:
    script = ScriptedServer(**options)
    server = await asyncio.start_server(script.serve, HOST, 0, ssl=tls_first)
    script.port = server.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        server.close()
        script.cut_all()


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test authority")])
        certificate = (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = directory / "authority.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server_context(self, address: str = HOST) -> ssl.SSLContext:
        """For a server whose certificate names this IP address."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        certificate = (
            self._builder(x509.Name([]), key)
            .add_extension(names, critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        file = self._directory / f"server-{address}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        return context

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(issuer, critical=False)
        )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
