"""A taskiq task over Redis streams: `taskiq worker benchmarks.rivals.taskiq_app:broker`, in the rivals' environment."""

import os
from collections.abc import Sequence

from taskiq import (  # type: ignore[import-not-found]  # only in the rivals' environment
    SimpleRetryMiddleware,
    TaskiqEvents,
    TaskiqState,
)
from taskiq_redis import RedisStreamBroker  # type: ignore[import-not-found]  # only there

from benchmarks.rivals.delivery import Delivery
from benchmarks.rivals.rendering import Data

broker = RedisStreamBroker(url=os.environ["RIVAL_REDIS_URL"], max_connection_pool_size=64)
broker.add_middlewares(SimpleRetryMiddleware(default_retry_count=5))


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def open_delivery(state: TaskiqState) -> None:
    state.delivery = await Delivery.open()


@broker.task(retry_on_error=True, max_retries=5)
async def send(channel: str, address: str, data: Data) -> None:
    """Deliver one notification, then record that it was sent."""
    delivery: Delivery = broker.state.delivery
    await delivery.send(channel, address, data)


async def start() -> None:
    """What a process that asks for work does first."""
    await broker.startup()


async def ask(channel: str, address: str, data: Data) -> None:
    await send.kiq(channel, address, data)


async def ask_many(channel: str, address: Sequence[str], data: Sequence[Data]) -> None:
    """taskiq has no way to ask for many at once."""
    for to, values in zip(address, data, strict=True):
        await ask(channel, to, values)


async def stop() -> None:
    await broker.shutdown()
