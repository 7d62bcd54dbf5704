"""A Tidings of processes that the benchmark holds itself, to kill them, or to start workers when it wants."""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks import job
from benchmarks.database import Database
from benchmarks.fleet import Fleet, Member
from benchmarks.processes import (
    ROOT,
    BenchmarkError,
    call,
    environment,
    free_port,
    postmaster,
    wait_until,
)
from benchmarks.sink_process import SinkProcess
from benchmarks.work import Errand, Tally, Work
from tidings.bootstrap.foundation import connection_to
from tidings.store import api_keys
from tidings.store.api_keys import Role
from tidings.store.embedded import EmbeddedServer

_LONGEST = 3600.0  # seconds for the load generator
SECRET = "whsec_" + "c2VjcmV0" * 4


class Rig:
    """Database, sink, key and settings. settings: further TIDINGS_ variables, read when it is started."""

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        self.port = free_port()
        self.key = api_keys.new_secret()
        self.server = EmbeddedServer(directory / "postgres")
        self.dsn = self.server.start()
        self._directory = directory
        self.settings = dict(settings)

    @classmethod
    @contextlib.contextmanager
    def made(cls, settings: Mapping[str, str]) -> Iterator["Rig"]:
        """In a temporary directory, of which nothing stays."""
        with tempfile.TemporaryDirectory(
            prefix="tidings-bench-", ignore_cleanup_errors=True
        ) as made:
            directory = Path(made)
            directory.chmod(0o755)  # the embedded server may run as another user
            rig = cls(directory, settings)
            try:
                asyncio.run(rig._prepare())
                yield rig
            finally:
                rig.server.stop()

    @contextlib.contextmanager
    def sink(self) -> Iterator[SinkProcess]:
        sink = SinkProcess(self._directory)
        try:
            yield sink
        finally:
            sink.stop()

    @contextlib.contextmanager
    def running(self, members: Sequence[Member]) -> Iterator[Fleet]:
        """The API among the members answers."""
        log = self._directory / "fleet.log"
        with Fleet.run(members, self._variables(), log) as fleet:
            try:
                wait_until(self._ready, "GET /health/ready = 200", limit=60)
            except BenchmarkError as error:
                raise BenchmarkError(f"{error}: {log.read_text()[-2000:]}") from None
            yield fleet

    @contextlib.contextmanager
    def asking(self, work: Work, sink: SinkProcess) -> Iterator[subprocess.Popen[str]]:
        """The load generator at work meanwhile; ended when it is left."""
        errand = Errand(work, sink.hook_url, _LONGEST, self.port, self.key)
        process = subprocess.Popen(
            (sys.executable, "-m", "benchmarks.load"),
            env=environment(),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                assert process.stdin is not None
                process.stdin.write(errand.dump())
                process.stdin.close()
                yield process
            finally:
                process.kill()

    def ask(self, work: Work, sink: SinkProcess) -> Tally:
        """Ask for it all. Raises BenchmarkError where not everything is accepted."""
        with self.asking(work, sink) as process:
            assert process.stdout is not None
            tally = Tally.load(process.stdout.read())
        if tally.accepted != work.count:
            raise BenchmarkError(f"only {tally.accepted} of {work.count} were accepted")
        return tally

    @property
    def postgres_pid(self) -> int:
        return postmaster(self._directory / "postgres")[0]

    def await_empty(self, limit: float) -> None:
        """Until the queue is empty. Raises BenchmarkError when it is not in time."""
        with contextlib.closing(Database(self.dsn)) as database:
            wait_until(
                lambda: database.row("SELECT NOT EXISTS (SELECT FROM queue)")[0],
                "an empty queue",
                limit=limit,
            )

    def template(self, **changes: str) -> None:
        status, answer = call(self.port, "POST", "/templates", job.TEMPLATE | changes, key=self.key)
        if status != 201:
            raise BenchmarkError(f"POST /templates was answered with {status}: {answer}")

    def _variables(self) -> dict[str, str]:
        return {
            "TIDINGS_CONFIG": os.devnull,
            "TIDINGS_DATA_DIR": str(self._directory),
            "TIDINGS_DATABASE_URL": self.dsn,
            "TIDINGS_API__PORT": str(self.port),
            "TIDINGS_LOG__LEVEL": "error",
            "TIDINGS_OUTBOUND__ALLOW": '["127.0.0.0/8"]',
            "TIDINGS_ACCOUNTS__HOOKS__PROVIDER": "webhook",
            "TIDINGS_ACCOUNTS__HOOKS__SECRET": SECRET,
            **self.settings,
        }

    async def _prepare(self) -> None:
        await self.server.ensure_database()
        command = (sys.executable, "-m", "tidings", "migrate", "--quiet")
        answer = subprocess.run(
            command,
            env=environment(**self._variables()),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode:
            raise BenchmarkError(f"tidings migrate failed: {answer.stderr[-1000:]}")
        async with connection_to(self.dsn, "benchmark") as connection:
            await api_keys.create(connection, "benchmark", Role.ADMIN, self.key)

    def _ready(self) -> bool:
        try:
            return call(self.port, "GET", "/health/ready")[0] == 200
        except OSError:
            return False
