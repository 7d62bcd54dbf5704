"""`python -m benchmarks`: Tidings beside what people use today, and scenarios by name."""

import contextlib
import json
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import machine
from benchmarks.brownout import Kind, brownout, plot
from benchmarks.cases import CASES, IDLE, NAMES
from benchmarks.compare import Session, session
from benchmarks.feed import feed
from benchmarks.measure import commit_of
from benchmarks.people import people
from benchmarks.processes import ROOT, BenchmarkError
from benchmarks.providers import document, speeds
from benchmarks.receipts import receipts
from benchmarks.report import Report
from benchmarks.rivals.kinds import RIVALS, Rival, missing
from benchmarks.rivals.system import RivalSystem
from benchmarks.snapshot import snapshot
from benchmarks.storm import FAULTS, Plan, storm
from benchmarks.tidings_run import TidingsSystem
from benchmarks.urgent import urgent

MOST = 200_000  # notifications of one run
QUICK = 1_000

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def _chosen(option: str, given: str | None, known: Sequence[str]) -> list[str]:
    names = list(known) if given is None else [name.strip() for name in given.split(",")]
    if unknown := [name for name in names if name not in known]:
        raise typer.BadParameter(
            f"{', '.join(unknown)}; known are {', '.join(known)}", param_hint=option
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


@contextlib.contextmanager
def _noted(report: Report) -> Iterator[None]:
    """What ends a run early is a note; what was finished is shown all the same."""
    try:
        yield
    except BenchmarkError as error:
        report.notes.append(f"It ended early: {error}")
        report.failed = True
    except KeyboardInterrupt:
        report.notes.append("It was interrupted; what was finished is shown.")
        report.failed = True


def _start_all(current: Session, ours: bool, rivals: Sequence[Rival], own: dict[str, str]) -> None:
    if ours:
        current.start(TidingsSystem(current.directory, current.sink, own))
    for rival in rivals:
        if why := missing(rival):
            current.tell(f"{rival.name} was not run: {why}")
        else:
            current.start(RivalSystem(rival, current.directory, current.sink))


@app.callback(invoke_without_command=True)
def compare(
    context: typer.Context,
    only: Annotated[str | None, typer.Option(help=f"Cases, by comma: {', '.join(NAMES)}.")] = None,
    n: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Notifications of each run.")
    ] = None,
    reps: Annotated[
        int, typer.Option(min=1, max=20, help="Repetitions, of which the median counts.")
    ] = 3,
    quick: Annotated[
        bool, typer.Option("--quick", help=f"One repetition of {QUICK:,}: does it work at all?")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where the JSON goes.")] = None,
    rivals: Annotated[bool, typer.Option(help="Measure the rivals beside it.")] = True,
    beside: Annotated[
        str | None,
        typer.Option(help=f"Rivals, by comma: {', '.join(rival.name for rival in RIVALS)}."),
    ] = None,
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
    if context.invoked_subcommand is not None:
        return
    console = Console()
    names, settings = _chosen("--only", only, NAMES), _settings(setting or [])
    wanted = _chosen("--beside", beside, [rival.name for rival in RIVALS]) if rivals else []
    count, repetitions = (n or QUICK, 1) if quick else (n, reps)
    report = Report(
        machine=machine.describe(directory or Path(tempfile.gettempdir())),
        options={"only": names, "n": count, "reps": repetitions, "settings": settings},
        commit=commit_of(ROOT),
    )
    with _noted(report), session(directory, report, console) as current:
        chosen = [rival for rival in RIVALS if rival.name in wanted]
        _start_all(current, ours, chosen, settings)
        current.measure([case for case in CASES if case.name in names], count, repetitions)
    if IDLE not in names:
        report.idle.clear()
    report.show(console)
    path = (
        json_file or ROOT / "benchmarks" / "results" / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
    )
    report.write(path)
    console.print(f"written to {path}")
    sys.exit(report.failed or not report.sound)


@app.command("storm")
def storm_command(
    seconds: Annotated[float, typer.Option(min=1, help="How long it storms.")] = 60,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between kills.")] = 1,
    restarts: Annotated[int, typer.Option(min=0, help="Restarts of PostgreSQL meanwhile.")] = 2,
    lease: Annotated[float, typer.Option(min=2, help="TIDINGS_WORKER__LEASE, in seconds.")] = 20,
    callers: Annotated[int, typer.Option(min=1, help="Callers at a time.")] = 20,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where the JSON goes.")] = None,
) -> None:
    """Kill API and workers again and again at full load, restart PostgreSQL, and check every promise."""
    console = Console()
    bulks = max(1, callers // 5)
    plan = Plan(seconds, every, restarts, lease, singles=callers - bulks, bulks=bulks)
    with console.status(f"a storm of {seconds:g} s"):
        verdict = storm(plan)
    for name, count in verdict.faults().items():
        console.print(f"{count:,} {FAULTS[name]}", style="bold red")
    _conclude(console, verdict.document(), json_file)


@app.command("urgent")
def urgent_command(
    campaign: Annotated[int, typer.Option(min=1, help="Low-priority ones waiting.")] = 200_000,
    seconds: Annotated[float, typer.Option(min=1, help="How long to ask for critical ones.")] = 20,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where the JSON goes.")] = None,
) -> None:
    """Critical notifications at 20/s beside a campaign, and idle: how long until the provider has them."""
    console = Console()
    with console.status(f"critical ones beside {campaign:,} waiting"):
        found = urgent(campaign, seconds)
    _conclude(console, found.document(), json_file)


@app.command("brownout")
def brownout_command(
    kind: Annotated[str, typer.Option(help="What the first account does: failing or slow.")] = (
        "failing"
    ),
    rate: Annotated[float, typer.Option(min=1, help="Messages a second.")] = 100,
    before: Annotated[int, typer.Option(min=1, help="Seconds before the trouble.")] = 10,
    during: Annotated[int, typer.Option(min=11, help="Seconds of trouble.")] = 40,
    after: Annotated[int, typer.Option(min=11, help="Seconds after it.")] = 60,
    svg: Annotated[Path | None, typer.Option(help="Where the plot goes.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where the JSON goes.")] = None,
) -> None:
    """Two accounts, of which the first is in trouble for a while: who gets the traffic, each second."""
    console = Console()
    named: Kind = "slow" if _chosen("--kind", kind, ("failing", "slow")) == ["slow"] else "failing"
    course = brownout(
        named,
        rate,
        before,
        during,
        after,
        lambda second: console.print(f"{second.first:>5} {second.second:>5} {second.share:4.0%}"),
    )
    plot(course, svg or ROOT / "docs" / "explanation" / f"brownout-{named}.svg")
    _conclude(console, course.document(), json_file)


@app.command("snapshot")
def snapshot_command(
    rounds: Annotated[int, typer.Option(min=2, help="Rounds without, and as many with.")] = 10,
    size: Annotated[int, typer.Option(min=100, help="Notifications of a round.")] = 20_000,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where the JSON goes.")] = None,
) -> None:
    """How much of the rate a transaction costs that is held open for long."""
    console = Console()
    loss = snapshot(
        rounds,
        size,
        lambda kind, number, rate: console.print(f"{kind} {number}: {rate:,.0f}/s"),
    )
    _conclude(console, loss.document(), json_file)


@app.command("people")
def people_command(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each, with and without.")] = 7,
    size: Annotated[int, typer.Option(min=100, help="Notifications of a round.")] = 10_000,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where the JSON goes.")] = None,
) -> None:
    """How much slower it is to accept for recipients who all have preferences, quiet hours and a suppression."""
    console = Console()
    cost = people(
        rounds, size, lambda door, who, rate: console.print(f"{door:<6} {who:<6} {rate:>8,.0f}/s")
    )
    _conclude(console, cost.document(), json_file)


@app.command("feed")
def feed_command(
    connections: Annotated[int, typer.Option(min=1, help="Open in one API process.")] = 5_000,
    rate: Annotated[float, typer.Option(min=1, help="Entries published a second.")] = 200,
    seconds: Annotated[float, typer.Option(min=1, help="How long.")] = 20,
    reconnects: Annotated[int, typer.Option(min=0, help="At random moments.")] = 1_000,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where the JSON goes.")] = None,
) -> None:
    """In-app feeds watched live: how long an entry takes to the client, and whether any is lost or doubled."""
    console = Console()
    found = feed(connections, rate, seconds, reconnects, console.print)
    _conclude(console, found.document(), json_file)


@app.command("providers")
def providers_command(
    count: Annotated[int, typer.Option(min=100, help="Messages of each.")] = 5_000,
    only: Annotated[str, typer.Option(help="Providers, by comma; webhooks are always there.")] = "",
    json_file: Annotated[Path | None, typer.Option("--json", help="Where the JSON goes.")] = None,
) -> None:
    """How fast each provider sends, one worker process against stand-ins on loopback, beside webhooks."""
    console = Console()
    found = speeds(count, [one for one in only.split(",") if one], console.print)
    _conclude(console, document(found), json_file)


@app.command("receipts")
def receipts_command(
    count: Annotated[int, typer.Option(min=1_000, help="Receipts of each measurement.")] = 30_000,
    burst: Annotated[
        int, typer.Option(min=1_000, help="Receipts while messages are sent.")
    ] = 100_000,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where the JSON goes.")] = None,
) -> None:
    """How many receipts a second are verified, stored and read; and what a burst of them costs those who send."""
    console = Console()
    found = receipts(count, burst, console.print)
    _conclude(console, found.document(), json_file)


def _conclude(console: Console, document: Mapping[str, Any], json_file: Path | None) -> None:
    console.print_json(data=document)
    if json_file is not None:
        json_file.write_text(json.dumps(document, indent=2) + "\n")
    sys.exit(not document["passed"])


if __name__ == "__main__":
    app()
