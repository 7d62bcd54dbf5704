"""A whole Tidings in one process: the API on a real socket, and a worker, on a database of its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from pyreqwest.client import Client, ClientBuilder

from tidings.bootstrap import foundation
from tidings.bootstrap.api import bind, run_api
from tidings.bootstrap.foundation import connection_to, pass_by
from tidings.bootstrap.worker import open_worker
from tidings.settings import Settings
from tidings.store import api_keys
from tidings.store.api_keys import Role

ENDED = {
    "sent",
    "delivered",
    "failed",
    "bounced",
    "suppressed",
    "skipped",
    "expired",
    "cancelled",
    "unknown",
}


@dataclass
class Answer:
    status: int
    body: Any
    headers: Callable[[str], str | None]


@dataclass
class System:
    """url and keys by role, to call it as an application does."""

    url: str
    keys: dict[Role, str]
    dsn: str
    client: Client
    settings: Settings

    @classmethod
    @contextlib.asynccontextmanager
    async def run(
        cls,
        dsn: str,
        directory: Path,
        *,
        working: bool = True,
        checkpoint: Callable[[str], None] = pass_by,
        **options: Any,
    ) -> AsyncIterator["System"]:
        """options: settings, as in the file."""
        options.setdefault("log", {"level": "warning"})
        settings = Settings(data_dir=directory, **options)
        laid = foundation.lay(settings, dsn, "test")
        async with connection_to(dsn, "test") as connection:
            keys = {}
            for role in Role:
                secret = api_keys.new_secret()
                await api_keys.create(connection, f"test {role}", role, secret)
                keys[role] = secret
        stop = asyncio.Event()
        listening = bind("127.0.0.1", 0)
        port = listening.getsockname()[1]
        client = ClientBuilder().no_proxy().build()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run_api(laid, stop, listening=listening, checkpoint=checkpoint))
            if working:
                opened = await open_worker(laid, CollectorRegistry(), checkpoint=checkpoint)
                tasks.create_task(opened.run(stop))
            system = cls(f"http://127.0.0.1:{port}", keys, dsn, client, settings)
            await system._until_ready()
            try:
                yield system
            finally:
                await client.close()
                stop.set()

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: Role | None = Role.ADMIN,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        request = self.client.request(method, self.url + path)
        if role is not None:
            request = request.bearer_auth(self.keys[role])
        request = request.headers(headers or {})
        if raw is not None:
            request = request.header("content-type", "application/json").body_bytes(raw)
        elif body is not None:
            request = request.body_json(body)
        response = await request.build().send()
        kind = response.get_header("content-type") or ""
        parsed = await response.json() if "json" in kind else await response.text()
        return Answer(response.status, parsed, response.get_header)

    async def template(
        self, content: dict[str, Any], template_id: str = "note", **more: Any
    ) -> None:
        answer = await self.call(
            "POST", "/templates", {"id": template_id, "content": content, **more}
        )
        assert answer.status == 201, answer.body

    async def send(
        self, recipient: dict[str, Any], data: dict[str, Any] | None = None, **more: Any
    ) -> str:
        body = {"template_id": "note", "recipient": recipient, "data": data or {}, **more}
        answer = await self.call("POST", "/notifications/send", body)
        assert answer.status == 202, answer.body
        notification_id: str = answer.body["notification_id"]
        return notification_id

    async def status(self, notification_id: str) -> Any:
        answer = await self.call("GET", f"/notifications/{notification_id}/status")
        assert answer.status == 200, answer.body
        return answer.body

    async def settled(self, notification_id: str, seconds: float = 20) -> Any:
        """The status, once every delivery has ended."""
        return await self.until(notification_id, lambda one: one["status"] in ENDED, seconds)

    async def until(
        self, notification_id: str, reached: Callable[[Any], bool], seconds: float = 20
    ) -> Any:
        """The status, once every delivery is as asked for."""
        async with asyncio.timeout(seconds):
            while True:
                status = await self.status(notification_id)
                if all(reached(one) for one in status["deliveries"]):
                    return status
                await asyncio.sleep(0.01)

    def from_now(self, seconds: float) -> str:
        """A moment to come, as the API takes it."""
        return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()

    async def _until_ready(self) -> None:
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError, Exception):
                    if (await self.call("GET", "/health/ready", role=None)).status == 200:
                        return
                await asyncio.sleep(0.01)
