"""The rivals: how each is started and asked, with what its documentation recommends for production."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.processes import ROOT

ENVIRONMENT = ROOT / "benchmarks" / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
NODE_PACKAGES = ENVIRONMENT / "node"
"""Beside the rivals' Python environment, outside what is tracked; scripts/bench fills both."""

_PACKAGE = "benchmarks.rivals"
_BULLMQ = str(Path(__file__).parent / "bullmq.mjs")

Command = tuple[str, ...]


@dataclass(frozen=True)
class Rival:
    """before: run once, after the database is there. workers: one process each. forks: how many processes the
    first of them starts below itself. bulk: it can be asked for many at once; else the bulk cases ask it one
    by one. libraries: whose versions belong to the result."""

    name: str
    runtime: Literal["python", "node"]
    workers: tuple[Command, ...]
    producer: Command
    libraries: tuple[str, ...]
    before: tuple[Command, ...] = ()
    redis: bool = True
    forks: int = 0
    bulk: bool = False
    pace: float = 1.0


def _program(name: str, *arguments: str) -> Command:
    return (str(ENVIRONMENT / "bin" / name), *arguments)


def _procrastinate(*arguments: str) -> Command:
    return _program("procrastinate", "--app", f"{_PACKAGE}.procrastinate_app.app", *arguments)


_ASYNC = ("aiohttp", "aiosmtplib", "asyncpg", "uvloop", "jinja2")

CELERY = Rival(
    name="celery",
    runtime="python",
    # Late acknowledgement, prefork, eight processes; see celery_app.
    workers=(
        _program(
            *("celery", "-A", f"{_PACKAGE}.celery_app", "worker", "--pool", "prefork"),
            *(
                "--concurrency",
                "8",
                "--without-gossip",
                "--without-mingle",
                "--loglevel",
                "WARNING",
            ),
        ),
    ),
    producer=(str(PYTHON), "-m", f"{_PACKAGE}.celery_produce"),
    libraries=("celery", "kombu", "redis", "hiredis", "psycopg", "requests", "jinja2"),
    forks=8,
)

TASKIQ = Rival(
    name="taskiq",
    runtime="python",
    workers=(
        _program(
            *("taskiq", "worker", f"{_PACKAGE}.taskiq_app:broker", "--workers", "2"),
            *("--max-async-tasks", "100", "--ack-type", "when_executed", "--log-level", "WARNING"),
        ),
    ),
    producer=(str(PYTHON), "-m", f"{_PACKAGE}.async_produce", f"{_PACKAGE}.taskiq_app"),
    libraries=("taskiq", "taskiq-redis", "redis", "hiredis", *_ASYNC),
    forks=2,
    pace=2.0,
)

PROCRASTINATE = Rival(
    name="procrastinate",
    runtime="python",
    before=(_procrastinate("schema", "--apply"),),
    # Finished jobs are deleted, as its documentation advises, or the table only grows.
    workers=(
        _procrastinate("worker", "-q", "send", "-c", "100", "--delete-jobs", "successful"),
        _procrastinate("worker", "-q", "send", "-c", "100", "--delete-jobs", "successful"),
    ),
    producer=(str(PYTHON), "-m", f"{_PACKAGE}.async_produce", f"{_PACKAGE}.procrastinate_app"),
    libraries=("procrastinate", "psycopg", "psycopg-pool", *_ASYNC),
    redis=False,
    bulk=True,
)

BULLMQ = Rival(
    name="bullmq",
    runtime="node",
    workers=(("node", _BULLMQ, "work"), ("node", _BULLMQ, "work")),
    producer=("node", _BULLMQ, "produce"),
    libraries=("bullmq", "ioredis", "pg", "undici", "nodemailer", "nunjucks"),
    bulk=True,
    pace=4.0,
)

RIVALS: tuple[Rival, ...] = (CELERY, TASKIQ, PROCRASTINATE, BULLMQ)


def missing(rival: Rival) -> str:
    """Why this rival cannot run here, and what would mend it; empty when it can."""
    if rival.redis and shutil.which("redis-server") is None:
        return (
            "redis-server is missing. Debian and Ubuntu: apt-get install redis-server; Fedora: dnf "
            "install redis; macOS: brew install redis. It need not run: the benchmark starts its own."
        )
    if rival.runtime == "node":
        if shutil.which("node") is None:
            return "node is missing (version 20 or later, with npm)."
        if not (NODE_PACKAGES / "node_modules").exists():
            return "its packages are missing; scripts/bench installs them where npm is on the PATH."
    elif not PYTHON.exists():
        return f"{ENVIRONMENT.relative_to(ROOT)} is missing; scripts/bench makes it."
    return ""
