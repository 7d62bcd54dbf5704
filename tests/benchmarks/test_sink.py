"""The sink counts what it is sent: a benchmark is worth no more than its counter."""

import contextlib
import http.client
import json
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from benchmarks import arrivals, job

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ports:
    http: int
    smtp: int

    def ask(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.status == 200
            return json.loads(answer.read())


@pytest.fixture
def sink() -> Iterator[Ports]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sink"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    with process:
        try:
            yield Ports(**json.loads(process.stdout.readline()))
            process.stdin.close()
            assert process.wait(10) == 0  # it ends by itself when whoever started it is gone
        finally:
            process.kill()


def microseconds() -> int:
    return time.time_ns() // 1000


def event(reference: str, asked: int) -> bytes:
    data = {"subject": "with a [fake:1] mark", "ref": reference, "t": str(asked)}
    return json.dumps(
        {"type": job.EVENT, "timestamp": "2026-01-01T00:00:00Z", "data": data}
    ).encode()


def request(body: bytes, message_id: str) -> bytes:
    head = f"POST /hook HTTP/1.1\r\nHost: x\r\nWebhook-Id: {message_id}\r\nCONTENT-LENGTH: {len(body)}\r\n\r\n"
    return head.encode() + body


def read_answers(connection: socket.socket, count: int) -> bytes:
    received = b""
    while received.count(b'{"ok":true}') < count:
        chunk = connection.recv(4096)
        assert chunk, f"closed after {received!r}"
        received += chunk
    return received


def message(reference: str, asked: int, text: str = "Hello") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"] = "shop@example.com", "someone@example.com"
    mail["Subject"] = f"Order B-1 has shipped [{reference}:{asked}]"
    mail["Message-ID"] = f"<{reference}@shop.example.com>"
    mail.set_content(text)
    mail.add_alternative(f"<p>{text}</p>", subtype="html")
    return mail


def test_webhooks_are_counted_once_however_they_are_cut(sink: Ports) -> None:
    sink.ask("/_reset?run=a")
    stream = b"".join(request(event(f"a-{i}", microseconds()), f"msg_{i}") for i in range(20))
    with socket.create_connection(("127.0.0.1", sink.http)) as connection:
        for start in range(0, len(stream), 37):
            connection.sendall(stream[start : start + 37])
        read_answers(connection, 20)
        connection.sendall(stream)  # and all at once, pipelined, for the second time
        read_answers(connection, 20)
    seen = sink.ask("/_stats")
    assert (seen["total"], seen["unique"], seen["doubled"]) == (40, 20, 20)
    assert (seen["foreign"], seen["unmarked"], seen["message_ids"]) == (0, 0, 20)
    assert sink.ask("/_count") == {"unique": 20}


def test_one_request_accepted_twice_shows_two_message_ids(sink: Ports) -> None:
    sink.ask("/_reset?run=a")
    with socket.create_connection(("127.0.0.1", sink.http)) as connection:
        connection.sendall(request(event("a-1", microseconds()), "one"))
        connection.sendall(request(event("a-1", microseconds()), "two"))
        read_answers(connection, 2)
    seen = sink.ask("/_stats")
    assert (seen["unique"], seen["doubled"], seen["message_ids"]) == (1, 1, 2)


def test_what_belongs_to_another_run_or_to_none_is_told_apart(sink: Ports) -> None:
    sink.ask("/_reset?run=r1")
    with socket.create_connection(("127.0.0.1", sink.http)) as connection:
        for body in (
            event("r1-1", microseconds()),
            event("r10-1", microseconds()),
            b"[]",
            b"no JSON",
        ):
            connection.sendall(request(body, "x"))
        read_answers(connection, 4)
    seen = sink.ask("/_stats")
    assert (seen["total"], seen["unique"], seen["foreign"], seen["unmarked"]) == (4, 1, 1, 2)


def test_mail_is_counted_by_its_subject(sink: Ports) -> None:
    sink.ask("/_reset?run=a")
    with smtplib.SMTP("127.0.0.1", sink.smtp) as client:
        for reference in ("a-1", "a-2", "a-2"):
            # A line that begins with a dot, and a body that is encoded, must not matter.
            client.send_message(message(reference, microseconds(), ".\n..\nZoë\n"))
    seen = sink.ask("/_stats")
    assert (seen["total"], seen["unique"], seen["doubled"], seen["message_ids"]) == (3, 2, 1, 2)
    assert seen["unmarked"] == 0


def test_pipelined_mail_is_answered_in_order(sink: Ports) -> None:
    sink.ask("/_reset?run=a&latency_ms=20")
    content = message("a-1", microseconds()).as_bytes().replace(b"\n", b"\r\n")
    commands = b"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"
    stream = (
        commands + content + b".\r\n" + b"RSET\r\nMAIL FROM:<a@example.com>\r\nnonsense\r\nQUIT\r\n"
    )
    with socket.create_connection(("127.0.0.1", sink.smtp)) as connection:
        connection.sendall(stream)
        answer = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
    codes = [line[:3] for line in answer.splitlines() if line[3] == " "]
    assert codes == ["220", "250", "250", "250", "354", "250", "250", "250", "502", "221"]
    assert "250-PIPELINING" in answer
    assert sink.ask("/_stats")["unique"] == 1


def test_an_empty_mail_ends(sink: Ports) -> None:
    with socket.create_connection(("127.0.0.1", sink.smtp)) as connection:
        connection.sendall(b"MAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n.\r\nQUIT\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.endswith(b"221 2.0.0 bye\r\n")
    assert sink.ask("/_stats")["unmarked"] == 1


def test_latency_is_measured_from_the_first_arrival(sink: Ports) -> None:
    sink.ask("/_reset?run=a")
    with socket.create_connection(("127.0.0.1", sink.http)) as connection:
        for age in (5_000_000, 90_000_000):  # the second is a double, so its age does not count
            connection.sendall(request(event("a-1", microseconds() - age), "x"))
        read_answers(connection, 2)
    assert 5_000 <= sink.ask("/_stats")["max_ms"] < 90_000


def test_an_answer_waits_for_the_latency_asked_for(sink: Ports) -> None:
    sink.ask("/_reset?run=a&latency_ms=200")
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", sink.http)) as connection:
        connection.sendall(request(event("a-1", microseconds()), "x"))
        read_answers(connection, 1)
    assert time.monotonic() - started >= 0.19
    sink.ask("/_reset")
    assert sink.ask("/_stats")["total"] == 0


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert arrivals.percentile_ms([], 0.5) is None
    assert arrivals.percentile_ms([1000, 2000, 3000, 4000], 0.5) == 2
    assert arrivals.percentile_ms(list(range(1000, 101_000, 1000)), 0.99) == 99
    assert arrivals.percentile_ms([1000, 9000], 1.0) == 9
