"""Processes that the benchmark starts, ends by their ids, and watches: processor time and memory."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
_MB = 2**20


class BenchmarkError(Exception):
    """The benchmark cannot go on; the message says why, and where the log is."""


class Child:
    """A process of ours, in a session of its own so that Ctrl-C reaches only the benchmark, which then
    ends its processes in order. Its output goes to a log file."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str],
        pipe: bool = False,
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                command,
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.PIPE if pipe else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipe else output,
                stderr=output,
                start_new_session=True,
                text=True,
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def check(self) -> None:
        """Raises BenchmarkError when the process has ended."""
        if (code := self.popen.poll()) is not None:
            raise BenchmarkError(f"{self._name} ended with {code}: {self.last_words()}")

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-15:]
        return "\n".join(lines) or "(its log is empty)"

    def stop(self, grace: float = 20) -> None:
        """Ask it to end; after the grace, end it and what it started."""
        family = self._family()
        if self.popen.poll() is None:
            self.popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(grace)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()  # psutil makes sure that the id still means the same process
        self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream is not None:
                stream.close()

    def _family(self) -> list[psutil.Process]:
        """The process and what it started; once it is gone, what it left behind in its session."""
        if self.popen.poll() is None:
            return list(tree([self.pid]))
        return [process for process in psutil.process_iter() if _session(process) == self.pid]

    @property
    def _name(self) -> str:
        return " ".join(str(part) for part in self.popen.args[:4])  # type: ignore[index] # always a list here


def _session(process: psutil.Process) -> int | None:
    with contextlib.suppress(OSError):
        return os.getsid(process.pid)
    return None


def environment(**extra: str) -> dict[str, str]:
    """The environment for our processes: without settings meant for another Tidings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TIDINGS_", "CELERY_"))}
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **extra}


def free_port() -> int:
    """A port of loopback that was free just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def tree(pids: Iterable[int]) -> Iterable[psutil.Process]:
    """These processes and all below them, as far as they live."""
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            yield process
            yield from process.children(recursive=True)


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of the trees, with what their ended children used."""
    total = 0.0
    for process in tree(pids):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total


@dataclass(frozen=True)
class Memory:
    """Megabytes (2**20). pss: pages shared by several processes counted once in all; rss: the plain sum,
    which counts them for each. Where the system knows no PSS, it is the RSS."""

    pss: float
    rss: float


def memory(pids: Iterable[int]) -> Memory:
    pss = rss = 0
    for process in tree(pids):
        with contextlib.suppress(psutil.NoSuchProcess):
            info = process.memory_full_info()
            rss += info.rss
            pss += getattr(info, "pss", info.rss)
    return Memory(round(pss / _MB, 1), round(rss / _MB, 1))


class PeakMemory:
    """The highest PSS of the trees while it is entered, looked at once a second."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.megabytes = 0.0

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._stop.wait(1):
            self._look()

    def _look(self) -> None:
        self.megabytes = max(self.megabytes, memory(self._pids).pss)


def postmaster(directory: Path) -> tuple[int, Path]:
    """The process id and socket directory of the PostgreSQL whose data lie in this directory.

    See https://www.postgresql.org/docs/current/storage-file-layout.html, postmaster.pid.
    """
    lines = (directory / "postmaster.pid").read_text().splitlines()
    return int(lines[0]), Path(lines[4])


def stop_postgres(directory: Path) -> None:
    """End the server of this directory, if one runs: fast shutdown, after 15 s an immediate one."""
    with contextlib.suppress(FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
        process = psutil.Process(postmaster(directory)[0])
        if process.name() != "postgres":
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(15)
        except psutil.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(15)


def call(
    port: int, method: str, path: str, body: object = None, *, key: str = ""
) -> tuple[int, Any]:
    """One HTTP call to loopback: status and JSON, or text where it is no JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/json"} | (
        {"Authorization": f"Bearer {key}"} if key else {}
    )
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, text


def wait_until(
    holds: Callable[[], bool], what: str, *, limit: float, child: Child | None = None
) -> None:
    """Look again and again. Raises BenchmarkError when it does not hold in time, or the child ended."""
    deadline = time.monotonic() + limit
    while not holds():
        if child is not None:
            child.check()
        if time.monotonic() > deadline:
            words = f":\n{child.last_words()}" if child else ""
            raise BenchmarkError(f"{what} did not happen within {limit:.0f} s{words}")
        time.sleep(0.05)
