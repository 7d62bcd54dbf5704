"""Celery 5 with Redis, set up as its documentation recommends for production, state in PostgreSQL."""

import asyncio
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.database import Database
from benchmarks.processes import (
    ROOT,
    Child,
    Memory,
    environment,
    free_port,
    memory,
    postmaster,
    stop_postgres,
    tree,
    wait_until,
)
from benchmarks.sink_process import SinkProcess
from benchmarks.system import Producer, Settled
from benchmarks.work import Work
from tidings.store.embedded import EmbeddedServer

ENVIRONMENT = ROOT / "benchmarks" / ".venv"
CONCURRENCY = 8
_PYTHON = ENVIRONMENT / "bin" / "python"
_SETTLE = 3.0  # seconds between ready and the look at the idle memory

_TABLE = """
    CREATE TABLE notifications (
      id text PRIMARY KEY,
      status text NOT NULL,
      provider_message_id text,
      updated_at timestamptz NOT NULL
    )"""

# What its processes hold; asked of its own interpreter.
_VERSIONS = """
import importlib.metadata as m, json, platform
names = ("celery", "kombu", "redis", "psycopg", "requests", "jinja2")
print(json.dumps({"python": platform.python_version(), **{n: m.version(n) for n in names}}))
"""


def missing() -> str:
    """Why this rival cannot run here, and what would mend it; empty when it can."""
    if shutil.which("redis-server") is None:
        return (
            "redis-server is not on the PATH. Debian and Ubuntu: apt-get install redis-server; "
            "Fedora: dnf install redis; macOS: brew install redis. It need not run: the benchmark "
            "starts one of its own."
        )
    if not _PYTHON.exists():
        return f"{ENVIRONMENT.relative_to(ROOT)} is missing; scripts/bench makes it."
    return ""


class CelerySystem:
    name = "celery"

    def __init__(self, directory: Path, sink: SinkProcess) -> None:
        self.idle_memory: Memory | None = None
        self._directory = directory / "celery"
        self._sink = sink
        self._redis_port = free_port()
        self._server = EmbeddedServer(self._directory / "postgres")
        self._environment: dict[str, str] = {}
        self._children: dict[str, Child] = {}
        self._database: Database | None = None

    def start(self) -> None:
        self._directory.mkdir(mode=0o755)
        url = self._server.start()
        asyncio.run(self._server.ensure_database())
        self._database = Database(url)
        self._database.execute(_TABLE)
        _, socket_directory = postmaster(self._server.directory)
        self._environment = environment(
            RIVAL_REDIS_URL=f"redis://127.0.0.1:{self._redis_port}/0",
            RIVAL_DATABASE=f"host={socket_directory} user=postgres dbname=tidings",
            RIVAL_SMTP_PORT=str(self._sink.smtp_port),
        )
        self._start_redis()
        self._start_workers()
        time.sleep(_SETTLE)
        self.idle_memory = memory([child.pid for child in self._children.values()])

    def stop(self) -> None:
        if self._database is not None:
            self._database.close()
        for part in ("workers", "redis"):
            if part in self._children:
                # A warm shutdown would wait for far more than a benchmark wants to keep.
                self._children[part].stop(grace=5)
        stop_postgres(self._server.directory)

    @property
    def producer(self) -> Producer:
        return Producer([str(_PYTHON), "-m", "benchmarks.celery_produce"], self._environment)

    def processes(self) -> Mapping[str, Sequence[int]]:
        parts = {part: [child.pid] for part, child in self._children.items()}
        return {**parts, "postgres": [postmaster(self._server.directory)[0]]}

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
        redis = subprocess.run(
            ["redis-server", "--version"], capture_output=True, text=True, check=True
        )
        python = subprocess.run(
            [_PYTHON, "-c", _VERSIONS], capture_output=True, text=True, check=True
        )
        versions: dict[str, str] = json.loads(python.stdout)
        return {
            **{name if name != "redis" else "redis (client)": v for name, v in versions.items()},
            "redis": redis.stdout.partition("v=")[2].partition(" ")[0],
            "postgresql": self._database.row("SHOW server_version")[0],
        }

    def _start_redis(self) -> None:
        data = self._directory / "redis"
        data.mkdir()
        options = {
            "bind": "127.0.0.1",
            "port": str(self._redis_port),
            "dir": str(data),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
        }
        command = ["redis-server", *(word for k, v in options.items() for word in (f"--{k}", v))]
        redis = Child(command, self._directory / "redis.log", environment=environment())
        self._children["redis"] = redis
        wait_until(self._redis_answers, "an answer of Redis", limit=15, child=redis)

    def _start_workers(self) -> None:
        command = [
            *(str(ENVIRONMENT / "bin" / "celery"), "-A", "benchmarks.celery_app", "worker"),
            *("--pool", "prefork", "--concurrency", str(CONCURRENCY)),
            *("--without-gossip", "--without-mingle", "--loglevel", "WARNING"),
        ]
        workers = Child(command, self._directory / "workers.log", environment=self._environment)
        self._children["workers"] = workers
        # Below the parent there is one process for each slot; the warm-up shows that they work.
        wait_until(
            lambda: len(list(tree([workers.pid]))) > CONCURRENCY,
            "the Celery workers' start",
            limit=60,
            child=workers,
        )

    def _redis_answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._redis_port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
