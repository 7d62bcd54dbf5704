"""Group commit: requests that come together share a write, and each gets its own answer."""

import asyncio
from collections.abc import Sequence

import pytest

from tidings.store.group_commit import GroupCommit

pytestmark = pytest.mark.anyio


class Store:
    """Writes when it is allowed to, and remembers the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.writing = 0
        self.most_writing = 0

    async def write(self, batch: Sequence[int]) -> list[str]:
        self.batches.append(list(batch))
        self.writing += 1
        self.most_writing = max(self.most_writing, self.writing)
        try:
            await self.open.wait()
        finally:
            self.writing -= 1
        if 13 in batch:
            raise ValueError("unlucky")
        return [f"stored {item}" for item in batch]


async def test_a_lone_request_waits_for_nobody() -> None:
    store = Store()
    commits = GroupCommit(store.write, largest=10)
    assert await commits.submit(1) == "stored 1"
    assert await commits.submit(2) == "stored 2"
    assert store.batches == [[1], [2]]


async def test_what_comes_together_is_written_together() -> None:
    store = Store()
    commits = GroupCommit(store.write, largest=100)
    results = await asyncio.gather(*(commits.submit(item) for item in range(20, 70)))
    assert results == [f"stored {item}" for item in range(20, 70)]
    assert len(store.batches) <= 2


async def test_what_comes_meanwhile_is_the_next_batch() -> None:
    store = Store()
    store.open.clear()
    commits = GroupCommit(store.write, largest=8, writers=2)
    waiting = []
    for item in range(100, 140):
        waiting.append(asyncio.ensure_future(commits.submit(item)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert store.writing == 2  # the third waits until one of them is done
    store.open.set()
    assert await asyncio.gather(*waiting) == [f"stored {item}" for item in range(100, 140)]
    assert store.most_writing == 2
    assert max(map(len, store.batches)) == 8
    assert sorted(item for batch in store.batches for item in batch) == [*range(100, 140)]


async def test_a_failed_write_fails_its_own_batch_only() -> None:
    store = Store()
    commits = GroupCommit(store.write, largest=4, writers=1)
    waiting = [asyncio.ensure_future(commits.submit(item)) for item in range(12, 24)]
    done = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(result, ValueError) for result in done] == [True] * 4 + [False] * 8
    assert await commits.submit(1) == "stored 1"


async def test_a_caller_who_gives_up_harms_nobody() -> None:
    store = Store()
    store.open.clear()
    commits = GroupCommit(store.write, largest=10)
    one, other = (asyncio.ensure_future(commits.submit(item)) for item in (1, 2))
    while not store.writing:
        await asyncio.sleep(0)
    one.cancel()
    store.open.set()
    assert await other == "stored 2"
    assert one.cancelled()
    assert await commits.submit(3) == "stored 3"
