"""Rounds: what is done beside goes on after any error, and says nothing of what it was about."""

import asyncio

import pytest
import structlog
import structlog.testing

from tidings.store import rounds

pytestmark = pytest.mark.anyio

TROUBLE = [ConnectionRefusedError("secret"), ValueError("secret"), KeyError("secret")]


async def test_whatever_goes_wrong_the_next_round_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    # Loggers remember how they were set up when first used: this is a new one.
    monkeypatch.setattr(rounds, "log", structlog.get_logger())
    changed, done, left = asyncio.Event(), asyncio.Event(), list(TROUBLE)

    async def work() -> float:
        if left:
            changed.set()
            raise left.pop(0)
        done.set()
        return 60

    with structlog.testing.capture_logs() as logs:
        working = asyncio.create_task(rounds.keep_at("weeding", work, changed))
        await asyncio.wait_for(done.wait(), 20)
        working.cancel()
        await asyncio.wait({working})
    assert [line["event"] for line in logs] == [
        "database.unavailable",
        "weeding.failed",
        "weeding.failed",
    ]
    assert "secret" not in str(logs)


async def test_who_is_cancelled_when_there_is_work_ends_all_the_same() -> None:
    changed = asyncio.Event()
    waiting = asyncio.create_task(rounds.until(changed, 60))
    await asyncio.sleep(0)
    changed.set()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_waiting_ends_when_it_is_set_or_the_time_is_over() -> None:
    changed = asyncio.Event()
    assert not await rounds.until(changed, 0.01)
    changed.set()
    assert await rounds.until(changed, 60)
