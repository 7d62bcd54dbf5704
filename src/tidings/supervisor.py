"""All in one: the embedded database, API and workers as processes under one supervisor.

This process stays small: it starts others, starts them again when they die, and stops them together. They are
forked from one process that has imported everything (nursery.py), so that they share its memory and start
at once.
"""

import asyncio
import contextlib
import errno
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import structlog

from tidings import logs
from tidings.bootstrap.database import database
from tidings.domain.duty import Duty
from tidings.settings import Settings, publish

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# A process that dies at once, again and again, is started less and less often.
_FIRST_WAIT, _LONGEST_WAIT, _HEALTHY_AFTER = 0.2, 10.0, 10.0


# No memory, process number or file descriptor at the moment.
_PASSING = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})

_forks = multiprocessing.get_context("forkserver")

Nursed = Callable[[Connection, tuple[str, ...]], None]
"""Runs a command of `tidings` in the forked process; the connection ends with the supervisor."""


@dataclass(slots=True)
class _Child:
    name: str
    target: Nursed
    arguments: tuple[str, ...]
    grace: float

    async def run(self, stop: asyncio.Event) -> None:
        """Keep it running until `stop` is set, then end it."""
        wait = _FIRST_WAIT
        while not stop.is_set():
            began = asyncio.get_running_loop().time()
            try:
                status = await self._live(stop)
            except (OSError, EOFError) as error:
                # No memory or no process number at the moment, for us or for the process that forks, which
                # dies of it and is started anew: that passes, and the others go on.
                log.error("process.not_started", child=self.name, error=_said(error))  # noqa: TRY400
                status = None
            if stop.is_set():
                return
            lived = asyncio.get_running_loop().time() - began
            wait = _FIRST_WAIT if lived > _HEALTHY_AFTER else min(wait * 2, _LONGEST_WAIT)
            log.error("process.died", child=self.name, status=status, restart_in=wait)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait)

    async def _live(self, stop: asyncio.Event) -> int | None:
        """Start it, wait until it ends or `stop` is set, and end it then; its status."""
        theirs, ours = _forks.Pipe(duplex=False)
        with theirs, ours:  # the end of `ours` tells it that we are gone
            process = _forks.Process(
                target=self.target, args=(theirs, (*self.arguments, "--supervised")), name=self.name
            )
            await asyncio.to_thread(process.start)
            log.info("process.started", child=self.name, pid=process.pid)
            async with _end_of(process) as ended:
                stopped = asyncio.create_task(stop.wait())
                either: set[asyncio.Future[Any]] = {ended, stopped}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                stopped.cancel()
                if not ended.done():
                    await self._end(process, ended)
        process.join()
        return process.exitcode

    async def _end(self, process: ForkServerProcess, ended: "asyncio.Future[None]") -> None:
        process.terminate()
        try:
            await asyncio.wait_for(asyncio.shield(ended), self.grace)
        except TimeoutError:
            log.warning("process.killed", child=self.name, after=self.grace)
            process.kill()
            await ended


def _said(error: OSError | EOFError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


@contextlib.asynccontextmanager
async def _end_of(process: ForkServerProcess) -> "AsyncIterator[asyncio.Future[None]]":
    """Done when the process has ended."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def over() -> None:
        loop.remove_reader(process.sentinel)
        ended.set_result(None)

    loop.add_reader(process.sentinel, over)
    try:
        yield ended
    finally:
        loop.remove_reader(process.sentinel)


async def serve(settings: Settings, nursery: str, nursed: Nursed) -> int:
    """Run everything until SIGTERM or SIGINT; the exit status. nursery: the module that imports what the
    processes need; nursed: what runs in each."""
    logs.configure(format=settings.log.format, level=settings.log.level, process="supervisor")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with database(settings) as dsn:
        with _metrics_directory() as metrics:
            publish(TIDINGS_DATABASE_URL=dsn, PROMETHEUS_MULTIPROC_DIR=str(metrics))
            _forks.set_forkserver_preload([nursery])
            forkserver.ensure_running()  # it imports while the schema is looked at
            # In a process of its own: the migration tool is large, and needed only now.
            status = await _migrate(stop)
            if stop.is_set():
                return 0
            if status:
                log.error("migration.failed", status=status)
                return status
            await asyncio.gather(*(child.run(stop) for child in _children(settings, nursed)))
    log.info("stopped")
    return 0


async def _migrate(stop: asyncio.Event) -> int:
    """Its exit status; 0 too when `stop` was set before it could begin."""
    wait = _FIRST_WAIT
    while not stop.is_set():
        try:
            migration = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tidings", "migrate", "--quiet"
            )
        except OSError as error:
            if error.errno not in _PASSING:
                raise
            log.error("process.not_started", child="migrate", error=error.strerror)  # noqa: TRY400 - it passes
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait)
            wait = min(wait * 2, _LONGEST_WAIT)
        else:
            return await migration.wait()
    return 0


def _children(settings: Settings, nursed: Nursed) -> list[_Child]:
    margin = 5.0
    apis = [
        _Child(f"api-{number}", nursed, ("api",), settings.api.shutdown_grace + margin)
        for number in range(1, settings.api.processes + 1)
    ]
    workers = [
        _Child(
            f"worker-{number}",
            nursed,
            ("worker", "--duty", duty),
            settings.worker.shutdown_grace + margin,
        )
        for number, duty in enumerate(_duties(_worker_processes(settings)), 1)
    ]
    return [*apis, *workers]


def _duties(workers: int) -> list[Duty]:
    return [Duty.ALONE] if workers == 1 else [Duty.URGENT, *[Duty.BACKLOG] * (workers - 1)]


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
