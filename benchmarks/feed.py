"""Feeds that are watched: how long an entry takes to those who watch, with thousands of open connections in one process;
and whether anything is lost or doubled while connections come and go and a process is killed."""

import asyncio
import contextlib
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pyreqwest.client import Client, ClientBuilder

from benchmarks.database import Database
from benchmarks.fleet import Fleet, Member
from benchmarks.processes import ROOT, BenchmarkError, call, environment, memory, wait_until
from benchmarks.rig import Rig
from benchmarks.watchers import Job

LIMIT_MS = 250.0
_CLIENTS = 2  # processes of watchers
_FEW = 40  # users whose watchers come and go
_KILLS = 3
_SETTINGS = {
    "TIDINGS_API__PROCESSES": "2",  # they share the port; only one runs at first
    "TIDINGS_INBOX__CONNECTIONS": "20000",
}
_TEMPLATE = {"id": "feed", "content": {"in_app": {"title": "Benchmark", "body": "{{ text }}"}}}
_CHANGES = ("seen", "read")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """Milliseconds from the request that publishes to the client, over all those connections. lost, doubled: entries,
    of any watcher; gaps: numbers that did not follow; wrong: feeds whose counters are not those of their entries."""

    connections: int
    rate: float
    published: int
    p50_ms: float
    p99_ms: float
    longest_ms: float
    kib_per_connection: float
    reconnects: int
    kills: int
    lost: int
    doubled: int
    gaps: int
    wrong: int

    @property
    def faults(self) -> list[str]:
        found = [
            f"{count} {what}"
            for what, count in (
                ("entries were lost", self.lost),
                ("entries came twice", self.doubled),
                ("numbers did not follow the one before", self.gaps),
                ("feeds had wrong counters", self.wrong),
            )
            if count
        ]
        if self.p99_ms > LIMIT_MS:
            found.append(f"p99 is above {LIMIT_MS:g} ms")
        return found

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "faults": self.faults, "passed": not self.faults}


def feed(
    connections: int, rate: float, seconds: float, reconnects: int, progress: Progress
) -> Found:
    """Raises BenchmarkError."""
    api, worker = Member("api-1", ("api",)), Member("worker", ("worker",))
    with Rig.made(_SETTINGS) as rig, rig.running([api, worker]) as fleet:
        status, answer = call(rig.port, "POST", "/templates", _TEMPLATE, key=rig.key)
        if status != 201:
            raise BenchmarkError(f"POST /templates was answered with {status}: {answer}")
        held = _Phase(rig, "hold", [f"held{number:05d}" for number in range(connections)])
        before = memory([api.pid]).rss
        with held.watched(0):
            progress(f"{connections:,} connections are open")
            kib = (memory([api.pid]).rss - before) * 1024 / connections
            held.publish(rate, seconds)
        progress(f"{held.published:,} were published, and arrived")
        few = _Phase(rig, "return", [f"few{number:03d}" for number in range(_FEW)])
        kills = _come_and_go(rig, fleet, few, reconnects)
        progress(f"{few.connections:,} connections came and went")
        return _found(held, few, connections, rate, kib, kills)


def _come_and_go(rig: Rig, fleet: Fleet, few: "_Phase", reconnects: int) -> int:
    """With a second API process, which is killed now and then."""
    other = Member("api-2", ("api",))
    fleet.add(other)
    wait_until(lambda: other.alive, "the second API", limit=30)
    with few.watched(-(-reconnects // _FEW)):
        for _ in range(_KILLS):
            few.publish(50, 4, changing=True)
            other.kill()
    return other.killed


def _found(
    held: "_Phase", few: "_Phase", connections: int, rate: float, kib: float, kills: int
) -> Found:
    latencies = sorted(1000 * one for one in held.seconds)
    if not latencies:
        raise BenchmarkError("nothing arrived")
    both = (held, few)
    return Found(
        connections=connections,
        rate=rate,
        published=held.published,
        p50_ms=round(latencies[len(latencies) // 2], 1),
        p99_ms=round(latencies[int(len(latencies) * 0.99)], 1),
        longest_ms=round(latencies[-1], 1),
        kib_per_connection=round(kib, 1),
        reconnects=few.connections,
        kills=kills,
        lost=sum(one.lost for one in both),
        doubled=sum(one.doubled for one in both),
        gaps=sum(one.gaps for one in both),
        wrong=sum(one.wrong for one in both),
    )


class _Phase:
    """Watchers of these users, and what is published to them."""

    def __init__(self, rig: Rig, kind: str, users: Sequence[str]) -> None:
        self.seconds: list[float] = []
        self.connections = self.lost = self.doubled = self.gaps = self.wrong = 0
        self._rig = rig
        self._kind = kind
        self._users = users
        self._sent: dict[str, set[str]] = {user: set() for user in users}
        self._dice = random.Random(kind)

    @property
    def published(self) -> int:
        return sum(map(len, self._sent.values()))

    @contextlib.contextmanager
    def watched(self, reconnects: int) -> Iterator[None]:
        """Watch; in the end wait until all has arrived, and look what they saw."""
        with contextlib.ExitStack() as stack:
            processes = [
                stack.enter_context(self._watchers(self._users[number::_CLIENTS], reconnects))
                for number in range(_CLIENTS)
            ]
            yield
            self._rig.await_empty(limit=60)
            with contextlib.closing(Database(self._rig.dsn)) as database:
                last = {
                    one["user_id"]: one["last"]
                    for one in database.rows("SELECT user_id, last FROM feeds")
                }
                for process in processes:
                    assert process.stdin is not None
                    process.stdin.write(json.dumps(last) + "\n")
                    process.stdin.close()
                for process in processes:
                    assert process.stdout is not None
                    self._judge(json.loads(process.stdout.readline()), database)

    @contextlib.contextmanager
    def _watchers(self, users: Sequence[str], reconnects: int) -> Iterator["subprocess.Popen[str]"]:
        job = Job(self._kind, self._rig.port, self._rig.key, list(users), reconnects=reconnects)
        process = subprocess.Popen(
            (sys.executable, "-m", "benchmarks.watchers"),
            env=environment(),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(json.dumps(asdict(job)) + "\n")
                process.stdin.flush()
                if process.stdout.readline() != "ready\n":
                    raise BenchmarkError("the watchers did not get ready")
                yield process
            finally:
                process.kill()

    def publish(self, rate: float, seconds: float, *, changing: bool = False) -> None:
        """At this rate, for so long. changing: the users also read what they have, now and then."""
        asyncio.run(self._publish(rate, round(rate * seconds), changing))

    async def _publish(self, rate: float, count: int, changing: bool) -> None:
        client = ClientBuilder().no_proxy().build()
        begun = time.monotonic()
        async with client, asyncio.TaskGroup() as tasks:
            for number in range(count):
                await asyncio.sleep(begun + number / rate - time.monotonic())
                user = self._dice.choice(self._users)
                tasks.create_task(self._send(client, user, number))
                if changing and self._dice.random() < 0.3:
                    tasks.create_task(
                        self._post(client, f"/users/{user}/inbox/{self._dice.choice(_CHANGES)}", {})
                    )

    async def _send(self, client: Client, user: str, number: int) -> None:
        text = f"{time.time():.6f} {number}"
        self._sent[user].add(text)
        body = {
            "template_id": "feed",
            "recipient": {"user_id": user},
            "data": {"text": text},
            "channel_preferences": ["in_app"],
        }
        await self._post(client, "/notifications/send", body)

    async def _post(self, client: Client, path: str, body: dict[str, Any]) -> None:
        """Again, when the process that was asked is killed; what was sent twice so is the same notification."""
        key = f"{path} {json.dumps(body)} {random.random()}"
        url = f"http://127.0.0.1:{self._rig.port}{path}"
        for _ in range(20):
            request = (
                client.post(url)
                .bearer_auth(self._rig.key)
                .header("Idempotency-Key", str(hash(key)))
            )
            try:
                answer = await request.body_json(body).build().send()
            except Exception:
                await asyncio.sleep(0.1)
                continue
            if answer.status in {200, 202}:
                return
        raise BenchmarkError(f"POST {path} was not answered")

    def _judge(self, seen: dict[str, Any], database: Database) -> None:
        self.seconds += seen["seconds"]
        self.connections += seen["connections"]
        self.gaps += seen["gaps"] + seen["resets"]
        for user, added in seen["added"].items():
            times = Counter(added)
            self.lost += len(self._sent[user] - times.keys())
            self.doubled += sum(times.values()) - len(times)
            row = database.row(_COUNT, user)
            told = seen["counters"].get(user)
            self.wrong += told is None or tuple(told.values()) != tuple(row)


_COUNT = """SELECT count(*) FILTER (WHERE read_at IS NULL), count(*) FILTER (WHERE seen_at IS NULL), count(*)
    FROM inbox WHERE user_id = $1 AND archived_at IS NULL"""
