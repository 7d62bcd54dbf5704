"""How fast each provider sends: one worker process, against stand-ins on loopback (benchmarks.vendors), beside webhooks in the
same run.

What is measured begins with the first call and ends with the last, as their attempts tell; how fast it was accepted, and how
long the worker took to start, is left out. CPU is the worker's. Where a machine's speed wanders, it is what to read.
"""

import asyncio
import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import asyncpg
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks import job
from benchmarks.certificate import CERTIFICATE
from benchmarks.fleet import Member
from benchmarks.processes import (
    ROOT,
    BenchmarkError,
    Child,
    call,
    cpu_seconds,
    environment,
)
from benchmarks.rig import Rig
from tidings.domain.channels import Channel
from tidings.providers.catalogue import MANIFESTS

LEAST, LEAST_IN_BATCHES = 0.6, 1.0
"""Of the rate of webhooks, for a provider over HTTP: by itself, and where it takes batches."""
LEAST_APNS = 2_000.0
"""Per second, over one connection."""
_AT_ONCE = 500
_READY = 2.5  # seconds, for a worker to start
_LIMIT = 120.0  # seconds for one provider
_LINE = "Order {{ order }} is on its way. {{ carrier }} brings it on {{ eta }}."
_CONTENT: Mapping[Channel, Any] = {
    Channel.EMAIL: job.TEMPLATE["content"]["email"],
    Channel.WEBHOOK: job.TEMPLATE["content"]["webhook"],
    Channel.SMS: {"body": _LINE},
    Channel.CHAT: {"body": _LINE},
    Channel.PUSH: {"title": "On its way", "body": _LINE, "url": "https://shop.example.com"},
}
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Speed:
    """rate: per second, from the first call to the last. cpu_us: of the worker, for each message. aim: of the rate of
    webhooks; zero for what is not over HTTP. connections: of HTTP/2."""

    provider: str
    rate: float
    cpu_us: float
    of_webhook: float
    of_webhook_cpu: float
    aim: float
    connections: int = 0

    @property
    def is_slow(self) -> bool:
        if self.connections and (self.connections > 1 or self.rate < LEAST_APNS):
            return True
        return self.of_webhook < self.aim


@dataclass(frozen=True)
class Ports:
    http: int
    smtp: int
    apns: int


def speeds(count: int, only: Sequence[str], progress: Progress) -> list[Speed]:
    """Of every provider that the sandbox has an account for; the webhooks first. Raises BenchmarkError."""
    measured: list[tuple[str, float, float, int]] = []
    with (
        tempfile.TemporaryDirectory(prefix="tidings-bench-") as made,
        _stand_ins(Path(made)) as ports,
    ):
        accounts = _accounts(Path(made), ports)
        chosen = [name for name in accounts if not only or name in only]
        for name in ["webhook", *(name for name in chosen if name != "webhook")]:
            rate, cpu = _apart(made, name, accounts[name], ports.http, count)
            connections = call(ports.http, "GET", "/_apns")[1]["connections"]
            measured.append((name, rate, cpu, connections if name == "apns" else 0))
            progress(f"{name:<10} {rate:>8,.0f}/s  {cpu:>6.0f} us")
    _, beside, beside_cpu, _ = measured[0]
    return [
        Speed(
            provider=name,
            rate=round(rate),
            cpu_us=round(cpu),
            of_webhook=round(rate / beside, 2),
            of_webhook_cpu=round(cpu / beside_cpu, 2),
            aim=_aim(name),
            connections=connections,
        )
        for name, rate, cpu, connections in measured
    ]


def document(found: Sequence[Speed]) -> dict[str, Any]:
    slow = [one.provider for one in found if one.is_slow]
    return {"providers": [asdict(one) for one in found], "slow": slow, "passed": not slow}


def _aim(name: str) -> float:
    if name == "smtp":
        return 0.0
    return LEAST_IN_BATCHES if MANIFESTS[name].batch_size > 1 else LEAST


@contextlib.contextmanager
def _stand_ins(directory: Path) -> Iterator[Ports]:
    """They run meanwhile."""
    command = [sys.executable, "-m", "benchmarks.vendors", str(directory)]
    child = Child(command, directory / "vendors.log", environment=environment(), pipe=True)
    try:
        assert child.popen.stdout is not None
        line = child.popen.stdout.readline()
        if not line:
            raise BenchmarkError(f"the stand-ins did not start: {child.last_words()}")
        yield Ports(**json.loads(line))
    finally:
        child.stop(grace=5)


def _accounts(directory: Path, ports: Ports) -> Mapping[str, Mapping[str, Any]]:
    """By provider: those of the sandbox, whose credentials are as good as any."""
    command = [sys.executable, "-m", "tidings", "sandbox", "--settings", "--callbacks", ""]
    command += ["--port", str(ports.http), "--smtp-port", str(ports.smtp)]
    settings = directory / "settings.toml"
    Child(command, settings, environment=environment()).popen.wait(60)
    accounts: dict[str, dict[str, Any]] = tomllib.loads(settings.read_text())["accounts"]
    accounts["apns"] |= {
        "endpoint": f"https://127.0.0.1:{ports.apns}",
        "ca_file": str(directory / CERTIFICATE),
    }
    return accounts


def _apart(
    directory: str, name: str, account: Mapping[str, Any], port: int, count: int
) -> tuple[float, float]:
    """In a process of its own: there can be one fleet in each."""
    errand = json.dumps([directory, name, account, port, count])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.providers"],
        input=errand,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(),
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"{name}: {done.stderr[-2_000:]}")
    rate, cpu = json.loads(done.stdout)
    return rate, cpu


def _one(
    directory: Path, name: str, account: Mapping[str, Any], port: int, count: int
) -> tuple[float, float]:
    """Rate, and microseconds of the worker for each message."""
    config = directory / f"{name}.toml"
    config.write_text(_toml(name, account))
    channel = MANIFESTS[name].channels[0]
    api, worker = Member("api", ("api",)), Member("worker", ("worker",))
    settings = {"TIDINGS_CONFIG": str(config)}
    if name == "webhook":  # the rig has an account for them itself, with another secret
        settings["TIDINGS_ACCOUNTS__HOOKS__SECRET"] = account["secret"][0]
    with Rig.made(settings) as rig, rig.running([api]) as fleet:
        template = {"id": job.TEMPLATE_ID, "content": {channel.value: _CONTENT[channel]}}
        status, answer = call(rig.port, "POST", "/templates", template, key=rig.key)
        if status != 201:
            raise BenchmarkError(f"POST /templates was answered with {status}: {answer}")
        fleet.add(worker)
        time.sleep(_READY)
        os.kill(worker.pid, signal.SIGSTOP)  # so that nothing is sent while the rest is accepted
        _accept(rig, channel, _addresses(name, account, port), count)
        before = cpu_seconds([worker.pid])
        os.kill(worker.pid, signal.SIGCONT)
        try:
            rig.await_empty(_LIMIT)
        except BenchmarkError:
            raise BenchmarkError(f"{name}: {asyncio.run(_reasons(rig.dsn))}") from None
        used = cpu_seconds([worker.pid]) - before
        sent, seconds = asyncio.run(_taken(rig.dsn))
    if sent != count:
        raise BenchmarkError(f"{name}: {sent} of {count} were taken")
    return sent / seconds, used / count * 1e6


def _toml(name: str, account: Mapping[str, Any]) -> str:
    """JSON's values are also TOML's."""
    if name == "webhook":
        return ""
    lines = [f"{field} = {json.dumps(value)}" for field, value in account.items()]
    return "\n".join([f"[accounts.{name}]", *lines]) + "\n"


def _addresses(name: str, account: Mapping[str, Any], port: int) -> Callable[[int], Any]:
    """port: the stand-ins'."""
    match MANIFESTS[name].channels[0]:
        case Channel.EMAIL:
            return lambda number: {"email": f"user{number}@example.com"}
        case Channel.SMS:
            return lambda number: {"phone": f"+1415{2_000_000 + number}"}
        case Channel.WEBHOOK:
            return lambda number: {"webhook_url": f"{account['url']}user{number}"}
        case Channel.PUSH if name == "webpush":
            keys = _browser()
            endpoint = f"http://127.0.0.1:{port}/webpush/user"
            return lambda number: {
                "push_tokens": [json.dumps({"endpoint": f"{endpoint}{number}", "keys": keys})]
            }
        case Channel.PUSH if name == "apns":
            return lambda number: {"push_tokens": [f"{number:064x}"]}
        case Channel.PUSH:
            return lambda number: {"push_tokens": [f"token-{number:08}:sandbox"]}
        case _:
            return lambda number: {"user_id": f"user{number}"}


def _browser() -> Mapping[str, str]:
    """The keys of a subscription (RFC 8291, 2)."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    made = {"p256dh": point, "auth": os.urandom(16)}
    return {name: base64.urlsafe_b64encode(value).decode() for name, value in made.items()}


def _accept(rig: Rig, channel: Channel, recipient: Callable[[int], Any], count: int) -> None:
    for first in range(0, count, _AT_ONCE):
        items = [
            {
                "template_id": job.TEMPLATE_ID,
                "recipient": recipient(number),
                "channel_preferences": [channel.value],
                "data": job.data("run", number, 0),
            }
            for number in range(first, min(first + _AT_ONCE, count))
        ]
        path = "/notifications/bulk"
        status, answer = call(rig.port, "POST", path, {"notifications": items}, key=rig.key)
        if status != 202 or answer["rejected"]:
            raise BenchmarkError(f"POST {path} was answered with {status}: {str(answer)[:500]}")


async def _reasons(dsn: str) -> dict[str, int]:
    """What became of them so far."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT concat_ws(' ', status, reason) AS what, count(*) FROM deliveries GROUP BY 1"
        )
    finally:
        await connection.close()
    return {row["what"]: row["count"] for row in rows}


async def _taken(dsn: str) -> tuple[int, float]:
    """How many were, and the seconds from the first call to the end of the last."""
    connection = await asyncpg.connect(dsn)
    try:
        row = await connection.fetchrow(
            """SELECT count(*) AS count, extract(epoch FROM max(finished_at) - min(started_at))::float8 AS seconds
               FROM attempts WHERE outcome = 'accepted'"""
        )
    finally:
        await connection.close()
    assert row is not None
    return row["count"], row["seconds"] or 1.0


if __name__ == "__main__":
    _directory, *_rest = json.load(sys.stdin)
    print(json.dumps(_one(Path(_directory), *_rest)))
