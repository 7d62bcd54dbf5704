"""What is measured, and what is aimed at."""

from collections.abc import Callable, Mapping, Sequence
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
    """count, rival_count: notifications per run, for Tidings and for a rival of Celery's pace, of similar
    duration."""

    name: str
    channel: Channel
    count: int
    rival_count: int
    door: Door = "single"
    rate: float | None = None
    latency_ms: int = 0
    targets: tuple[Target, ...] = ()


_WEBHOOK = ("webhook-single", "webhook-bulk")
_WEBHOOK_SLOW = ("webhook-50ms", "webhook-bulk-50ms")
_MAIL = ("smtp-single", "smtp-bulk")


def _rivals(medians: Medians, cases: Sequence[str]) -> list[Result]:
    """What the rivals reached, asked either way: some cannot be asked in bulk."""
    return [
        found
        for (case, system), found in medians.items()
        if case in cases and system != "tidings" and found.rate
    ]


def _times_celery(case: str, doors: Sequence[str], limit: float) -> Target:
    def value(medians: Medians) -> float | None:
        ours = medians.get((case, "tidings"))
        theirs = [medians[door, "celery"].rate for door in doors if (door, "celery") in medians]
        return ours.rate / max(theirs) if ours and theirs and max(theirs) else None

    return Target("x Celery", value, limit)


def _times_best(case: str, doors: Sequence[str], limit: float) -> Target:
    def value(medians: Medians) -> float | None:
        ours, theirs = medians.get((case, "tidings")), _rivals(medians, doors)
        return ours.rate / max(one.rate for one in theirs) if ours and theirs else None

    return Target("x the best rival", value, limit)


def _cpu_of_best(case: str, doors: Sequence[str]) -> Target:
    def value(medians: Medians) -> float | None:
        ours, theirs = medians.get((case, "tidings")), _rivals(medians, doors)
        return ours.cpu / min(one.cpu for one in theirs) if ours and theirs else None

    return Target("x the thriftiest rival's CPU", value, 1, at_most=True)


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
    Case(
        "webhook-single",
        "webhook",
        12_000,
        3_000,
        targets=(
            _times_celery("webhook-single", _WEBHOOK, 5),
            _times_best("webhook-single", _WEBHOOK, 1),
            _cpu_of_best("webhook-single", _WEBHOOK),
        ),
    ),
    Case(
        "webhook-bulk",
        "webhook",
        20_000,
        3_000,
        door="bulk",
        targets=(
            _times_celery("webhook-bulk", _WEBHOOK, 7),
            _times_best("webhook-bulk", _WEBHOOK, 1.7),
            _cpu_of_best("webhook-bulk", _WEBHOOK),
        ),
    ),
    Case(
        "webhook-50ms",
        "webhook",
        12_000,
        2_000,
        latency_ms=50,
        targets=(
            _share_of("webhook-50ms", "webhook-single", 0.8),
            _times_best("webhook-50ms", _WEBHOOK_SLOW, 1),
        ),
    ),
    Case(
        "webhook-bulk-50ms",
        "webhook",
        20_000,
        2_000,
        door="bulk",
        latency_ms=50,
        targets=(
            _share_of("webhook-bulk-50ms", "webhook-bulk", 0.8),
            _times_best("webhook-bulk-50ms", _WEBHOOK_SLOW, 1.7),
        ),
    ),
    Case(
        "smtp-single",
        "email",
        8_000,
        2_000,
        targets=(
            _times_celery("smtp-single", _MAIL, 5),
            _times_best("smtp-single", _MAIL, 1),
            _cpu_of_best("smtp-single", _MAIL),
        ),
    ),
    Case(
        "smtp-bulk",
        "email",
        10_000,
        2_000,
        door="bulk",
        targets=(
            _times_celery("smtp-bulk", _MAIL, 5),
            _times_best("smtp-bulk", _MAIL, 3),
            _cpu_of_best("smtp-bulk", _MAIL),
        ),
    ),
    Case(
        "steady-200",
        "webhook",
        2_000,
        2_000,
        rate=200,
        targets=(
            _latency("steady-200", "p50 ms", lambda result: result.p50_ms, 10),
            _latency("steady-200", "p99 ms", lambda result: result.p99_ms, 20),
        ),
    ),
)

IDLE = "idle-memory"
"""The case that needs no work: what Tidings' processes hold after their start."""
IDLE_LIMIT_MB = 250

NAMES = (*(case.name for case in CASES), IDLE)
