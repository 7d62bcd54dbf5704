"""`tidings serve` in a directory of its own, as a user starts it, and its API."""

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError

_START, _STOP = 90.0, 45.0  # seconds; the first start makes the database
_LOG_LINES = 25

CATEGORIES = ("account", "appointments", "orders", "security")
"""Of the templates; the accounts with vendors have others."""

_SETTINGS = """\
data_dir = "{data}"

[api]
port = {api_port}

[accounts.mail]
provider = "smtp"
host = "127.0.0.1"
port = {mail_port}
security = "none"
from = "My Awesome App <hello@myapp.com>"
categories = {categories}

[accounts.hooks]
provider = "webhook"
url = "{hook_url}"
secret = "{secret}"
categories = {categories}

[retry]
base = 0.5

{vendors}
"""


class DemoError(Exception):
    """The demo cannot go on, or did not show what it should; the message says why."""


@dataclass(frozen=True)
class OtherSides:
    """Where Tidings delivers to. secret: that signs its webhooks. vendors: settings of the accounts with vendors."""

    mail_port: int
    hook_url: str
    secret: str
    vendors: str


class Installation:
    """A running Tidings. settings: its file. port: of its API."""

    def __init__(self, directory: Path, sides: OtherSides, port: int) -> None:
        self.settings = directory / "tidings.toml"
        self.data = directory / "data"
        self.port = port
        self.log = directory / "serve.log"
        self._sides = sides
        self._client: Client | None = None
        self._key = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Whatever else is configured in this shell does not matter here."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith("TIDINGS_")}
        return {**kept, "TIDINGS_CONFIG": str(self.settings)}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Installation"]:
        """From ready to stopped in good order. Raises DemoError with the end of the log."""
        self._configure()
        with self.log.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tidings", "serve"),
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        try:
            async with ClientBuilder().no_proxy().build() as client:
                self._client = client
                await self._until_ready(process)
                self._key = (self.data / "api_key").read_text(encoding="utf-8").strip()
                yield self
        finally:
            await self._stop(process)

    async def call(self, method: str, path: str, document: Any = None) -> Any:
        """The answer's JSON. Raises DemoError for a problem."""
        status, answer = await self._request(method, path, document)
        if status >= 300:
            raise DemoError(f"{method} {path} was answered with {status}: {answer}")
        return answer

    async def store(self, template_id: str, document: Any) -> None:
        """As a new template, or as the next version in a directory that was used before."""
        status, _ = await self._request("PUT", f"/templates/{template_id}", document)
        if status == 404:
            await self.call("POST", "/templates", {"id": template_id, **document})

    async def _request(self, method: str, path: str, document: Any) -> tuple[int, Any]:
        assert self._client is not None
        request = self._client.request(method, self.url + path).bearer_auth(self._key)
        if document is not None:
            request = request.body_json(document)
        try:
            response = await request.build().send()
            return response.status, await response.json()
        except PyreqwestError as error:
            what = f"{method} {path} was not answered ({type(error).__name__})"
            raise DemoError(self.with_log(what)) from None

    def _configure(self) -> None:
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            self.settings.write_text(
                _SETTINGS.format(
                    data=self.data,
                    api_port=self.port,
                    mail_port=self._sides.mail_port,
                    hook_url=self._sides.hook_url,
                    secret=self._sides.secret,
                    categories=list(CATEGORIES),
                    vendors=self._sides.vendors,
                ),
                encoding="utf-8",
            )
        except OSError as error:
            raise DemoError(f"cannot write {self.settings}: {error.strerror}") from None

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        assert self._client is not None
        try:
            async with asyncio.timeout(_START):
                while process.returncode is None:
                    with contextlib.suppress(PyreqwestError):
                        request = self._client.get(f"{self.url}/health/ready").build()
                        if (await request.send()).status == 200:
                            return
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise DemoError(self.with_log(f"Tidings was not ready after {_START:g} s")) from None
        raise DemoError(self.with_log(f"Tidings ended with status {process.returncode}"))

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            process.terminate()
        try:
            status = await asyncio.wait_for(process.wait(), _STOP)
        except TimeoutError:
            process.kill()
            raise DemoError(self.with_log(f"Tidings did not stop within {_STOP:g} s")) from None
        if status and sys.exception() is None:
            raise DemoError(self.with_log(f"Tidings ended with status {status}"))

    def with_log(self, what: str) -> str:
        """Followed by the end of Tidings' log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([f"{what}; the end of its log:", *lines[-_LOG_LINES:]])


@contextlib.contextmanager
def own_directory(given: Path | None) -> Iterator[Path]:
    """The given one, which stays; else one for the time, which is removed."""
    if given is not None:
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="tidings-demo-") as directory:
        yield Path(directory)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
