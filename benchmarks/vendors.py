"""Every vendor's stand-in for speed: takes whatever comes, and answers as the vendor documents. One process, loopback only.

`python -m benchmarks.vendors DIRECTORY` prints {"http": port, "smtp": port, "apns": port} and runs until its standard input
closes. Nothing is checked, for that is what `tidings sandbox` is for, and takes most of a core. Apple's stand-in speaks
HTTP/2 over TLS, with a certificate that it writes to DIRECTORY; `GET /_apns` tells how many connections it had, and how
many requests.
"""

import asyncio
import os
import ssl
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import orjson
import uvloop

from benchmarks.certificate import CERTIFICATE, KEY, write_certificate
from benchmarks.sink import HttpConnection, Sink, SmtpConnection

_JSON = "content-type: application/json"


def _answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    head = "\r\n".join((f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}"))
    return head.encode() + b"\r\n\r\n" + body


def _json(said: object, status: str = "200 OK") -> bytes:
    return _answer(status, orjson.dumps(said), _JSON)


ANSWERS: dict[bytes, bytes] = {
    b"webhook": _json({"ok": True}),
    b"sendgrid": _answer("202 Accepted", b"", "x-message-id: 14c5d75ce93.dfd.64b469"),
    b"mailgun": _json(
        {"id": "<20260101120000.1.ABCD@mg.example.com>", "message": "Queued. Thank you."}
    ),
    b"ses": _json({"MessageId": "0102018f-aaaa-000000"}),
    b"resend": _json({"id": "49a3999c-0ce1-4ea6-ab68-afcd6dc2e794"}),
    b"twilio": _json(
        {"sid": "SM" + "a" * 32, "status": "queued", "num_segments": "1"}, "201 Created"
    ),
    b"vonage": _json(
        {"message-count": "1", "messages": [{"status": "0", "message-id": "0A0000000123ABCD1"}]}
    ),
    b"sns": _answer(
        "200 OK",
        b'<PublishResponse xmlns="https://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
        b"<MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult><ResponseMetadata>"
        b"<RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId></ResponseMetadata></PublishResponse>",
        "content-type: text/xml",
    ),
    b"fcm": _json({"name": "projects/tidings-sandbox/messages/0:1767268800%1"}),
    b"webpush": _answer("201 Created", b"", "location: https://push.example.net/message/qDIYHNcf"),
    b"slack": _answer("200 OK", b"ok", "content-type: text/html"),
    b"discord": _json({"id": "1300000000000000000", "type": 0, "content": "…"}),
    b"teams": _answer("202 Accepted"),
    b"telegram": _json({"ok": True, "result": {"message_id": 42, "date": 1767225600}}),
}
"""By the first part of the path."""

_TOKEN = _json({"access_token": "ya29.sink", "expires_in": 3599, "token_type": "Bearer"})
_SIGN_IN = b"/fcm/token"
_BULK = b"/outbound-bulk-emails"
_NOT_FOUND = _answer("404 Not Found")


def _each_taken(body: bytes) -> bytes:
    """Postmark answers for each message."""
    one = {"ErrorCode": 0, "Message": "OK", "MessageID": "b7bc2f4a-e38e-4336-af7d-000000000000"}
    return _json([one] * len(orjson.loads(body)))


def _each_accepted(body: bytes) -> bytes:
    """Amazon SES answers for each entry of a bulk call."""
    one = {"Status": "SUCCESS", "MessageId": "0102018f-aaaa-000000"}
    return _json({"BulkEmailEntryResults": [one] * len(orjson.loads(body)["BulkEmailEntries"])})


class VendorConnection(HttpConnection):
    def __init__(self, sink: Sink, apple: "Apple") -> None:
        super().__init__(sink)
        self._apple = apple

    def _take(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1]
        vendor = path.split(b"/", 2)[1]
        if path == _SIGN_IN:
            self.answer(_TOKEN)
        elif vendor == b"postmark":
            self.answer(_each_taken(body))
        elif path.endswith(_BULK):
            self.answer(_each_accepted(body))
        else:
            self.answer(ANSWERS.get(vendor, _NOT_FOUND))

    def _control(self, head: bytes) -> None:
        if head.split(b" ", 2)[1] == b"/_apns":
            said = {"connections": self._apple.connections, "requests": self._apple.requests}
            self.transport.write(_json(said))
        else:
            super()._control(head)


# RFC 9113, 3.4, 4.1, 6 and 7
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME = struct.Struct(">HBBBI")
_HEAD = _FRAME.size
_DATA, _HEADERS, _SETTINGS, _PING, _WINDOW_UPDATE = 0x0, 0x1, 0x4, 0x6, 0x8
_END_STREAM, _END_HEADERS, _ACK = 0x1, 0x4, 0x1
_MAX_CONCURRENT_STREAMS = 0x3
_STREAMS = 1000
"""At once over one connection; Apple's own number."""
_WINDOW = 2**20
_STATUS_200 = b"\x88"  # HPACK's static table (RFC 7541, A), entry 8


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return _FRAME.pack(len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


class Apple:
    """What its connections have in common: how many there were, and requests of all."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests = 0


class AppleConnection(asyncio.Protocol):
    """HTTP/2 by its frames alone: each request that ends is answered with 200 and nothing more, as Apple does. Its headers
    are not read."""

    def __init__(self, apple: Apple) -> None:
        self._apple = apple
        self._rest = b""
        self._begun = False
        self._window = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        streams = struct.pack(">HI", _MAX_CONCURRENT_STREAMS, _STREAMS)
        self._transport.write(_frame(_SETTINGS, 0, 0, streams) + self._opened(_WINDOW))

    def data_received(self, data: bytes) -> None:
        received = self._rest + data
        at = 0
        if not self._begun:
            if len(received) < len(_PREFACE):
                self._rest = received
                return
            if not received.startswith(_PREFACE):
                self._transport.abort()
                return
            self._begun, at = True, len(_PREFACE)
            self._apple.connections += 1
        answers = []
        while len(received) - at >= _HEAD:
            high, low, kind, flags, stream = _FRAME.unpack_from(received, at)
            length = high << 8 | low
            end = at + _HEAD + length
            if len(received) < end:
                break
            answers.append(self._answer(kind, flags, stream, received[at + _HEAD : end]))
            at = end
        self._rest = received[at:]
        self._transport.write(b"".join(answers))

    def _answer(self, kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        if kind in (_DATA, _HEADERS):
            opened = self._took(len(payload)) if kind == _DATA else b""
            if not flags & _END_STREAM:
                return opened
            self._apple.requests += 1
            return opened + _frame(_HEADERS, _END_STREAM | _END_HEADERS, stream, _STATUS_200)
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            return _frame(kind, _ACK, 0, payload if kind == _PING else b"")
        return b""

    def _took(self, length: int) -> bytes:
        """The connection's window is opened again before it is used up."""
        self._window += length
        if self._window < _WINDOW // 2:
            return b""
        used, self._window = self._window, 0
        return self._opened(used)

    def _opened(self, by: int) -> bytes:
        return _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", by))


def _apple_tls(directory: Path) -> ssl.SSLContext:
    write_certificate(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / CERTIFICATE, directory / KEY)
    context.set_alpn_protocols(["h2"])
    return context


async def serve(directory: Path) -> None:
    """Listen on free ports, print them, and run until standard input closes."""
    loop = asyncio.get_running_loop()
    sink, apple = Sink(), Apple()
    made: dict[str, tuple[Callable[[], asyncio.Protocol], ssl.SSLContext | None]] = {
        "http": (lambda: VendorConnection(sink, apple), None),
        "smtp": (lambda: SmtpConnection(sink), None),
        "apns": (lambda: AppleConnection(apple), _apple_tls(directory)),
    }
    servers = {
        name: await loop.create_server(protocol, "127.0.0.1", 0, backlog=1024, ssl=tls)
        for name, (protocol, tls) in made.items()
    }
    ports = {name: one.sockets[0].getsockname()[1] for name, one in servers.items()}
    print(orjson.dumps(ports).decode(), flush=True)
    orphaned = asyncio.Event()

    def read_on() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            orphaned.set()

    loop.add_reader(sys.stdin.fileno(), read_on)
    await orphaned.wait()
    for server in servers.values():
        server.close()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
