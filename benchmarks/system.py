"""What the benchmark wants from a system: start, take work, tell when it is settled, stop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.processes import Memory
from benchmarks.work import Work


@dataclass(frozen=True)
class Settled:
    """A run's state in PostgreSQL. count: settled as sent; at: Unix time of the last of them, 0 for none;
    others: everything else, by status."""

    count: int
    at: float
    others: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Producer:
    """How to ask this system for work: a command that reads an Errand and prints a Tally."""

    command: Sequence[str]
    environment: Mapping[str, str]
    port: int = 0
    key: str = field(default="", repr=False)


class System(Protocol):
    name: str
    pace: float
    """How fast it is, very roughly, beside Celery: its runs then take about as long."""
    bulk: bool
    """Whether it can be asked for many at once."""
    idle_memory: Memory | None
    """After the start and before any work, without PostgreSQL."""

    def start(self) -> None:
        """Raises BenchmarkError."""
        ...

    def stop(self) -> None: ...

    @property
    def producer(self) -> Producer: ...

    def processes(self) -> Mapping[str, Sequence[int]]:
        """Process ids by part; the trees below belong to them. The part "postgres" is always there."""
        ...

    def waiting(self, work: Work, accepted: int) -> int:
        """How many of the run's accepted notifications are not settled yet; asked again and again."""
        ...

    def settled(self, work: Work, first_us: int) -> Settled:
        """How the run ended. first_us: Unix time of its first request, in microseconds."""
        ...

    def versions(self) -> Mapping[str, str]: ...
