"""A running Tidings, started by its own command, and a way to call the others in this process."""

import contextlib
import json
import logging
import os
import pty
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from tidings.cli import main

STARTED_WITHIN = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(variables: dict[str, str]) -> dict[str, str]:
    """This process's environment with only these settings of Tidings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDINGS_")}
    return {**kept, "TIDINGS_CONFIG": os.devnull, **variables}


def start(*arguments: str, variables: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """`tidings …` as a process of its own, its output in a file."""
    with log.open("ab") as written:
        return subprocess.Popen(
            [sys.executable, "-m", "tidings", *arguments],
            env=environment(variables),
            stdout=written,
            stderr=written,
        )


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
    """Ask it to end; its exit status."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> bytes:
    """The body of the first good answer. Fails when the process ends before."""
    deadline = time.monotonic() + STARTED_WITHIN
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                body: bytes = answer.read()
                return body
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    pytest.fail(f"nothing answers at {url}\n{log.read_text()}")


@dataclass(frozen=True)
class Serving:
    """A `tidings serve` with an embedded database of its own."""

    port: int
    variables: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def data_dir(self) -> Path:
        return Path(self.variables["TIDINGS_DATA_DIR"])


@pytest.fixture(scope="session")
def serving() -> Iterator[Serving]:
    with tempfile.TemporaryDirectory(prefix="tidings-test-", ignore_cleanup_errors=True) as made:
        directory = Path(made)
        port = free_port()
        variables = {
            "TIDINGS_DATA_DIR": str(directory / "data"),
            "TIDINGS_API__PORT": str(port),
            "TIDINGS_LOG__FORMAT": "json",
        }
        log = directory / "log"
        process = start("serve", variables=variables, log=log)
        try:
            until_it_answers(f"http://127.0.0.1:{port}/health/ready", process, log)
            yield Serving(port, variables, log, process)
        finally:
            stop(process)


@dataclass(frozen=True)
class Ended:
    """A command that has run."""

    status: int
    out: str
    err: str

    @property
    def documents(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def document(self) -> Any:
        (one,) = self.documents
        return one


@dataclass(frozen=True)
class Cli:
    """Runs commands in this process: a fresh interpreter for each would take most of the time."""

    captured: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str | Path, status: int = 0) -> Ended:
        """Runs `tidings …` and expects this exit status."""
        ended = self.tried(*arguments)
        assert ended.status == status, f"{arguments} gave {ended.status}\n{ended.out}\n{ended.err}"
        return ended

    def tried(self, *arguments: str | Path) -> Ended:
        """Runs `tidings …`, however it ends."""
        self.captured.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = self.captured.readouterr()
        code = ended.value.code or 0
        assert isinstance(code, int)
        assert "Traceback" not in err
        return Ended(code, out, err)


@pytest.fixture
def lasting_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loggers keep the stream that they were set up with. Here that would be the one of a single test,
    which is closed after it."""

    def configure(**_: object) -> None:
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            logger_factory=structlog.PrintLoggerFactory(sys.__stderr__),
            cache_logger_on_first_use=False,
        )

    monkeypatch.setattr("tidings.logs.configure", configure)


@pytest.fixture
def alone(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    lasting_logs: None,
) -> Cli:
    """Commands without a running Tidings."""
    for name, value in {
        "TIDINGS_DATA_DIR": str(tmp_path / "data"),
        "TIDINGS_API__PORT": str(free_port()),
        "COLUMNS": "250",
    }.items():
        monkeypatch.setenv(name, value)
    return Cli(capsys)


@pytest.fixture
def tidings(
    serving: Serving,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lasting_logs: None,
) -> Cli:
    """Commands beside the running Tidings."""
    for name, value in {**serving.variables, "COLUMNS": "250"}.items():
        monkeypatch.setenv(name, value)
    return Cli(capsys)


def in_process_of_its_own(
    *arguments: str, variables: dict[str, str], given: bytes | None = None
) -> Ended:
    """The real command, in a fresh interpreter."""
    ended = subprocess.run(
        [sys.executable, "-m", "tidings", *arguments],
        env=environment({"COLUMNS": "250", **variables}),
        input=given,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def on_a_terminal(*arguments: str, variables: dict[str, str], typed: bytes | None = None) -> str:
    """What a person sees who runs it to its end, and types this."""
    ours, theirs = pty.openpty()
    if typed is not None:
        os.write(ours, typed)
    process = subprocess.Popen(
        [sys.executable, "-m", "tidings", *arguments],
        env=environment({"COLUMNS": "150", "TERM": "xterm", **variables}),
        stdin=None if typed is None else theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    # Linux ends the reading of a terminal that nobody holds any more with an error.
    with contextlib.suppress(OSError):
        while part := os.read(ours, 65_536):
            shown += part
    os.close(ours)
    process.wait(timeout=60)
    return shown.decode()


@pytest.fixture
def note(tidings: Cli, tmp_path: Path) -> str:
    """A template with content for email and sms, on the server."""
    write_template(
        tmp_path / "note",
        {
            "template.toml": 'name = "Note"\n',
            "email.subject.txt": "Hello {{ name }}\n",
            "email.html": "<p>Hello {{ name }}</p>\n",
            "sms.txt": "Hello {{ name }}\n",
        },
    )
    tidings("template", "push", tmp_path / "note")
    return "note"


def write_template(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())


def ids(ended: Ended) -> Sequence[str]:
    return [one["notification_id"] for one in ended.documents if "notification_id" in one]
