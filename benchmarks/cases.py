"""What is measured, and what is aimed at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.measure import Result
from benchmarks.work import Channel, Door

Medians = Mapping[tuple[str, str], Result]
"""The median result by (case, system)."""


@dataclass(frozen=True)
class Target:
    """What a case should reach. value: the figure, None when what it compares with was not measured."""

    words: str
    value: Callable[[Medians], float | None]
    limit: float
    at_most: bool = False

    def reached(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit


@dataclass(frozen=True)
class Case:
    """count, rival_count: notifications per run, for Tidings and for its rival, of similar duration.

    rival_count of 0: the rival is not asked, since the target compares Tidings with itself.
    """

    name: str
    channel: Channel
    count: int
    rival_count: int
    door: Door = "single"
    rate: float | None = None
    latency_ms: int = 0
    targets: tuple[Target, ...] = ()


def _times_celery(case: str, limit: float) -> Target:
    def value(medians: Medians) -> float | None:
        ours, theirs = medians.get((case, "tidings")), medians.get((case, "celery"))
        return ours.rate / theirs.rate if ours and theirs and theirs.rate else None

    return Target("x Celery", value, limit)


def _share_of(case: str, whole: str, limit: float) -> Target:
    def value(medians: Medians) -> float | None:
        part, full = medians.get((case, "tidings")), medians.get((whole, "tidings"))
        return part.rate / full.rate if part and full and full.rate else None

    return Target(f"of {whole}", value, limit)


def _latency(case: str, words: str, read: Callable[[Result], float | None], limit: float) -> Target:
    def value(medians: Medians) -> float | None:
        result = medians.get((case, "tidings"))
        return read(result) if result else None

    return Target(words, value, limit, at_most=True)


CASES: tuple[Case, ...] = (
    Case("webhook-single", "webhook", 12_000, 3_000, targets=(_times_celery("webhook-single", 5),)),
    Case(
        "webhook-bulk",
        "webhook",
        20_000,
        3_000,
        door="bulk",
        targets=(_times_celery("webhook-bulk", 7),),
    ),
    Case(
        "webhook-50ms",
        "webhook",
        12_000,
        2_000,
        latency_ms=50,
        targets=(_share_of("webhook-50ms", "webhook-single", 0.8),),
    ),
    Case(
        "webhook-bulk-50ms",
        "webhook",
        20_000,
        0,
        door="bulk",
        latency_ms=50,
        targets=(_share_of("webhook-bulk-50ms", "webhook-bulk", 0.8),),
    ),
    Case("smtp-single", "email", 8_000, 2_000, targets=(_times_celery("smtp-single", 5),)),
    Case(
        "smtp-bulk", "email", 10_000, 2_000, door="bulk", targets=(_times_celery("smtp-bulk", 5),)
    ),
    Case(
        "steady-200",
        "webhook",
        2_000,
        2_000,
        rate=200,
        targets=(
            _latency("steady-200", "p50 ms", lambda result: result.p50_ms, 10),
            _latency("steady-200", "p99 ms", lambda result: result.p99_ms, 50),
        ),
    ),
)

IDLE = "idle-memory"
"""The case that needs no work: what Tidings' processes hold after their start."""
IDLE_LIMIT_MB = 250

NAMES = (*(case.name for case in CASES), IDLE)
