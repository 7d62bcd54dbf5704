"""Receipts: how many a second are verified, stored and read, in batches as SendGrid sends them and one by one; and what a burst
of them costs while messages are being sent.

What is counted ends when the last receipt has moved its delivery, not when its callback is answered. All is signed before it
begins: that is the vendor's work.
"""

import asyncio
import base64
import contextlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import uuid4

import orjson
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.database import Database
from benchmarks.fleet import Member
from benchmarks.processes import ROOT, BenchmarkError, environment, wait_until
from benchmarks.rig import Rig
from benchmarks.sink_process import SinkProcess
from benchmarks.work import Work

LEAST = 5_000
"""Receipts a second."""
MOST_LOSS = 0.30
"""Of the rate of sending, while a burst is absorbed."""
_BATCH = 100
"""Events of one callback; SendGrid sends up to about a thousand."""
_CONNECTIONS = 16
_CAMPAIGN = 200_000
"""Messages that wait to be sent, so that sending goes on until the burst is over."""
_LIMIT = 120.0  # seconds
_WARM = 4.0  # seconds of sending before it is measured
_ALONE = 5.0  # seconds of sending that the burst is compared with

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """batched, single: receipts a second, by callbacks of many events and of one. sending, sending_meanwhile: messages a
    second before the burst and during it. burst: receipts of it, and seconds until the last had moved its delivery."""

    batched: float
    single: float
    sending: float
    sending_meanwhile: float
    burst: int
    burst_seconds: float

    @property
    def loss(self) -> float:
        return round(1 - self.sending_meanwhile / self.sending, 3)

    def document(self) -> dict[str, Any]:
        passed = self.batched >= LEAST and self.loss < MOST_LOSS
        return {**asdict(self), "loss": self.loss, "passed": passed}


def receipts(count: int, burst: int, progress: Progress) -> Found:
    """count: receipts of each measurement. Raises BenchmarkError."""
    key = generate_private_key(SECP256R1())
    with (
        Rig.made(_settings(key)) as rig,
        rig.sink() as sink,
        rig.running([Member("api", ("api",))]) as fleet,
    ):
        rig.template()
        _sent(rig, sink, "warm", 1_000)
        _absorbed(rig, key, _sent_ids(rig), _BATCH)
        batched = _measured(rig, sink, key, "batched", count, _BATCH)
        progress(f"in batches of {_BATCH}: {batched:,.0f} receipts/s")
        single = _measured(rig, sink, key, "single", count, 1)
        progress(f"one by one: {single:,.0f} receipts/s")
        _sent(rig, sink, "burst", burst)
        told = _sent_ids(rig)
        rig.ask(Work("campaign", "webhook", _CAMPAIGN, "bulk"), sink)
        fleet.add(Member("worker", ("worker",)))
        alone, meanwhile, seconds = _beside(rig, key, told)
    progress(
        f"sending {alone:,.0f}/s alone, {meanwhile:,.0f}/s during the burst of {seconds:.1f} s"
    )
    return Found(batched, single, alone, meanwhile, burst, seconds)


def _settings(key: EllipticCurvePrivateKey) -> dict[str, str]:
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "TIDINGS_ACCOUNTS__MAIL__PROVIDER": "sendgrid",
        "TIDINGS_ACCOUNTS__MAIL__API_KEY": "SG.key",
        "TIDINGS_ACCOUNTS__MAIL__FROM": "shop@example.com",
        "TIDINGS_ACCOUNTS__MAIL__WEBHOOK_KEYS": json.dumps([base64.b64encode(public).decode()]),
    }


def _measured(
    rig: Rig, sink: SinkProcess, key: EllipticCurvePrivateKey, name: str, count: int, batch: int
) -> float:
    _sent(rig, sink, name, count)
    return round(count / _absorbed(rig, key, _sent_ids(rig), batch), 1)


def _sent(rig: Rig, sink: SinkProcess, name: str, count: int) -> None:
    """So many messages that the vendor took, and says nothing of yet: as a worker would leave them, in one statement."""
    rig.ask(Work(name, "email", count, "bulk"), sink)
    with contextlib.closing(Database(rig.dsn)) as database:
        database.execute("DELETE FROM queue")
        database.execute(
            """UPDATE deliveries SET status = 'sent', reason = 'provider_accepted', account = 'mail', attempts = 1,
                 sent_at = now() WHERE status = 'pending'"""
        )


def _sent_ids(rig: Rig) -> list[str]:
    with contextlib.closing(Database(rig.dsn)) as database:
        return list(
            database.row(
                "SELECT array_agg(id::text) FROM deliveries WHERE status = 'sent' AND channel = 'email'"
            )[0]
        )


def _absorbed(
    rig: Rig, key: EllipticCurvePrivateKey, delivery_ids: Sequence[str], batch: int
) -> float:
    """Seconds from the first callback until the last receipt has moved its delivery."""
    with _calling(rig, key, delivery_ids, batch) as go:
        began = time.monotonic()
        go()
        _await_landed(rig)
        return time.monotonic() - began


def _beside(
    rig: Rig, key: EllipticCurvePrivateKey, delivery_ids: Sequence[str]
) -> tuple[float, float, float]:
    """Messages a second before the burst and during it, and how long that took."""
    with (
        _calling(rig, key, delivery_ids, _BATCH) as go,
        contextlib.closing(Database(rig.dsn)) as database,
    ):
        time.sleep(_WARM)
        first, began = _called(database), time.monotonic()
        time.sleep(_ALONE)
        second, burst = _called(database), time.monotonic()
        go()
        _await_landed(rig)
        third, end = _called(database), time.monotonic()
        if database.row("SELECT NOT EXISTS (SELECT FROM queue)")[0]:
            raise BenchmarkError("everything was sent before the burst was absorbed")
    alone, meanwhile = (second - first) / (burst - began), (third - second) / (end - burst)
    return round(alone, 1), round(meanwhile, 1), round(end - burst, 2)


def _called(database: Database) -> int:
    found: int = database.row("SELECT count(*) FROM attempts")[0]
    return found


def _await_landed(rig: Rig) -> None:
    with contextlib.closing(Database(rig.dsn)) as database:
        wait_until(
            lambda: database.row(
                """SELECT NOT EXISTS (SELECT FROM callbacks)
                     AND NOT EXISTS (SELECT FROM deliveries WHERE channel = 'email' AND status = 'sent')"""
            )[0],
            "the receipts",
            limit=_LIMIT,
        )


@contextlib.contextmanager
def _calling(
    rig: Rig, key: EllipticCurvePrivateKey, delivery_ids: Sequence[str], batch: int
) -> Iterator[Callable[[], None]]:
    """A vendor in a process of its own, ready to call; it begins when the result is called, and must have been answered
    with 200 each time."""
    shuffled = random.sample(list(delivery_ids), len(delivery_ids))
    calls = [
        _call(rig.port, key, shuffled[first : first + batch])
        for first in range(0, len(shuffled), batch)
    ]
    process = subprocess.Popen(
        (sys.executable, "-m", "benchmarks.receipts", str(rig.port)),
        env=environment(),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        for one in calls:
            process.stdin.write(len(one).to_bytes(4, "big") + one)
        process.stdin.write(bytes(4))
        process.stdin.flush()
        if process.stdout.readline() != b"ready\n":
            raise BenchmarkError("the vendor did not start")

        def go() -> None:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()

        try:
            yield go
            refused = int(process.stdout.readline())
            if refused:
                raise BenchmarkError(
                    f"{refused} of {len(calls)} callbacks were not answered with 200"
                )
        finally:
            process.kill()


def _call(port: int, key: EllipticCurvePrivateKey, delivery_ids: Sequence[str]) -> bytes:
    """A whole request, signed."""
    timestamp = str(int(time.time()))
    body = orjson.dumps(
        [
            {
                "event": "delivered",
                "timestamp": int(timestamp),
                "sg_event_id": uuid4().hex,
                "sg_message_id": f"{uuid4().hex}.recvd-0",
                "smtp-id": f"<{uuid4().hex}@shop.example.com>",
                "response": "250 OK",
                "delivery_id": one,
            }
            for one in delivery_ids
        ]
    )
    signature = base64.b64encode(key.sign(timestamp.encode() + body, ECDSA(SHA256()))).decode()
    head = (
        f"POST /callbacks/sendgrid/mail HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nx-twilio-email-event-webhook-signature: {signature}\r\n"
        f"x-twilio-email-event-webhook-timestamp: {timestamp}\r\n\r\n"
    )
    return head.encode() + body


async def _vendor(port: int) -> None:
    """Reads requests, waits for the word, sends them over a few connections, and prints how many were refused."""
    given = sys.stdin.buffer
    requests = []
    while size := int.from_bytes(given.read(4), "big"):
        requests.append(given.read(size))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(given.readline)
    left = iter(requests)
    found = await asyncio.gather(*(_connection(port, left) for _ in range(_CONNECTIONS)))
    sys.stdout.write(f"{sum(found)}\n")
    sys.stdout.flush()


async def _connection(port: int, left: Iterator[bytes]) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    refused = 0
    for request in left:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        refused += b" 200 " not in head.split(b"\r\n", 1)[0]
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await reader.readexactly(int(line.partition(b":")[2]))
    writer.close()
    return refused


if __name__ == "__main__":
    asyncio.run(_vendor(int(sys.argv[1])))
