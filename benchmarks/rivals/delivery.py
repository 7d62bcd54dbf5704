"""How the asyncio rivals deliver: aiohttp, a pool of aiosmtplib connections, an asyncpg pool, all kept open."""

import asyncio
import json
import os
from typing import Any

import aiohttp  # in the rivals' environment
import aiosmtplib
import asyncpg

from benchmarks.rivals.rendering import RECORD_ASYNCPG, Data, Templates, webhook_id

_HTTP_CONNECTIONS = 100
_SMTP_CONNECTIONS = 50
_DATABASE_CONNECTIONS = 8


class Delivery:
    """What one worker process keeps open. Made and used on its event loop."""

    def __init__(self, http: Any, database: "asyncpg.Pool[Any]") -> None:
        self._http = http
        self._database = database
        self._templates = Templates()
        self._idle: list[aiosmtplib.SMTP] = []
        self._slots = asyncio.Semaphore(_SMTP_CONNECTIONS)

    @classmethod
    async def open(cls) -> "Delivery":
        size = _DATABASE_CONNECTIONS
        database = await asyncpg.create_pool(
            os.environ["RIVAL_DATABASE_URL"], min_size=size, max_size=size
        )
        connector = aiohttp.TCPConnector(limit=_HTTP_CONNECTIONS)
        http = aiohttp.ClientSession(
            connector=connector, headers={"Content-Type": "application/json"}
        )
        return cls(http, database)

    async def send(self, channel: str, address: str, data: Data) -> None:
        """Deliver one notification, then record that it was sent."""
        deliver = self._post if channel == "webhook" else self._mail
        identity = await deliver(address, data)
        await self._database.execute(RECORD_ASYNCPG, data["id"], identity)

    async def _post(self, url: str, data: Data) -> str:
        identity = webhook_id(data)
        body = json.dumps(self._templates.event(data))
        async with self._http.post(url, data=body, headers={"webhook-id": identity}) as answer:
            answer.raise_for_status()
            await answer.read()
        return identity

    async def _mail(self, address: str, data: Data) -> str:
        message = self._templates.mail(address, data)
        async with self._slots:
            session = self._idle.pop() if self._idle else None
            if session is None or not session.is_connected:
                port = int(os.environ["RIVAL_SMTP_PORT"])
                session = aiosmtplib.SMTP(
                    hostname="127.0.0.1", port=port, timeout=30, start_tls=False
                )
                await session.connect()
            await session.send_message(message)
            self._idle.append(session)
        return str(message["Message-ID"])
