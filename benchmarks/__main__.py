"""`python -m benchmarks`: Tidings beside what people use today, in one interleaved run."""

import contextlib
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import celery_run, machine
from benchmarks.cases import CASES, IDLE, NAMES, Case
from benchmarks.celery_run import CelerySystem
from benchmarks.measure import Measurement, commit_of, wait_for_quiet, warm_up
from benchmarks.processes import ROOT, BenchmarkError, memory
from benchmarks.report import Report
from benchmarks.sink_process import SinkProcess
from benchmarks.system import System
from benchmarks.tidings_run import TidingsSystem
from benchmarks.work import Work

MOST = 200_000  # notifications of one run


class Session:
    """One invocation: the systems under test, the sink, and what was found."""

    def __init__(self, directory: Path, report: Report, console: Console) -> None:
        self.directory = directory
        self._report = report
        self._console = console
        self._runs = 0
        self.sink = SinkProcess(directory)
        self.systems: list[System] = []

    def start(self, system: System) -> None:
        """Start it and keep it to be stopped, even if it does not come up whole."""
        self.systems.append(system)
        with self._console.status(f"starting {system.name}"):
            system.start()
        self._report.versions[system.name] = system.versions()
        if system.idle_memory is not None:
            self._report.idle[system.name] = system.idle_memory

    def measure(self, cases: Sequence[Case], count: int | None, repetitions: int) -> None:
        """Warm up, then every case on every system in turn, and all that again: what the machine does
        meanwhile then hits all of them alike."""
        with self._progress() as progress:
            for system in self.systems:
                for case in {case.channel: case for case in cases}.values():
                    self._run(progress, system, case, min(500, count or 500), "warm-up")
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

    def stop(self) -> None:
        # Ending everything in order takes some seconds; a second Ctrl-C must not leave half of it behind.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        with contextlib.ExitStack() as stack:
            stack.callback(self.sink.stop)
            for system in self.systems:
                stack.callback(system.stop)

    def _run(self, progress: Progress, system: System, case: Case, count: int, which: str) -> None:
        self._runs += 1
        work = Work(f"r{self._runs}", case.channel, count, case.door, case.rate, case.latency_ms)
        task = progress.add_task(f"{case.name:<18} {system.name:<8} {which}", total=count)
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
        return asked or case.count
    return min(asked or case.rival_count, case.rival_count)


@contextlib.contextmanager
def session(base: Path | None, report: Report, console: Console) -> Iterator[Session]:
    """A session in a temporary directory; everything it started is ended and removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="tidings-bench-", dir=base) as directory:
        current = Session(Path(directory), report, console)
        try:
            yield current
        finally:
            current.stop()


def _selected(only: str | None) -> list[str]:
    names = list(NAMES) if only is None else [name.strip() for name in only.split(",")]
    if unknown := [name for name in names if name not in NAMES]:
        raise typer.BadParameter(
            f"{', '.join(unknown)}; known are {', '.join(NAMES)}", param_hint="--only"
        )
    return names


def _settings(pairs: Sequence[str]) -> dict[str, str]:
    settings = dict(pair.partition("=")[::2] for pair in pairs)
    if wrong := [name for name in settings if not name.startswith("TIDINGS_")]:
        raise typer.BadParameter(
            f"{', '.join(wrong)}: must be TIDINGS_NAME=VALUE", param_hint="--set"
        )
    return settings


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(
    only: Annotated[str | None, typer.Option(help=f"Cases, by comma: {', '.join(NAMES)}.")] = None,
    n: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Notifications of each run.")
    ] = None,
    reps: Annotated[
        int, typer.Option(min=1, max=20, help="Repetitions, of which the median counts.")
    ] = 3,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where the JSON goes.")] = None,
    rivals: Annotated[bool, typer.Option(help="Measure Celery beside it.")] = True,
    ours: Annotated[bool, typer.Option("--tidings/--no-tidings", help="Measure Tidings.")] = True,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of Tidings to try, TIDINGS_NAME=VALUE."),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--dir", exists=True, file_okay=False, help="Where the databases lie meanwhile."
        ),
    ] = None,
) -> None:
    """Measure the whole path, and print a table. Exits with 1 when anything was lost or doubled."""
    signal.signal(signal.SIGTERM, _end)
    console = Console()
    names, settings = _selected(only), _settings(setting or [])
    report = Report(
        machine=machine.describe(directory or Path(tempfile.gettempdir())),
        options={"only": names, "n": n, "reps": reps, "settings": settings},
        commit=commit_of(ROOT),
    )
    wanted: list[Callable[[Session], System]] = []
    if ours:
        wanted.append(lambda current: TidingsSystem(current.directory, current.sink, settings))
    if rivals and (why := celery_run.missing()):
        report.notes.append(f"No Celery to compare with: {why}")
        console.rule("[bold red]no rival")
        console.print(why, style="bold red")
    elif rivals:
        wanted.append(lambda current: CelerySystem(current.directory, current.sink))
    failed = False
    try:
        with session(directory, report, console) as current:
            for build in wanted:
                current.start(build(current))
            current.measure([case for case in CASES if case.name in names], n, reps)
    except BenchmarkError as error:
        report.notes.append(f"It ended early: {error}")
        failed = True
    except KeyboardInterrupt:
        report.notes.append("It was interrupted; what was finished is shown.")
        failed = True
    if IDLE not in names:
        report.idle.clear()
    report.show(console)
    path = (
        json_file or ROOT / "benchmarks" / "results" / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
    )
    report.write(path)
    console.print(f"written to {path}")
    sys.exit(failed or not report.sound)


if __name__ == "__main__":
    typer.run(main)
