"""The text of /metrics: the counters of all processes on this machine, the depth of the queue, and the dead letters."""

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from tidings.domain.channels import Channel
from tidings.domain.priorities import Priority
from tidings.queue import postgres as queue
from tidings.queue.postgres import Depth
from tidings.store import dead_letters
from tidings.store.database import Pool

# prometheus_client decides by this variable, when it is imported, whether values are shared.
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"


class _QueueCollector(Collector):
    def __init__(self, depths: list[Depth]) -> None:
        self._depths = {depth.priority: depth for depth in depths}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        entries = GaugeMetricFamily(
            "tidings_queue_entries", "Deliveries in the queue.", labels=["priority", "state"]
        )
        age = GaugeMetricFamily(
            "tidings_queue_oldest_seconds",
            "Age of the oldest delivery that is due.",
            labels=["priority"],
        )
        for priority in Priority:
            depth = self._depths.get(priority, Depth(priority, 0, 0, 0, 0.0))
            for state in ("waiting", "scheduled", "leased"):
                entries.add_metric([priority.word, state], getattr(depth, state))
            age.add_metric([priority.word], depth.age)
        yield entries
        yield age


class _DeadLetterCollector(Collector):
    def __init__(self, waiting: Mapping[Channel, int]) -> None:
        self._waiting = waiting

    def collect(self) -> Iterator[GaugeMetricFamily]:
        letters = GaugeMetricFamily(
            "tidings_dead_letters",
            "Deliveries that failed for good, and were neither replayed nor discarded.",
            labels=["channel"],
        )
        for channel in Channel:
            letters.add_metric([channel], self._waiting.get(channel, 0))
        yield letters


def exposition(registry: CollectorRegistry, pool: Pool) -> Callable[[], Awaitable[bytes]]:
    """A function that makes the text."""

    async def text() -> bytes:
        whole = CollectorRegistry()
        whole.register(_QueueCollector(await queue.depth(pool)))
        whole.register(_DeadLetterCollector(await dead_letters.waiting(pool)))
        if MULTIPROCESS in os.environ:
            forget_the_dead(Path(os.environ[MULTIPROCESS]))
            MultiProcessCollector(whole)  # type: ignore[no-untyped-call]  # untyped upstream
            return generate_latest(whole)
        return generate_latest(registry) + generate_latest(whole)

    return text


def forget_the_dead(directory: Path) -> None:
    """What processes that were killed said of themselves is not so any more; what they counted stays."""
    for file in directory.glob("gauge_live*_*.db"):
        if not psutil.pid_exists(int(file.stem.rpartition("_")[2])):
            file.unlink(missing_ok=True)
