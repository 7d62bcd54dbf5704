"""The rate while another transaction holds its snapshot for long, as a backup or a report does: dead queue rows stay."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import asyncpg

from benchmarks.fleet import Member
from benchmarks.rig import Rig
from benchmarks.work import Work

MOST_LOSS = 0.2

Progress = Callable[[str, int, float], None]
"""Called with free or held, the round's number and its rate."""


@dataclass(frozen=True)
class Loss:
    """Rates per second of each round, settled. A round without the transaction, then all with it."""

    free: list[float]
    held: list[float]

    @property
    def loss(self) -> float:
        """Of the rate, at the end, as a share of the rate at the beginning."""
        return 1 - _middle(self.held[len(self.held) // 2 :]) / _middle(self.free)

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "loss": round(self.loss, 3), "passed": self.loss < MOST_LOSS}


def snapshot(rounds: int, size: int, progress: Progress) -> Loss:
    """rounds: with and as many without the transaction; size: notifications of each. Raises BenchmarkError."""
    members = [Member("api", ("api",)), Member("worker-1", ("worker",))]
    with Rig.made({}) as rig, rig.sink() as sink, rig.running(members):
        rig.template()

        def rate(kind: str, number: int) -> float:
            began = time.monotonic()
            rig.ask(Work(f"{kind}{number}", "webhook", size, "bulk"), sink)
            rig.await_empty(limit=120)
            found = round(size / (time.monotonic() - began), 1)
            progress(kind, number, found)
            return found

        rate("first", 0)
        free = [rate("free", number) for number in range(rounds)]
        with contextlib.closing(Holder(rig.dsn)):
            held = [rate("held", number) for number in range(rounds)]
    return Loss(free, held)


class Holder:
    """A transaction that has read, and stays open."""

    def __init__(self, dsn: str) -> None:
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(self._begin(dsn))

    @staticmethod
    async def _begin(dsn: str) -> "asyncpg.Connection[asyncpg.Record]":
        connection = await asyncpg.connect(dsn)
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await connection.fetchval("SELECT count(*) FROM queue")
        return connection

    def close(self) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()


def _middle(rates: list[float]) -> float:
    ordered = sorted(rates)
    return ordered[len(ordered) // 2]
