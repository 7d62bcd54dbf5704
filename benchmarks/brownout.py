"""Two mail accounts: the first fails in part, or answers late, and heals. Which of them gets the traffic, second by second."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks import job
from benchmarks.fleet import Member
from benchmarks.rig import Rig
from benchmarks.sink_process import SinkProcess
from benchmarks.work import Work

Kind = Literal["failing", "slow"]
_FAULTS: dict[Kind, tuple[float, float]] = {"failing": (0.3, 0), "slow": (0, 5000)}
"""Share refused for now, and milliseconds to each answer."""

REACTS_WITHIN = 10  # seconds
SHARE = 0.9


@dataclass(frozen=True)
class Second:
    """What each account was given in one second of the scenario."""

    first: int
    second: int

    @property
    def share(self) -> float:
        """Of the second account."""
        return self.second / max(1, self.first + self.second)


@dataclass(frozen=True)
class Course:
    """broke, healed: at which second."""

    kind: Kind
    broke: int
    healed: int
    seconds: list[Second]

    @property
    def faults(self) -> list[str]:
        found = []
        away = self.seconds[self.broke + REACTS_WITHIN : self.healed]
        if _share(away) <= SHARE:
            found.append(f"the second account had {_share(away):.0%} after {REACTS_WITHIN} s")
        back = self.seconds[-REACTS_WITHIN:]
        if _share(back) >= 1 - SHARE:
            found.append(f"traffic did not return: the second still has {_share(back):.0%}")
        return found

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "faults": self.faults, "passed": not self.faults}


def _share(seconds: list[Second]) -> float:
    total = sum(one.first + one.second for one in seconds)
    return sum(one.second for one in seconds) / max(1, total)


def brownout(
    kind: Kind, rate: float, before: int, during: int, after: int, tell: Callable[[Second], None]
) -> Course:
    """rate: messages a second. before, during, after the trouble: seconds. Raises BenchmarkError."""
    with Rig.made({}) as rig, rig.sink() as first, rig.sink() as second:
        rig.settings.update(_account("first", first, 0) | _account("second", second, 1))
        members = [Member("api", ("api",)), Member("worker-1", ("worker",))]
        whole = before + during + after
        work = Work("brownout", "email", int(rate * whole), rate=rate)
        seconds: list[Second] = []
        with rig.running(members):
            rig.template()
            with rig.asking(work, first):
                start, given = time.monotonic(), (0, 0)
                for number in range(whole):
                    if number in (before, before + during):
                        first.fault(*(_FAULTS[kind] if number == before else (0, 0)))
                    time.sleep(max(0.0, start + number + 1 - time.monotonic()))
                    now = _given(first), _given(second)
                    seconds.append(Second(now[0] - given[0], now[1] - given[1]))
                    given = now
                    tell(seconds[-1])
    return Course(kind, before, before + during, seconds)


def _account(name: str, sink: SinkProcess, order: int) -> dict[str, str]:
    values = {
        "PROVIDER": "smtp",
        "HOST": "127.0.0.1",
        "PORT": str(sink.smtp_port),
        "SECURITY": "none",
        "FROM": job.SENDER,
        "ORDER": str(order),
    }
    return {f"TIDINGS_ACCOUNTS__{name}__{field}".upper(): value for field, value in values.items()}


def _given(sink: SinkProcess) -> int:
    """Messages so far, taken or refused."""
    found = sink.statistics()
    return int(found["total"]) + int(found["refused"])


def plot(course: Course, file: Path) -> None:
    """The share of each account, second by second, as an SVG."""
    width, height, margin = 720, 260, 40
    step = (width - 2 * margin) / max(1, len(course.seconds) - 1)

    def line(shares: list[float], colour: str) -> str:
        points = " ".join(
            f"{margin + number * step:.1f},{height - margin - share * (height - 2 * margin):.1f}"
            for number, share in enumerate(shares)
        )
        return f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>'

    def mark(second: int, words: str) -> str:
        x = margin + second * step
        return (
            f'<line x1="{x:.1f}" y1="{margin}" x2="{x:.1f}" y2="{height - margin}" stroke="#999" '
            f'stroke-dasharray="4"/><text x="{x + 4:.1f}" y="{margin - 6}">{words}</text>'
        )

    what = "fails 30 %" if course.kind == "failing" else "answers after 5 s"
    second = [one.share for one in course.seconds]
    parts = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12" fill="#333">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        mark(course.broke, f"the first account {what}"),
        mark(course.healed, "it heals"),
        line([1 - share for share in second], "#c0392b"),
        line(second, "#2471a3"),
        f'<text x="4" y="{margin + 4}">100 %</text>',
        f'<text x="14" y="{height - margin + 4}">0 %</text>',
        f'<text x="{margin}" y="{height - 10}" fill="#c0392b">first account</text>',
        f'<text x="{margin + 100}" y="{height - 10}" fill="#2471a3">second account</text>',
        f'<text x="{width - margin - 60}" y="{height - 10}">{len(second)} seconds</text>',
        "</svg>",
    )
    file.write_text("\n".join(parts) + "\n", encoding="utf-8")
