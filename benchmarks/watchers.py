"""Those who watch feeds, in a process of their own: python -m benchmarks.watchers

A job comes as one JSON line on standard input. `hold` keeps a connection for each user and times what arrives;
`return` comes and goes at random, and keeps a copy of the feed by what it was sent. Both say `ready` on a line, go on until
a second line comes, with the number that each feed is at in the end, and write what they saw.
"""

import asyncio
import contextlib
import gc
import json
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import uvloop
import websockets

from tidings.bootstrap.foundation import raise_file_limit
from tidings.logs import configure

_AT_ONCE = 100  # connections being opened
_LONGEST = 2**20


@dataclass
class Job:
    """share: of the connections that are Server-Sent Events; the others are WebSockets. reconnects: of each user."""

    kind: str
    port: int
    key: str
    users: list[str]
    share: float = 0.5
    reconnects: int = 0
    seed: int = 1


@dataclass
class Seen:
    """seconds: from what the entry says it was asked for at, to its arrival. gaps: numbers that did not follow the
    one before; resets: answers to load anew. added: texts by user, with how often each came."""

    seconds: list[float] = field(default_factory=list)
    gaps: int = 0
    resets: int = 0
    connections: int = 0
    added: dict[str, dict[str, int]] = field(default_factory=dict)
    counters: dict[str, dict[str, int]] = field(default_factory=dict)


class Watcher:
    """One user's copy of the feed."""

    def __init__(self, job: Job, user: str, seen: Seen) -> None:
        self.user = user
        self.number: int | None = None
        self._job = job
        self._seen = seen
        self._added = Counter[str]()
        self._dice = random.Random(f"{job.seed} {user}")

    async def hold(self, opened: asyncio.Semaphore, ready: asyncio.Event, goal: "Goal") -> None:
        async with opened:
            events = self._events()
            self._take(await anext(events))
            ready.set()
        async for event in events:
            self._take(event)
            if goal.reached(self):
                return

    async def come_and_go(self, ready: asyncio.Event, goal: "Goal") -> None:
        ready.set()
        left = self._job.reconnects
        while left > 0 or not goal.reached(self):
            left -= 1
            with contextlib.suppress(
                EOFError, OSError, TimeoutError, websockets.WebSocketException
            ):
                async with (
                    asyncio.timeout(self._dice.random() * 0.4),
                    contextlib.aclosing(self._events()) as events,
                ):
                    async for event in events:
                        self._take(event)
                        if left <= 0 and goal.reached(self):
                            return

    def note(self) -> None:
        self._seen.added[self.user] = dict(self._added)

    def _take(self, event: dict[str, Any]) -> None:
        now = time.time()
        match event["event"]:
            case "heartbeat" | "closing":
                return
            case "ready":
                self._seen.gaps += self.number not in {None, 0, event["number"]}
            case "reset":
                self._seen.resets += 1
            case _:
                # A feed that has not begun is at 0; its first change may have any number.
                self._seen.gaps += self.number != 0 and event["number"] != (self.number or 0) + 1
        self.number = event["number"]
        self._seen.counters[self.user] = event["counters"]
        for entry in event.get("entries", ()):
            self._added[entry["body"]] += 1
            self._seen.seconds.append(now - float(entry["body"].partition(" ")[0]))

    def _events(self) -> AsyncGenerator[dict[str, Any], None]:
        self._seen.connections += 1
        query = "" if self.number is None else f"?after={self.number}"
        path = f"/users/{self.user}/inbox/events{query}"
        by_sse = self._dice.random() < self._job.share
        return _server_sent(self._job, path) if by_sse else _over_websocket(self._job, path)


async def _server_sent(job: Job, path: str) -> AsyncGenerator[dict[str, Any], None]:
    reader, writer = await asyncio.open_connection("127.0.0.1", job.port, limit=_LONGEST)
    try:
        lines = [
            f"GET {path} HTTP/1.1",
            "Host: 127.0.0.1",
            "Accept: text/event-stream",
            f"Authorization: Bearer {job.key}",
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        status = await reader.readline()
        if b" 200 " not in status:
            raise OSError(status)
        while line := await reader.readline():
            if line.startswith(b"data: {"):
                yield json.loads(line[6:])
        raise EOFError
    finally:
        writer.transport.abort()


async def _over_websocket(job: Job, path: str) -> AsyncGenerator[dict[str, Any], None]:
    headers = {"Authorization": f"Bearer {job.key}"}
    url = f"ws://127.0.0.1:{job.port}{path}"
    options: dict[str, Any] = {"compression": None, "proxy": None, "ping_interval": None}
    connection = await websockets.connect(url, additional_headers=headers, **options)
    try:
        while True:
            yield json.loads(await connection.recv())
    finally:
        connection.transport.abort()


class Goal:
    """Where each feed is in the end, once that is known."""

    def __init__(self) -> None:
        self.numbers: Mapping[str, int] | None = None

    def reached(self, watcher: Watcher) -> bool:
        return self.numbers is not None and watcher.number == self.numbers.get(watcher.user, 0)


async def work(job: Job) -> Seen:
    seen, goal = Seen(), Goal()
    watchers = [Watcher(job, user, seen) for user in job.users]
    ready = [asyncio.Event() for _ in watchers]
    opened = asyncio.Semaphore(_AT_ONCE)
    tasks = [
        asyncio.create_task(
            one.hold(opened, event, goal) if job.kind == "hold" else one.come_and_go(event, goal)
        )
        for one, event in zip(watchers, ready, strict=True)
    ]
    for event in ready:
        await event.wait()
    gc.freeze()  # what is measured is not how long this process collects its own garbage
    print("ready", flush=True)
    line = await asyncio.to_thread(sys.stdin.readline)
    goal.numbers = json.loads(line)
    done = [task for task, one in zip(tasks, watchers, strict=True) if goal.reached(one)]
    for task in done if job.kind == "hold" else ():
        task.cancel()  # it waits for an event that will not come
    await asyncio.wait(tasks, timeout=60)
    for task in tasks:
        task.cancel()
    for one in watchers:
        one.note()
    return seen


def main() -> None:
    configure(format="json", level="error", process="watchers")
    raise_file_limit()
    job = Job(**json.loads(sys.stdin.readline()))
    seen = uvloop.run(work(job))
    print(json.dumps(asdict(seen)), flush=True)


if __name__ == "__main__":
    main()
