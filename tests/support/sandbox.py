"""A sandbox in a thread of its own, for programs that block; and one who is called back."""

import asyncio
import contextlib
import json
import threading
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tidings.sandbox.running import Options, Running, running

PATIENCE = 20.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


def fetch(
    url: str, document: Any = None, *, method: str = "", headers: dict[str, str] | None = None
) -> Answer:
    """With a body, bytes as they are or anything else as JSON, it is a POST, if nothing else is said."""
    body = document if isinstance(document, bytes | None) else json.dumps(document).encode()
    request = urllib.request.Request(url, body, headers or {}, method=method or None)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PATIENCE) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return Answer(refused.code, refused.headers, refused.read())


@dataclass(frozen=True)
class Box:
    """A sandbox that runs."""

    sandbox: Running
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return self.sandbox.place.url

    @property
    def smtp_port(self) -> int:
        return self.sandbox.place.ports["smtp"]

    @property
    def settings(self) -> Any:
        return tomllib.loads(self.sandbox.settings)

    def account(self, vendor: str) -> dict[str, Any]:
        found: dict[str, Any] = self.settings["accounts"][vendor]
        return found

    def messages(self, **asked: str) -> list[dict[str, Any]]:
        """In full, the oldest first."""
        query = "&".join(f"{name}={value}" for name, value in asked.items())
        listed = fetch(f"{self.url}/sandbox/messages?{query}").document["messages"]
        return [
            fetch(f"{self.url}/sandbox/messages/{one['number']}").document for one in listed[::-1]
        ]

    def message(self, **asked: str) -> dict[str, Any]:
        """The only one."""
        [found] = self.messages(**asked)
        return found

    def happened(self, number: int, *happenings: str) -> dict[str, Any]:
        """The message, as soon as all of these became of it."""

        def all_happened() -> dict[str, Any] | None:
            message: dict[str, Any] = fetch(f"{self.url}/sandbox/messages/{number}").document
            became = [event["happening"] for event in message["events"]]
            return message if became == list(happenings) else None

        return self.until(all_happened)

    def until(self, found: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
        """What is found, after as many changes as it takes."""
        while True:
            changes = self.sandbox.desk.kept.changes
            result = found()
            if result is not None:
                return result
            waiting = self.sandbox.desk.kept.until_changed(changes)
            asyncio.run_coroutine_threadsafe(waiting, self.loop).result(PATIENCE)


@contextlib.contextmanager
def sandbox(callbacks: str = "", *, pace: float = 0.0, **options: Any) -> Iterator[Box]:
    started: list[Box] = []
    ready = threading.Event()
    stop: list[asyncio.Event] = []
    problems: list[BaseException] = []

    async def run() -> None:
        ending = asyncio.Event()
        stop.append(ending)
        chosen = Options(
            port=0, smtp_port=0, apns_port=0, callbacks=callbacks, pace=pace, **options
        )
        async with running(chosen) as found:
            started.append(Box(found, asyncio.get_running_loop()))
            ready.set()
            await ending.wait()

    def thread() -> None:
        try:
            asyncio.run(run())
        except BaseException as problem:
            problems.append(problem)
        finally:
            ready.set()

    running_thread = threading.Thread(target=thread)
    running_thread.start()
    assert ready.wait(PATIENCE)
    try:
        if problems:
            raise problems[0]
        yield started[0]
    finally:
        if started:
            started[0].loop.call_soon_threadsafe(stop[0].set)
        running_thread.join(PATIENCE)
    assert not running_thread.is_alive()
    assert not problems


@dataclass(frozen=True)
class Told:
    """A callback as it came. headers: by lower-case name. at: seconds since the epoch."""

    url: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class Listener:
    """answers: statuses, one for each call, then 200."""

    url: str = ""
    told: list[Told] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, count: int) -> list[Told]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.told) >= count, PATIENCE), self.told
            return list(self.told)

    def wait_for(self, text: bytes) -> list[Told]:
        """Until one holds it."""
        with self.arrived:
            found = self.arrived.wait_for(
                lambda: any(text in one.body for one in self.told), PATIENCE
            )
            assert found, self.told
            return list(self.told)


@contextlib.contextmanager
def listening() -> Iterator[Listener]:
    """One who is called back, and keeps it."""
    listener = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with listener.arrived:
                url = listener.url + self.path
                listener.told.append(Told(url, self.path, headers, body, time.time()))
                self.send_response(listener.answers.pop(0) if listener.answers else 200)
                listener.arrived.notify_all()
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the test's output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        listener.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield listener
        finally:
            server.shutdown()
            thread.join()
