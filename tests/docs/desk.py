"""Where a reader of the documentation sits: a folder, a shell, and a running Tidings."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import asyncpg

from tests.docs.pages import ROOT

_PROGRAMS = {
    "tidings": '#!/bin/sh\nexec "{python}" -m tidings "$@"\n',
    "python": '#!/bin/sh\nexec "{python}" "$@"\n',
    "activate": 'PATH="{bin}:$PATH"\n',
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Desk:
    """ports: those that pages name, and the free ones that take their place. port: the API's."""

    folder: Path
    ports: Mapping[str, str] = field(
        default_factory=lambda: {n: str(free_port()) for n in ("8090", "2525")}
    )
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        dropped = ("TIDINGS_", "XDG_", "COLUMNS")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(dropped)}
        return {
            **kept,
            "HOME": str(self.home),
            "PATH": f"{self.folder / '.venv/bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "LC_ALL": "C.UTF-8",
            "NO_PROXY": "127.0.0.1",
            "TIDINGS_API__PORT": str(self.port),
            "TIDINGS_URL": self.url,
        }

    def lay_out(self, settings: str) -> None:
        """As after `scripts/setup`. curl's own settings lead it to the port that is free."""
        programs = self.folder / ".venv/bin"
        programs.mkdir(parents=True)
        self.home.mkdir()
        for name, text in _PROGRAMS.items():
            (programs / name).write_text(text.format(python=sys.executable, bin=programs))
            (programs / name).chmod(0o755)
        for name in ("examples", "docs"):
            (self.folder / name).symlink_to(ROOT / name)
        (self.home / ".curlrc").write_text(f'connect-to = "127.0.0.1:8000:127.0.0.1:{self.port}"\n')
        if settings:
            (self.folder / "tidings.toml").write_text(self.here(settings))

    def here(self, text: str) -> str:
        for named, free in self.ports.items():
            text = text.replace(named, free)
        return text

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        log = self.folder / "serve.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["tidings", "serve"],
                env=self.environment,
                executable=self.folder / ".venv/bin/tidings",
                cwd=self.folder,
                stdout=output,
                stderr=output,
            )
        try:
            self._until_ready(process, log)
            yield
        finally:
            process.terminate()
            assert process.wait(60) == 0, log.read_text()

    def run(self, script: str, extra: Mapping[str, str]) -> tuple[int, str]:
        """The exit status and all output of a script for bash; what it leaves running is ended."""
        output = self.folder / "output.txt"
        with output.open("wb") as written:
            process = subprocess.Popen(
                ["bash", "-c", script],
                env={**self.environment, **extra},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                start_new_session=True,
            )
            try:
                status = process.wait(120)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        return status, output.read_text(encoding="utf-8")

    def new_database(self, name: str) -> str:
        """Beside the installation's own; its URL."""
        directory = self.home / ".local/share/tidings/postgres"
        sockets = (directory / "postmaster.pid").read_text().splitlines()[4]

        async def create() -> None:
            connection = await asyncpg.connect(_url("postgres", sockets))
            await connection.execute(f'CREATE DATABASE "{name}"')
            await connection.close()

        asyncio.run(create())
        return _url(name, sockets)

    def _until_ready(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        end = time.monotonic() + 90
        while time.monotonic() < end and process.poll() is None:
            with contextlib.suppress(OSError), opener.open(f"{self.url}/health/ready", timeout=5):
                return
            time.sleep(0.05)
        raise AssertionError(f"tidings serve is not ready:\n{log.read_text()}")


@contextlib.contextmanager
def desk(settings: str = "") -> Iterator[Desk]:
    """settings: the content of tidings.toml; none if empty."""
    # Not below pytest's own directory: a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="tidings-docs-", ignore_cleanup_errors=True) as folder:
        place = Desk(Path(folder))
        place.lay_out(settings)
        with place.serving():
            yield place


@contextlib.contextmanager
def idle_desk() -> Iterator[Desk]:
    """Nothing runs there: the reader starts it, and ends it. Every port that a page names is another one."""
    with tempfile.TemporaryDirectory(prefix="tidings-docs-", ignore_cleanup_errors=True) as folder:
        ports = {name: str(free_port()) for name in ("8000", "8025", "1025", "2197")}
        place = Desk(Path(folder), ports, int(ports["8000"]))
        place.lay_out("")
        yield place


def _url(database: str, sockets: str) -> str:
    return f"postgresql://postgres@/{database}?host={quote(sockets)}"
