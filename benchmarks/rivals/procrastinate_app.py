"""A Procrastinate task, its queue in PostgreSQL: `procrastinate --app benchmarks.rivals.procrastinate_app.app`."""

import asyncio
import os
from collections.abc import Sequence

from procrastinate import (  # type: ignore[import-not-found]  # only in the rivals' environment
    App,
    PsycopgConnector,
    RetryStrategy,
)

from benchmarks.rivals.delivery import Delivery
from benchmarks.rivals.rendering import Data

QUEUE = "send"

app = App(
    connector=PsycopgConnector(conninfo=os.environ["RIVAL_DATABASE_URL"], min_size=4, max_size=16)
)


class Opened:
    """The delivery of this worker process, opened by its first job: Procrastinate has no hook at the start."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._delivery: Delivery | None = None

    async def delivery(self) -> Delivery:
        if self._delivery is None:
            async with self._lock:
                self._delivery = self._delivery or await Delivery.open()
        return self._delivery


opened = Opened()


@app.task(queue=QUEUE, name="send", retry=RetryStrategy(max_attempts=5, exponential_wait=2))
async def send(channel: str, address: str, data: Data) -> None:
    """Deliver one notification, then record that it was sent."""
    await (await opened.delivery()).send(channel, address, data)


async def start() -> None:
    """What a process that asks for work does first."""
    await app.open_async()


async def ask(channel: str, address: str, data: Data) -> None:
    await send.defer_async(channel=channel, address=address, data=data)


async def ask_many(channel: str, address: Sequence[str], data: Sequence[Data]) -> None:
    pairs = zip(address, data, strict=True)
    await send.batch_defer_async(
        *({"channel": channel, "address": to, "data": values} for to, values in pairs)
    )


async def stop() -> None:
    await app.close_async()
