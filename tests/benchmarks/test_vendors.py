"""The stand-ins by which providers are measured: each answers so that its message counts as taken, and connections are counted."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.certificate import CERTIFICATE
from benchmarks.providers import Ports, Speed

from tests.providers.vendor_answers import APNS, APNS_DEVICE, POSTMARK, SES, SNS
from tests.providers.vendors import account, email, no_store, push, sms
from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome
from tidings.providers import catalogue
from tidings.providers.http import Answer, Request
from tidings.providers.http_client import HttpClient

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[Ports]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.vendors", str(tmp_path)],
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


async def sent(
    name: str, endpoint: str, messages: list[Message], **values: str
) -> tuple[list[Outcome], HttpClient]:
    http = HttpClient()
    vendor = {"apns": APNS, "postmark": POSTMARK, "ses": SES, "sns": SNS}[name]
    _, mine = account(name, endpoint, 10.0, **{**vendor.values_at(endpoint), **values})
    made = catalogue.Ports(http, http, no_store, no_store, trusting=http.trusting)
    provider = catalogue.provider_of(mine, made)
    first = await provider.send(messages[:1])
    if name == "ses":  # the rest in one call
        return [*first, *await provider.send(messages[1:])], http
    outcomes = await asyncio.gather(*(provider.send([one]) for one in messages[1:]))
    return [*first, *(one for [one] in outcomes)], http


@pytest.mark.parametrize(
    ("name", "messages"),
    [("ses", [email(), email(1), email(2)]), ("sns", [sms()]), ("postmark", [email()])],
)
def test_what_comes_is_taken(ports: Ports, name: str, messages: list[Message]) -> None:
    async def run() -> list[Outcome]:
        outcomes, http = await sent(name, f"http://127.0.0.1:{ports.http}/{name}", messages)
        await http.close()
        return outcomes

    outcomes = asyncio.run(run())
    assert len(outcomes) == len(messages)
    assert all(isinstance(one, Accepted) for one in outcomes)


def test_connections_of_http_2_are_counted(ports: Ports, tmp_path: Path) -> None:
    async def run() -> tuple[list[Outcome], Answer]:
        messages = [push(APNS_DEVICE, number) for number in range(50)]
        endpoint = f"https://127.0.0.1:{ports.apns}"
        outcomes, http = await sent("apns", endpoint, messages, ca_file=str(tmp_path / CERTIFICATE))
        url = f"http://127.0.0.1:{ports.http}/_apns"
        answer = await http.send(Request("GET", url, {}, b"", 10.0))
        await http.close()
        assert isinstance(answer, Answer)
        return outcomes, answer

    outcomes, answer = asyncio.run(run())
    assert all(isinstance(one, Accepted) for one in outcomes)
    assert json.loads(answer.body) == {"connections": 1, "requests": 50}


@pytest.mark.parametrize(
    ("speed", "slow"),
    [
        (Speed("sns", 3000, 300, 0.6, 1.5, 0.6), False),
        (Speed("sns", 3000, 300, 0.59, 1.5, 0.6), True),
        (Speed("apns", 2000, 300, 0.7, 1.5, 0.6, connections=1), False),
        (Speed("apns", 1999, 300, 0.7, 1.5, 0.6, connections=1), True),
        (Speed("apns", 9000, 300, 0.9, 1.5, 0.6, connections=2), True),
        (Speed("smtp", 900, 300, 0.2, 5.0, 0.0), False),
    ],
)
def test_what_counts_as_slow(speed: Speed, slow: bool) -> None:
    assert speed.is_slow is slow
