"""Tidings beside what people use today, in one interleaved run."""

import contextlib
import signal
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.cases import Case
from benchmarks.measure import Measurement, wait_for_quiet, warm_up
from benchmarks.processes import BenchmarkError, memory
from benchmarks.report import Report
from benchmarks.sink_process import SinkProcess
from benchmarks.system import System
from benchmarks.work import Work

_STEADY = 60  # seconds at most at a steady rate, whatever count is asked for


class Session:
    """One invocation: the systems under test, the sink, and what was found."""

    def __init__(self, directory: Path, report: Report, console: Console) -> None:
        self.directory = directory
        self._report = report
        self._console = console
        self._runs = 0
        self.sink = SinkProcess(directory)
        self.systems: list[System] = []
        self._started: list[System] = []

    def start(self, system: System) -> None:
        """Start it and keep it to be stopped, even if it does not come up whole.

        Raises BenchmarkError; a rival that does not start is only told of, loudly.
        """
        self._started.append(system)
        with self._console.status(f"starting {system.name}"):
            try:
                system.start()
            except BenchmarkError as error:
                self._give_up(system, error)
                return
        self.systems.append(system)
        self._report.versions[system.name] = system.versions()
        if system.idle_memory is not None:
            self._report.idle[system.name] = system.idle_memory

    def measure(self, cases: Sequence[Case], count: int | None, repetitions: int) -> None:
        """Warm up, then every case on every system in turn, and all that again: what the machine does
        meanwhile then hits all of them alike."""
        with self._progress() as progress:
            for system in tuple(self.systems):
                self._warm_up(progress, system, cases, min(500, count or 500))
            for repetition in range(1, repetitions + 1):
                for case in cases:
                    for system in self.systems:
                        if asked := _count(case, system, count):
                            wait_for_quiet(self.systems)
                            self._run(progress, system, case, asked, f"{repetition}/{repetitions}")
        for system in self.systems:
            pids = [
                pid for part, ids in system.processes().items() if part != "postgres" for pid in ids
            ]
            self._report.after_load[system.name] = memory(pids)

    def tell(self, note: str) -> None:
        """Say it at once, and again at the end."""
        self._report.notes.append(note)
        self._console.print(note, style="bold red")

    def stop(self) -> None:
        # Ending everything in order takes some seconds; a second Ctrl-C must not leave half of it behind.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        with contextlib.ExitStack() as stack:
            stack.callback(self.sink.stop)
            for system in self._started:
                stack.callback(system.stop)

    def _warm_up(
        self, progress: Progress, system: System, cases: Sequence[Case], count: int
    ) -> None:
        try:
            for case in {case.channel: case for case in cases}.values():
                self._run(progress, system, case, count, "warm-up")
        except BenchmarkError as error:
            self._give_up(system, error)

    def _give_up(self, system: System, error: BenchmarkError) -> None:
        """Go on without a rival; without Tidings there is nothing to measure."""
        if system.name == "tidings":
            raise error
        self.systems = [other for other in self.systems if other is not system]
        self.tell(f"{system.name} was not run: {error}")

    def _run(self, progress: Progress, system: System, case: Case, count: int, which: str) -> None:
        self._runs += 1
        work = Work(f"r{self._runs}", case.channel, count, case.door, case.rate, case.latency_ms)
        task = progress.add_task(f"{case.name:<18} {system.name:<13} {which}", total=count)
        log = self.directory / "producer.log"

        def arrived(total: int) -> None:
            progress.update(task, completed=total)

        measurement = Measurement(system, self.sink, log, arrived)
        if which == "warm-up":
            warm_up(measurement, work)
            progress.remove_task(task)
            return
        result = measurement.run(work)
        progress.update(task, completed=count - result.lost)
        self._report.results.setdefault((case.name, system.name), []).append(result)
        if not result.sound:
            words = f"{case.name}, {system.name}, run {which}: {result.document()}"
            self._report.notes.append(f"Not everything came through: {words}")

    def _progress(self) -> Progress:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        return Progress(*columns, console=self._console)


def _count(case: Case, system: System, asked: int | None) -> int:
    """Notifications of one run; 0 when this system is not asked for this case."""
    if system.name == "tidings":
        most = int(case.rate * _STEADY) if case.rate else None
        return min(asked or case.count, most) if most else asked or case.count
    if case.door == "bulk" and not system.bulk:
        return 0  # it would be asked one by one, which another case measures
    whole = case.rival_count if case.rate else int(case.rival_count * system.pace)
    return min(asked or whole, whole)


@contextlib.contextmanager
def session(base: Path | None, report: Report, console: Console) -> Iterator[Session]:
    """A session in a temporary directory; everything it started is ended and removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="tidings-bench-", dir=base) as directory:
        current = Session(Path(directory), report, console)
        try:
            yield current
        finally:
            current.stop()
