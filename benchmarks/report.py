"""The results as a table for people and as JSON for machines."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.cases import CASES, IDLE, IDLE_LIMIT_MB, Case, Medians, Target
from benchmarks.measure import Result, median
from benchmarks.processes import Memory


@dataclass
class Report:
    """What was measured. results: every run by (case, system), in their order."""

    machine: Mapping[str, Any]
    versions: dict[str, Mapping[str, str]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    commit: str | None = None
    results: dict[tuple[str, str], list[Result]] = field(default_factory=dict)
    idle: dict[str, Memory] = field(default_factory=dict)
    after_load: dict[str, Memory] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    failed: bool = False

    @property
    def medians(self) -> Medians:
        return {key: median(results) for key, results in self.results.items()}

    @property
    def sound(self) -> bool:
        return all(result.sound for results in self.results.values() for result in results)

    def document(self) -> dict[str, Any]:
        medians = self.medians
        return {
            "machine": self.machine,
            "versions": self.versions,
            "options": self.options,
            "commit": self.commit,
            "notes": self.notes,
            "idle_memory_mb": {name: asdict(memory) for name, memory in self.idle.items()},
            "memory_after_load_mb": {
                name: asdict(memory) for name, memory in self.after_load.items()
            },
            "targets": [
                {
                    "case": case.name,
                    "target": f"{_limit(target)} {target.words}",
                    "value": value,
                    "reached": reached,
                }
                for case in CASES
                for target, value, reached in verdicts(case, medians)
            ],
            "cases": [
                {
                    "case": case,
                    "system": system,
                    "median": medians[case, system].document(),
                    "runs": [result.document() for result in results],
                }
                for (case, system), results in self.results.items()
            ],
        }

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.document(), indent=2) + "\n", encoding="utf-8")

    def show(self, console: Console) -> None:
        if self.results:
            console.print(self._figures())
        if self.idle:
            console.print(self._memory())
        targets = self._targets()
        if targets.row_count:
            console.print(targets)
        for note in self.notes:
            console.print(Text(note, style="bold red"))

    def _figures(self) -> Table:
        table = _table("Whole path: asked, stored, rendered, sent, settled")
        table.caption = (
            "Medians. CPU: seconds per 1,000, of all processes, PostgreSQL and the asking one included. "
            "p50, p99: ms from asked to the sink, which at full rate is the backlog. peak: MB of memory, "
            "PostgreSQL apart."
        )
        for name in ("case", "system"):
            table.add_column(name, no_wrap=True)
        for name in ("rate/s", "CPU", "p50", "p99", "peak", "lost", "doubled"):
            table.add_column(name, justify="right")
        for (case, system), result in self.medians.items():
            table.add_row(case, system, *_row(result))
        return table

    def _memory(self) -> Table:
        table = _table("Memory of all processes without PostgreSQL, in MB")
        table.add_column("system")
        for name in ("idle PSS", "idle RSS (sum)", "PSS after the load"):
            table.add_column(name, justify="right")
        for system, idle in self.idle.items():
            after = self.after_load.get(system)
            table.add_row(
                system, f"{idle.pss:.0f}", f"{idle.rss:.0f}", f"{after.pss:.0f}" if after else ""
            )
        return table

    def _targets(self) -> Table:
        table = _table("Targets")
        table.add_column("case", no_wrap=True)
        table.add_column("measured", justify="right")
        table.add_column("target")
        table.add_column("")
        medians = self.medians
        for case in CASES:
            for target, value, reached in verdicts(case, medians):
                if value is not None and reached is not None:
                    words = f"{value:.2f} {target.words}"
                    verdict = Text("reached" if reached else "missed", style=_colour(reached))
                    table.add_row(case.name, words, _limit(target), verdict)
                elif (case.name, "tidings") in medians:
                    compared = f"{target.words}: nothing to compare with"
                    table.add_row(case.name, compared, _limit(target), "")
        if "tidings" in self.idle:
            pss = self.idle["tidings"].pss
            measured = Text(f"{pss:.0f} MB", style=_colour(pss <= IDLE_LIMIT_MB))
            verdict = Text("reached" if pss <= IDLE_LIMIT_MB else "missed")
            table.add_row(IDLE, measured, f"at most {IDLE_LIMIT_MB}", verdict)
        return table


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )


def _colour(reached: bool) -> str:
    return "green" if reached else "bold red"


def _limit(target: Target) -> str:
    return f"{'at most' if target.at_most else 'at least'} {target.limit:g}"


def verdicts(case: Case, medians: Medians) -> Sequence[tuple[Target, float | None, bool | None]]:
    """Each target of a case with its figure and whether it is reached; None when it cannot be said."""
    found = []
    for target in case.targets:
        value = target.value(medians)
        reached = None if value is None else target.reached(value)
        found.append((target, None if value is None else round(value, 3), reached))
    return found


def _row(result: Result) -> list[Text]:
    return [
        Text(f"{result.rate:,.0f}"),
        Text(f"{result.cpu:.2f}"),
        Text(_milliseconds(result.p50_ms)),
        Text(_milliseconds(result.p99_ms)),
        Text(f"{result.peak_mb:.0f}"),
        _must_be_zero(max(result.lost, result.unsettled)),
        _must_be_zero(result.doubled),
    ]


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.{0 if value >= 100 else 1}f}"


def _must_be_zero(count: int) -> Text:
    return Text(f"{count:,}", style="bold red" if count else "")
