"""Receive webhooks and verify their signatures: WEBHOOK_SECRET=whsec_… python examples/verify_webhook.py [PORT]

Everything that a receiver of Standard Webhooks has to do, with the standard library alone: verify the
signature over the raw body, refuse what is old, answer quickly, and handle each event once.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

TOLERANCE = 300
"""Seconds that a timestamp may differ from our clock: older calls may have been recorded and replayed."""

LARGEST = 1_000_000
"""Bytes of a body at the most."""


class NotVerifiedError(Exception):
    """The call is not from who holds the secret, or is too old."""


class Headers(Protocol):
    """Any mapping whose names do not care about case, or are in lower case."""

    def get(self, name: str, otherwise: str, /) -> str: ...


def verify(secret: str, headers: Headers, body: bytes, now: float) -> None:
    """body: as it came, before any parsing. now: seconds since the epoch. Raises NotVerifiedError."""
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(now - int(timestamp)) > TOLERANCE:
        raise NotVerifiedError("the timestamp is missing or too far from now")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.digest(key, signed, "sha256"))
    # Several signatures, one for each secret, while the sender replaces one by another.
    for given in headers.get("webhook-signature", "").split():
        version, _, signature = given.partition(",")
        if version == "v1" and hmac.compare_digest(signature.encode(), expected):
            return
    raise NotVerifiedError("no signature is right")


class Receiver(ThreadingHTTPServer):
    """Listens on a loopback port. events: what was handled, by webhook-id; in real life, a table with
    that id as its primary key, written in the same transaction as what the event causes."""

    daemon_threads = True

    def __init__(self, port: int, secret: str) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.secret = secret
        self.events: dict[str, Any] = {}

    def status(self, path: str, message_id: str) -> int:
        """What to answer to a verified call: any 2xx is "I have it"."""
        return 204

    def handle_event(self, message_id: str, event: Any) -> None:
        """Called once for each event."""
        self.events[message_id] = event


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open
    server: Receiver

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        if length > LARGEST:
            self.close_connection = True
            self._answer(413)
            return
        body = self.rfile.read(length)
        try:
            verify(self.server.secret, self.headers, body, time.time())
        except NotVerifiedError as error:
            print(f"refused: {error}", file=sys.stderr, flush=True)
            self._answer(401)
            return
        message_id = self.headers["webhook-id"]
        status = self.server.status(self.path, message_id)
        # The same event may come again, when an answer of ours was lost: it is the same webhook-id.
        if status < 300 and message_id not in self.server.events:
            self.server.handle_event(message_id, json.loads(body))
        self._answer(status)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        if status == 503:
            self.send_header("retry-after", "1")  # seconds; who sends webhooks waits that long
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the events are what is worth printing."""


class _Printing(Receiver):
    def handle_event(self, message_id: str, event: Any) -> None:
        super().handle_event(message_id, event)
        print(f"verified {event['type']}: {json.dumps(event['data'])}", flush=True)


if __name__ == "__main__":
    receiver = _Printing(int(sys.argv[1]) if sys.argv[1:] else 8090, os.environ["WEBHOOK_SECRET"])
    print(f"Listening on http://127.0.0.1:{receiver.server_port}; Ctrl+C stops it.", flush=True)
    try:
        receiver.serve_forever()
    except KeyboardInterrupt:
        receiver.server_close()
