"""Work done in rounds, beside what a process is there for: it goes on when the database is away, and after any error."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable

import structlog

from tidings.store.database import UNAVAILABLE

log: structlog.stdlib.BoundLogger = structlog.get_logger()

AFTER_TROUBLE = 1.0  # seconds

Round = Callable[[], Awaitable[float]]
"""Does all there is to do; seconds until it is worth to look again."""


async def keep_at(doing: str, work: Round, changed: asyncio.Event) -> None:
    """A round after the other until cancelled; the next at once when `changed` is set. doing: its name in the log."""
    while True:
        changed.clear()
        await until(changed, await attempt(doing, work))


async def attempt(doing: str, work: Round) -> float:
    """One round, whatever comes of it: nothing here may end the process. Of an error the log has the frames only: its
    text may hold content."""
    try:
        return await work()
    except UNAVAILABLE as error:
        log.warning("database.unavailable", doing=doing, error=type(error).__name__)
    except Exception as error:  # noqa: BLE001 - what the process is there for goes on
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error(f"{doing}.failed", error=type(error).__name__, frames=frames)  # noqa: TRY400 - frames only
    return AFTER_TROUBLE


async def until(changed: asyncio.Event, seconds: float) -> bool:
    """Wait until it is set, for so long at the most; whether it is. Not with asyncio.wait_for(), which before Python
    3.12 loses a cancellation that comes at the same moment (https://github.com/python/cpython/issues/86296): whoever
    cancelled would wait for ever."""
    try:
        async with asyncio.timeout(seconds):
            await changed.wait()
    except TimeoutError:
        return False
    return True
