"""One run of one case on one system: from the first request to the last state in PostgreSQL."""

import contextlib
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.processes import BenchmarkError, Child, PeakMemory, cpu_seconds
from benchmarks.sink_process import SinkProcess
from benchmarks.system import Producer, System
from benchmarks.work import Errand, Tally, Work

RUN_LIMIT = 180.0  # seconds for one run, all in all
_STALL = 30.0  # seconds without an arrival or a settled delivery, after which a run ends as it is


@dataclass(frozen=True)
class Result:
    """rate: settled per second, from the first request to the last commit. cpu: seconds per 1,000 settled,
    all and by part (the producer among them, the sink not). peak_mb: PSS without PostgreSQL and producer.
    p50, p99: from asked to the sink. lost: accepted, and never seen by the sink. unsettled: accepted, and
    not recorded as sent."""

    rate: float
    cpu: float
    cpu_parts: Mapping[str, float]
    p50_ms: float | None
    p99_ms: float | None
    peak_mb: float
    asked: int
    accepted: int
    lost: int
    doubled: int
    unsettled: int
    details: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def sound(self) -> bool:
        """Everything asked for was accepted, arrived once, and is known to have been sent."""
        return self.accepted == self.asked and not (self.lost or self.doubled or self.unsettled)


def median(results: Sequence[Result]) -> Result:
    """The median of each figure; of what must not be, the worst of all runs."""
    return Result(
        rate=statistics.median(r.rate for r in results),
        cpu=statistics.median(r.cpu for r in results),
        cpu_parts={
            part: round(statistics.median(r.cpu_parts[part] for r in results), 3)
            for part in results[0].cpu_parts
        },
        p50_ms=_median_of([r.p50_ms for r in results]),
        p99_ms=_median_of([r.p99_ms for r in results]),
        peak_mb=statistics.median(r.peak_mb for r in results),
        asked=results[0].asked,
        accepted=min(r.accepted for r in results),
        lost=max(r.lost for r in results),
        doubled=max(r.doubled for r in results),
        unsettled=max(r.unsettled for r in results),
    )


def _median_of(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


class Measurement:
    """Runs work on a system and measures it. arrived: called with the count so far, for progress."""

    def __init__(
        self, system: System, sink: SinkProcess, log: Path, arrived: Callable[[int], None]
    ) -> None:
        self._system, self._sink, self._log, self._arrived = system, sink, log, arrived

    def run(self, work: Work) -> Result:
        """Raises BenchmarkError when the producer fails; what does not arrive is counted instead."""
        self._sink.reset(work)
        parts = self._system.processes()
        watched = [pid for part, pids in parts.items() if part != "postgres" for pid in pids]
        deadline = time.monotonic() + RUN_LIMIT
        before = {part: cpu_seconds(pids) for part, pids in parts.items()}
        with (
            PeakMemory(watched) as peak,
            _Producing(self._system.producer, self._errand(work), self._log) as it,
        ):
            self._await(lambda: self._missing(it), deadline)
            tally = it.tally
            self._await(lambda: self._system.waiting(work, tally.accepted), deadline)
        used = {part: cpu_seconds(pids) - before[part] for part, pids in parts.items()}
        return self._result(work, tally, {**used, "producer": tally.cpu_s}, peak.megabytes)

    def _errand(self, work: Work) -> Errand:
        producer = self._system.producer
        return Errand(work, self._sink.hook_url, RUN_LIMIT / 2, producer.port, producer.key)

    def _missing(self, producing: "_Producing") -> int:
        """How many notifications have still to reach the sink; counted from all while more are asked for."""
        running = (
            producing.running
        )  # looked at first: what arrives meanwhile is then not overlooked
        count = self._sink.arrived()
        self._arrived(count)
        if running:
            return producing.asked - count + 1
        return max(0, producing.tally.accepted - count)

    def _await(self, missing: Callable[[], int], deadline: float) -> None:
        """Wait until nothing is missing, as long as the count still changes."""
        last, changed, pause = -1, time.monotonic(), 0.02
        while count := missing():
            now = time.monotonic()
            if count != last:
                last, changed = count, now
            if now > deadline or now - changed > _STALL:
                return
            time.sleep(pause)
            pause = min(pause * 1.5, 0.2)

    def _result(
        self, work: Work, tally: Tally, used: Mapping[str, float], peak_mb: float
    ) -> Result:
        seen = self._sink.statistics()
        settled = self._system.settled(work, tally.first_us)
        seconds = settled.at - tally.first_us / 1e6
        thousands = max(settled.count, 1) / 1000
        return Result(
            rate=round(settled.count / seconds, 1) if settled.count else 0.0,
            cpu=round(sum(used.values()) / thousands, 3),
            cpu_parts={part: round(value / thousands, 3) for part, value in used.items()},
            p50_ms=seen["p50_ms"],
            p99_ms=seen["p99_ms"],
            peak_mb=peak_mb,
            asked=work.count,
            accepted=tally.accepted,
            lost=max(0, tally.accepted - seen["unique"]),
            doubled=seen["doubled"] + seen["foreign"],
            unsettled=max(0, tally.accepted - settled.count),
            details={
                "seconds": round(seconds, 3) if settled.count else None,
                "accept_seconds": round(tally.seconds, 3),
                "accept_p50_ms": tally.p50_ms,
                "accept_p99_ms": tally.p99_ms,
                "answers": dict(tally.answers),
                "other_states": dict(settled.others),
                "sink": seen,
            },
        )


class _Producing:
    """The producer process while it is entered; its tally once it has ended."""

    def __init__(self, producer: Producer, errand: Errand, log: Path) -> None:
        self._child = Child(producer.command, log, environment=producer.environment, pipe=True)
        self._errand = errand
        self._tally: Tally | None = None
        self.asked = errand.work.count

    def __enter__(self) -> "_Producing":
        stdin = self._child.popen.stdin
        assert stdin is not None
        # One that could not even start reads nothing; its exit code and log tell why.
        with contextlib.suppress(BrokenPipeError), stdin:
            stdin.write(self._errand.dump())
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop(grace=1)

    @property
    def running(self) -> bool:
        return self._child.popen.poll() is None

    @property
    def tally(self) -> Tally:
        """Raises BenchmarkError when the producer is still at work, or failed."""
        if self._tally is None:
            if self.running or self._child.popen.returncode:
                raise BenchmarkError(f"the producer did not finish: {self._child.last_words()}")
            assert self._child.popen.stdout is not None
            self._tally = Tally.load(self._child.popen.stdout.read())
        return self._tally


def warm_up(measurement: Measurement, work: Work) -> None:
    """A small run, so that code is loaded, connections are open and plans are made.

    Raises BenchmarkError when not everything arrives: then there is nothing worth measuring.
    """
    result = measurement.run(replace(work, count=min(work.count, 500), latency_ms=0, rate=None))
    if not result.sound:
        raise BenchmarkError(f"the warm-up of {work.run} did not come through: {result.document()}")


def wait_for_quiet(systems: Sequence[System], limit: float = 10) -> None:
    """Until nothing that was measured before still works in the background, as a vacuum or a checkpoint."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        before = _used(systems)
        time.sleep(0.5)
        if _used(systems) - before < 0.03:
            return


def _used(systems: Sequence[System]) -> float:
    return sum(cpu_seconds(pids) for system in systems for pids in system.processes().values())


def commit_of(root: Path) -> str | None:
    """The commit that is measured; None outside a repository, without commits or without git."""
    if shutil.which("git") is None:
        return None
    command = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None if answer.returncode == 0 else None
