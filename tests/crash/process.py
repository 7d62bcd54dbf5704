"""A worker or API process that kills itself at a named point: python -m tests.crash.process KIND POINT NTH.

At the point `preparing` it is every delivery whose data has `poison` that kills it.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry

from tidings.bootstrap import foundation
from tidings.bootstrap.api import run_api
from tidings.bootstrap.worker import open_worker
from tidings.delivery import deciding
from tidings.delivery.preparing import prepare
from tidings.domain.messages import Message
from tidings.domain.retry import Settle
from tidings.settings import load
from tidings.store.deliveries import Work


def kill_at(point: str, nth: int) -> Callable[[str], None]:
    """SIGKILL for this process when the point is passed for the nth time: no handler, no clean-up."""
    passed = 0

    def checkpoint(name: str) -> None:
        nonlocal passed
        if name == point:
            passed += 1
            if passed == nth:
                os.kill(os.getpid(), signal.SIGKILL)

    return checkpoint


def poison() -> None:
    """As a fault in a native library would."""

    def deadly(work: Work, *given: Any, **more: Any) -> Message | Settle:
        if work.payload["data"].get("poison"):
            os.kill(os.getpid(), signal.SIGKILL)
        return prepare(work, *given, **more)

    deciding.prepare = deadly  # type: ignore[attr-defined]  # a stand-in for what cannot be provoked


async def main(kind: str, point: str, nth: int) -> None:
    settings = load()
    assert settings.database_url is not None
    laid = foundation.lay(settings, settings.database_url.get_secret_value(), f"crashing {kind}")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    checkpoint = kill_at(point, nth)
    if point == "preparing":
        poison()
    if kind == "worker":
        worker = await open_worker(laid, CollectorRegistry(), checkpoint=checkpoint)
        await worker.run(stop)
    else:
        await run_api(laid, stop, checkpoint=checkpoint)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
