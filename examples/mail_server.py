"""A mail server that keeps what it is sent, to see what arrives: python -m examples.mail_server [PORT]

It speaks SMTP (RFC 5321) as real servers do, with PIPELINING, 8BITMIME and SMTPUTF8, delivers nothing,
and needs only the standard library.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

_EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "SIZE 10485760")


@dataclass(frozen=True)
class Mail:
    """sender, recipients: of the envelope. content: as it came, without the dots that SMTP adds."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        """The message as a mail program reads it."""
        parsed = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    def part(self, subtype: str) -> str:
        """The text of the part text/plain or text/html; empty where there is none."""
        found = self.message.get_body((subtype,))
        return "" if found is None else str(found.get_content())


class MailServer:
    """Listens on a loopback port; `mails` is what came, in order."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator["MailServer"]:
        """port: 0 for any that is free."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    def take(self, mail: Mail) -> None:
        """Called for each message, before it is acknowledged."""
        self.mails.append(mail)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(b"220 localhost ready\r\n")
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender, recipients = "", list[str]()
        while line := (await reader.readline()).decode().strip():
            verb = line.split(" ")[0].split(":")[0].upper()
            answer = "250 2.0.0 OK"
            if verb == "EHLO":
                lines = ("localhost", *_EXTENSIONS)
                writer.writelines(f"250-{one}\r\n".encode() for one in lines[:-1])
                answer = f"250 {lines[-1]}"
            elif verb == "MAIL":
                sender, recipients = _address(line), []
            elif verb == "RCPT":
                recipients.append(_address(line))
            elif verb == "DATA":
                writer.write(b"354 Go ahead\r\n")
                self.take(Mail(sender, tuple(recipients), await _content(reader)))
                answer = f"250 2.0.0 OK queued as demo-{len(self.mails)}"
            elif verb == "QUIT":
                writer.write(b"221 2.0.0 Bye\r\n")
                return
            elif verb not in {"HELO", "RSET", "NOOP"}:
                answer = "502 5.5.1 Not known here"
            writer.write(f"{answer}\r\n".encode())
            await writer.drain()


def _address(line: str) -> str:
    """What is between the angle brackets of MAIL FROM:<…> or RCPT TO:<…>."""
    return line.partition("<")[2].partition(">")[0]


async def _content(reader: asyncio.StreamReader) -> bytes:
    """Up to the line that is a single dot; a dot more at a line's start is taken away (RFC 5321, 4.5.2)."""
    lines = []
    while (line := await reader.readuntil(b"\n")) != b".\r\n":
        lines.append(line[1:] if line.startswith(b".") else line)
    return b"".join(lines)


class _Printing(MailServer):
    def take(self, mail: Mail) -> None:
        super().take(mail)
        print(f"--- from {mail.sender} to {', '.join(mail.recipients)}: {mail.message['Subject']}")
        print(mail.part("plain") or mail.part("html"), flush=True)


async def _main(port: int) -> None:
    async with _Printing().running(port) as server:
        print(f"Listening on 127.0.0.1:{server.port}; Ctrl+C stops it.", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(int(sys.argv[1]) if sys.argv[1:] else 2525))
