"""All in one: the embedded database, API and workers as processes under one supervisor.

This process stays small: it starts others, starts them again when they die, and stops them together.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from tidings import logs
from tidings.bootstrap.database import database
from tidings.settings import Settings, child_environment

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# A process that dies at once, again and again, is started less and less often.
_FIRST_WAIT, _LONGEST_WAIT, _HEALTHY_AFTER = 0.2, 10.0, 10.0


@dataclass(slots=True)
class _Child:
    name: str
    arguments: tuple[str, ...]
    grace: float
    process: asyncio.subprocess.Process | None = field(default=None, repr=False)

    async def run(self, environment: dict[str, str], stop: asyncio.Event) -> None:
        """Keep it running until `stop` is set, then end it."""
        wait = _FIRST_WAIT
        while not stop.is_set():
            began = asyncio.get_running_loop().time()
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tidings",
                *self.arguments,
                "--supervised",
                env=environment,
                stdin=asyncio.subprocess.PIPE,  # its end tells them that we are gone
                start_new_session=True,
            )
            log.info("process.started", child=self.name, pid=self.process.pid)
            ended = asyncio.create_task(self.process.wait())
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not ended.done():
                await self._end(ended)
                return
            if stop.is_set():
                return
            lived = asyncio.get_running_loop().time() - began
            wait = _FIRST_WAIT if lived > _HEALTHY_AFTER else min(wait * 2, _LONGEST_WAIT)
            log.error("process.died", child=self.name, status=ended.result(), restart_in=wait)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait)

    async def _end(self, ended: "asyncio.Task[int]") -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(asyncio.shield(ended), self.grace)
        except TimeoutError:
            log.warning("process.killed", child=self.name, after=self.grace)
            self.process.kill()
            await ended


async def serve(settings: Settings) -> int:
    """Run everything until SIGTERM or SIGINT; the exit status."""
    logs.configure(format=settings.log.format, level=settings.log.level, process="supervisor")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with database(settings) as dsn:
        with _metrics_directory() as metrics:
            environment = child_environment(
                TIDINGS_DATABASE_URL=dsn, PROMETHEUS_MULTIPROC_DIR=str(metrics)
            )
            # In a process of its own: the migration tool is large, and needed only now.
            migration = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tidings", "migrate", "--quiet", env=environment
            )
            if status := await migration.wait():
                log.error("migration.failed", status=status)
                return status
            await asyncio.gather(*(child.run(environment, stop) for child in _children(settings)))
    log.info("stopped")
    return 0


def _children(settings: Settings) -> list[_Child]:
    margin = 5.0
    apis = [
        _Child(f"api-{number}", ("api",), settings.api.shutdown_grace + margin)
        for number in range(1, settings.api.processes + 1)
    ]
    workers = [
        _Child(f"worker-{number}", _worker(number), settings.worker.shutdown_grace + margin)
        for number in range(1, _worker_processes(settings) + 1)
    ]
    return [*apis, *workers]


def _worker(number: int) -> tuple[str, ...]:
    return ("worker",) if number == 1 else ("worker", "--reserve")


def _worker_processes(settings: Settings) -> int:
    return settings.worker.processes or min(2, os.cpu_count() or 1)


@contextlib.contextmanager
def _metrics_directory() -> Iterator[Path]:
    """Where the processes share their counters; they begin at zero with each start."""
    directory = Path(tempfile.mkdtemp(prefix="tidings-metrics-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
