"""Critical notifications beside a campaign: how long they take to the provider, and how long when it is idle."""

from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.fleet import Member
from benchmarks.processes import wait_until
from benchmarks.rig import Rig
from benchmarks.sink_process import SinkProcess
from benchmarks.work import Work

RATE = 20.0  # critical ones a second
LIMIT_MS, LIMIT_TIMES = 250.0, 3.0


@dataclass(frozen=True)
class Urgency:
    """Milliseconds from asked to the sink. left: of the campaign, still waiting when the last was asked for."""

    idle_p50_ms: float
    idle_p99_ms: float
    beside_p50_ms: float
    beside_p99_ms: float
    lost: int
    campaign: int
    sent_meanwhile: int

    @property
    def faults(self) -> list[str]:
        found = []
        if self.beside_p99_ms > LIMIT_MS:
            found.append(f"p99 beside the campaign is above {LIMIT_MS:g} ms")
        if self.beside_p99_ms > LIMIT_TIMES * self.idle_p99_ms:
            found.append(f"p99 beside the campaign is above {LIMIT_TIMES:g} times the idle p99")
        if self.sent_meanwhile >= self.campaign:
            found.append("the campaign was over too soon to say anything: use a larger one")
        if self.lost:
            found.append(f"{self.lost} never arrived")
        return found

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "faults": self.faults, "passed": not self.faults}


def urgent(campaign: int, seconds: float) -> Urgency:
    """The campaign is stored whole before the first worker starts; measuring begins when one has sent something
    critical. Raises BenchmarkError."""
    count = max(1, int(seconds * RATE))
    with Rig.made({}) as rig, rig.sink() as sink, rig.running([Member("api", ("api",))]) as fleet:
        rig.template()
        rig.ask(Work("campaign", "webhook", campaign, "bulk", priority="low"), sink)
        fleet.add(Member("worker-1", ("worker", "--duty", "urgent")))
        fleet.add(Member("worker-2", ("worker", "--duty", "backlog")))
        sink.reset(Work("start", "webhook", 1))
        rig.ask(Work("start", "webhook", 1, priority="critical"), sink)
        wait_until(lambda: sink.arrived() >= 1, "the workers to begin", limit=30)
        beside = _measured(rig, sink, "beside", count)
        rig.await_empty(limit=60 + campaign / 500)
        idle = _measured(rig, sink, "idle", count)
    return Urgency(
        idle_p50_ms=idle["p50_ms"],
        idle_p99_ms=idle["p99_ms"],
        beside_p50_ms=beside["p50_ms"],
        beside_p99_ms=beside["p99_ms"],
        lost=2 * count - idle["unique"] - beside["unique"],
        campaign=campaign,
        sent_meanwhile=beside["foreign"],
    )


def _measured(rig: Rig, sink: SinkProcess, run: str, count: int) -> dict[str, Any]:
    work = Work(run, "webhook", count, rate=RATE, priority="critical")
    sink.reset(work)
    rig.ask(work, sink)
    wait_until(lambda: sink.arrived() >= count, "the arrival of all", limit=30)
    return sink.statistics()
