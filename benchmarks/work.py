"""What a run is made of, as passed to the processes that ask for the work. Standard library only."""

import json
import resource
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Channel = Literal["webhook", "email"]
Door = Literal["single", "bulk"]


@dataclass(frozen=True)
class Work:
    """One run. count: notifications. rate: asked for per second at a steady pace; None for as fast as
    they are taken. latency_ms: how long the sink takes to answer each. priority: empty for none said. people: what their user ids
    begin with; empty for addresses without users."""

    run: str
    channel: Channel
    count: int
    door: Door = "single"
    rate: float | None = None
    latency_ms: int = 0
    priority: str = ""
    people: str = ""


@dataclass(frozen=True)
class Errand:
    """What a producer process is told on its standard input: the work, and where it goes.

    port: of the API under test; 0 for a system that is asked by a function call. limit: seconds.
    """

    work: Work
    hook_url: str
    limit: float
    port: int = 0
    key: str = field(default="", repr=False)

    def address(self, number: int) -> str:
        """The recipient of the request with this number."""
        return self.hook_url if self.work.channel == "webhook" else f"user{number:06d}@example.com"

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls) -> "Errand":
        document: dict[str, Any] = json.load(sys.stdin)
        return cls(**{**document, "work": Work(**document["work"])})


@dataclass
class Tally:
    """What a producer saw. answers: by HTTP status or kind of failure, counted in notifications.

    first_us: Unix time of the first request in microseconds; seconds: from it to the last answer;
    cpu_s: user and system time of the producer meanwhile; p50, p99: of the answers' times.
    """

    accepted: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    first_us: int = 0
    seconds: float = 0
    cpu_s: float = 0
    p50_ms: float | None = None
    p99_ms: float | None = None

    def count(self, answer: str, notifications: int) -> None:
        self.answers[answer] = self.answers.get(answer, 0) + notifications

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> "Tally":
        document: dict[str, Any] = json.loads(text)
        return cls(**document)


class Stopwatch:
    """Wall and processor time from its start, of this process."""

    def __init__(self) -> None:
        self.first_us = time.time_ns() // 1000
        self._started = time.perf_counter()
        self._used = _used()

    def read(self, tally: Tally) -> None:
        tally.first_us = self.first_us
        tally.seconds = time.perf_counter() - self._started
        tally.cpu_s = _used() - self._used


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
