"""A rival as the benchmark holds it: its broker, its workers, and PostgreSQL, where it records what it sent."""

import asyncio
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import job
from benchmarks.database import Database
from benchmarks.processes import (
    BenchmarkError,
    Child,
    Memory,
    environment,
    memory,
    postmaster,
    stop_postgres,
    tree,
    wait_until,
)
from benchmarks.rivals.kinds import NODE_PACKAGES, PYTHON, Rival
from benchmarks.rivals.redis import Redis
from benchmarks.sink_process import SinkProcess
from benchmarks.system import Producer, Settled
from benchmarks.work import Work
from tidings.store.embedded import EmbeddedServer

_SETTLE = 3.0  # seconds between ready and the look at the idle memory

_TABLE = """
    CREATE TABLE notifications (
      id text PRIMARY KEY,
      status text NOT NULL,
      provider_message_id text,
      updated_at timestamptz NOT NULL
    )"""

_PYTHON_VERSIONS = """
import importlib.metadata as m, json, platform, sys
print(json.dumps({"python": platform.python_version(), **{n: m.version(n) for n in sys.argv[1:]}}))
"""


class RivalSystem:
    """Starts and stops everything that the rival needs, in a directory of its own."""

    def __init__(self, rival: Rival, directory: Path, sink: SinkProcess) -> None:
        self.name, self.pace, self.bulk = rival.name, rival.pace, rival.bulk
        self.idle_memory: Memory | None = None
        self._rival = rival
        self._directory = directory / rival.name
        self._sink = sink
        self._redis = Redis(self._directory) if rival.redis else None
        self._server = EmbeddedServer(self._directory / "postgres")
        self._environment: dict[str, str] = {}
        self._workers: list[Child] = []
        self._database: Database | None = None

    def start(self) -> None:
        self._directory.mkdir(mode=0o755)
        url = self._server.start()
        asyncio.run(self._server.ensure_database())
        self._database = Database(url)
        self._database.execute(_TABLE)
        if self._redis is not None:
            self._redis.start()
        self._environment = environment(**self._variables())
        for command in self._rival.before:
            self._run_before(command)
        self._start_workers()
        time.sleep(_SETTLE)
        self.idle_memory = memory([pid for pids in self._own().values() for pid in pids])

    def stop(self) -> None:
        if self._database is not None:
            self._database.close()
        broker = [self._redis.child] if self._redis is not None and self._redis.child else []
        for child in (*self._workers, *broker):
            # A warm shutdown would wait for far more than a benchmark wants to keep.
            child.stop(grace=5)
        stop_postgres(self._server.directory)

    @property
    def producer(self) -> Producer:
        return Producer(list(self._rival.producer), self._environment)

    def processes(self) -> Mapping[str, Sequence[int]]:
        return {**self._own(), "postgres": [postmaster(self._server.directory)[0]]}

    def waiting(self, work: Work, accepted: int) -> int:
        return max(0, accepted - self.settled(work, 0).count)

    def settled(self, work: Work, first_us: int) -> Settled:
        assert self._database is not None
        row = self._database.row(
            """SELECT count(*) AS count, coalesce(extract(epoch FROM max(updated_at)), 0)::float8 AS at
               FROM notifications WHERE starts_with(id, $1)""",
            f"{work.run}-",
        )
        return Settled(count=row["count"], at=row["at"])

    def versions(self) -> Mapping[str, str]:
        assert self._database is not None
        versions = {"postgresql": self._database.row("SHOW server_version")[0]}
        if self._redis is not None:
            versions["redis-server"] = self._redis.version()
        return {**self._library_versions(), **versions}

    def _own(self) -> dict[str, Sequence[int]]:
        parts: dict[str, Sequence[int]] = {"workers": [child.pid for child in self._workers]}
        if self._redis is not None and self._redis.child is not None:
            parts["redis"] = [self._redis.child.pid]
        return parts

    def _variables(self) -> dict[str, str]:
        """What its programs read from the environment."""
        _, sockets = postmaster(self._server.directory)
        templates = self._directory / "job.json"
        parts = {"subject": job.SUBJECT, "text": job.TEXT, "html": job.HTML, "event": job.EVENT}
        document = {**parts, "sender": job.SENDER, "data": job.data("", 0, 0)}
        templates.write_text(json.dumps(document))
        port = self._redis.port if self._redis is not None else 0
        return {
            "RIVAL_REDIS_URL": f"redis://127.0.0.1:{port}/0",
            "RIVAL_REDIS_PORT": str(port),
            "RIVAL_DATABASE_URL": f"postgresql://postgres@/tidings?host={sockets}",
            "RIVAL_DATABASE_HOST": str(sockets),
            "RIVAL_SMTP_PORT": str(self._sink.smtp_port),
            "RIVAL_JOB": str(templates),
            "RIVAL_NODE": str(NODE_PACKAGES),
            "NODE_ENV": "production",
        }

    def _run_before(self, command: Sequence[str]) -> None:
        answer = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False
        )
        if answer.returncode:
            raise BenchmarkError(f"{command[0]} failed: {answer.stderr[-1000:]}")

    def _start_workers(self) -> None:
        log = self._directory / "workers.log"
        for command in self._rival.workers:
            self._workers.append(Child(command, log, environment=self._environment))
        # Below the first there is a process for each slot it forks; the warm-up shows that they work.
        first = self._workers[0]
        wait_until(
            lambda: len(list(tree([first.pid]))) > self._rival.forks,
            f"the start of the workers of {self.name}",
            limit=60,
            child=first,
        )

    def _library_versions(self) -> Mapping[str, str]:
        if self._rival.runtime == "node":
            found = {
                name: json.loads(
                    (NODE_PACKAGES / "node_modules" / name / "package.json").read_text()
                )["version"]
                for name in self._rival.libraries
            }
            node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
            return {"node": node.stdout.strip().removeprefix("v"), **found}
        command = [str(PYTHON), "-c", _PYTHON_VERSIONS, *self._rival.libraries]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        versions: dict[str, str] = json.loads(answer.stdout)
        return versions
