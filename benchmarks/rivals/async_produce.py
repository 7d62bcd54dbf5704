"""Asks an asyncio rival for an errand's work by its own call, as an application does.

`python -m benchmarks.rivals.async_produce MODULE` in the rivals' environment: an Errand in, a Tally out. The
module has start, ask, ask_many and stop.
"""

import asyncio
import importlib
import sys
import time
from types import ModuleType

import uvloop

from benchmarks import job
from benchmarks.rivals.rendering import Data
from benchmarks.work import Errand, Stopwatch, Tally

CALLERS = 32
"""Requests under way at a time, as in a web server."""
BULK_ITEMS = 500


class Producer:
    """One errand's requests, and how they went."""

    def __init__(self, app: ModuleType, errand: Errand) -> None:
        self.app = app
        self.errand = errand
        self.tally = Tally()
        self._numbers = iter(range(errand.work.count))

    async def run(self) -> Tally:
        await self.app.start()
        stopwatch = Stopwatch()
        async with asyncio.timeout(self.errand.limit):
            if self.errand.work.rate:
                await self._steady(self.errand.work.rate)
            elif self.errand.work.door == "bulk":
                await self._bulks()
            else:
                await asyncio.gather(*(self._flat_out() for _ in range(CALLERS)))
        stopwatch.read(self.tally)
        await self.app.stop()
        return self.tally

    async def _flat_out(self) -> None:
        for number in self._numbers:
            await self._ask(number, time.time_ns() // 1000)

    async def _steady(self, rate: float) -> None:
        """Each is asked for at its time; its time counts from when it was due."""
        start = time.time()
        async with asyncio.TaskGroup() as asking:
            for number in self._numbers:
                due = start + number / rate
                if (wait := due - time.time()) > 0:
                    await asyncio.sleep(wait)
                asking.create_task(self._ask(number, int(due * 1e6)))

    async def _bulks(self) -> None:
        count = self.errand.work.count
        for first in range(0, count, BULK_ITEMS):
            numbers = range(first, min(first + BULK_ITEMS, count))
            asked = time.time_ns() // 1000
            await self.app.ask_many(
                self.errand.work.channel,
                [self._address(number) for number in numbers],
                [self._data(number, asked) for number in numbers],
            )
            self._accepted(len(numbers))

    async def _ask(self, number: int, microseconds: int) -> None:
        data = self._data(number, microseconds)
        await self.app.ask(self.errand.work.channel, self._address(number), data)
        self._accepted(1)

    def _address(self, number: int) -> str:
        return self.errand.address(number)

    def _data(self, number: int, microseconds: int) -> Data:
        return job.data(self.errand.work.run, number, microseconds)

    def _accepted(self, count: int) -> None:
        self.tally.count("accepted", count)
        self.tally.accepted += count


def main() -> None:
    producer = Producer(importlib.import_module(sys.argv[1]), Errand.read())
    print(uvloop.run(producer.run()).dump(), flush=True)


if __name__ == "__main__":
    main()
