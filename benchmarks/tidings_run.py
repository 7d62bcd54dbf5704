"""Tidings as a user starts it: `tidings serve` with its embedded PostgreSQL, in a directory of its own."""

import base64
import importlib.metadata
import json
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

import tidings
from benchmarks import job
from benchmarks.database import Database
from benchmarks.processes import (
    BenchmarkError,
    Child,
    Memory,
    call,
    environment,
    free_port,
    memory,
    postmaster,
    stop_postgres,
    wait_until,
)
from benchmarks.sink_process import SinkProcess
from benchmarks.system import Producer, Settled
from benchmarks.work import Work

_SETTLE = 3.0  # seconds between ready and the look at the idle memory

_CONFIGURATION = """\
[accounts.bench-smtp]
provider = "smtp"
host = "127.0.0.1"
port = {smtp_port}
security = "none"
from = "{sender}"

[accounts.bench-webhook]
provider = "webhook"
secret = "{secret}"
"""


class TidingsSystem:
    """settings: further TIDINGS_ variables, to try what they change."""

    name = "tidings"
    pace = 1.0
    bulk = True

    def __init__(self, directory: Path, sink: SinkProcess, settings: Mapping[str, str]) -> None:
        self.idle_memory: Memory | None = None
        self._directory = directory / "tidings"
        self._data = self._directory / "data"
        self._sink = sink
        self._settings = settings
        self._port = free_port()
        self._key = ""
        self._child: Child | None = None
        self._database: Database | None = None

    def start(self) -> None:
        self._data.mkdir(parents=True, mode=0o755)
        configuration = self._directory / "tidings.toml"
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        configuration.write_text(
            _CONFIGURATION.format(smtp_port=self._sink.smtp_port, sender=job.SENDER, secret=secret)
        )
        self._child = Child(
            [sys.executable, "-m", "tidings", "serve"],
            self._directory / "serve.log",
            environment=environment(
                TIDINGS_CONFIG=str(configuration),
                TIDINGS_DATA_DIR=str(self._data),
                TIDINGS_ENVIRONMENT="development",
                TIDINGS_API__PORT=str(self._port),
                TIDINGS_OUTBOUND__ALLOW=json.dumps(["127.0.0.0/8"]),
                **self._settings,
            ),
        )
        wait_until(self._ready, "GET /health/ready = 200", limit=120, child=self._child)
        self._key = (self._data / "api_key").read_text().strip()
        _, socket_directory = postmaster(self._data / "postgres")
        self._database = Database(f"postgresql://postgres@/tidings?host={socket_directory}")
        time.sleep(_SETTLE)
        self.idle_memory = memory([self._child.pid])
        self._create_template()

    def stop(self) -> None:
        if self._database is not None:
            self._database.close()
        if self._child is not None:
            self._child.stop()
        stop_postgres(self._data / "postgres")

    @property
    def producer(self) -> Producer:
        command = [sys.executable, "-m", "benchmarks.load"]
        return Producer(command, environment(), port=self._port, key=self._key)

    def processes(self) -> Mapping[str, Sequence[int]]:
        assert self._child is not None
        return {"tidings": [self._child.pid], "postgres": [postmaster(self._data / "postgres")[0]]}

    def waiting(self, work: Work, accepted: int) -> int:
        assert self._database is not None
        count: int = self._database.row("SELECT count(*) FROM queue")[0]
        return count

    def settled(self, work: Work, first_us: int) -> Settled:
        assert self._database is not None
        # A notification's id is a UUIDv7: its first 48 bits are the milliseconds of its acceptance.
        oldest = UUID(int=(first_us // 1000) << 80)
        rows = self._database.rows(
            """SELECT status, count(*) AS count, extract(epoch FROM max(updated_at))::float8 AS at
               FROM deliveries WHERE notification_id >= $1 GROUP BY status""",
            oldest,
        )
        done = [row for row in rows if row["status"] in ("sent", "delivered")]
        return Settled(
            count=sum(row["count"] for row in done),
            at=max((row["at"] for row in done), default=0.0),
            others={row["status"]: row["count"] for row in rows if row not in done},
        )

    def versions(self) -> Mapping[str, str]:
        assert self._database is not None
        packages = ("asyncpg", "uvicorn", "uvloop", "pyreqwest", "aiosmtplib", "jinja2")
        return {
            "tidings": tidings.__version__,
            "postgresql": self._database.row("SHOW server_version")[0],
            **{package: importlib.metadata.version(package) for package in packages},
        }

    def _ready(self) -> bool:
        try:
            return call(self._port, "GET", "/health/ready")[0] == 200
        except OSError:
            return False

    def _create_template(self) -> None:
        status, answer = call(self._port, "POST", "/templates", job.TEMPLATE, key=self._key)
        if status not in (200, 201):
            raise BenchmarkError(f"POST /templates was answered with {status}: {answer}")
