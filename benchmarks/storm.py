"""API and workers killed with SIGKILL again and again at full load, PostgreSQL restarted: what is left of the promises."""

import asyncio
import os
import random
import signal
import time
from dataclasses import asdict, dataclass
from typing import Any

import asyncpg

from benchmarks.fleet import Fleet, Member
from benchmarks.persistent import Persistent
from benchmarks.rig import Rig
from benchmarks.sink_process import SinkProcess
from benchmarks.work import Work
from tidings.bootstrap.foundation import connection_to

RESENT, HELD = "storm_resent", "storm_held"
"""Templates: what may have been sent is sent again, or left for a person."""


@dataclass(frozen=True)
class Plan:
    """seconds: how long it storms. every: seconds between kills. restarts: of PostgreSQL, the first in order,
    the next with SIGKILL. lease: seconds. patience: seconds for everything to be settled afterwards."""

    seconds: float = 60
    every: float = 1
    restarts: int = 2
    lease: float = 20
    singles: int = 16
    bulks: int = 4
    patience: float = 180


@dataclass
class Verdict:
    """Counts; those named in FAULTS must be zero."""

    accepted: int
    kills: int
    restarts: int
    unknown_attempts: int
    sent_twice: int
    lost: int
    unsettled: int
    unaccounted: int
    strange: int
    doubled_at_most_once: int
    doubled_unexplained: int
    missing_unexplained: int
    answers: dict[str, int]

    def faults(self) -> dict[str, int]:
        return {name: count for name in FAULTS if (count := getattr(self, name))}

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "passed": not self.faults()}


FAULTS = {
    "lost": "accepted, and not in the database",
    "unsettled": "still waiting at the end",
    "unaccounted": "missing from the ledger: accepted minus the sum over all states",
    "strange": "seen by the sink, and not in the database",
    "doubled_at_most_once": "sent twice although the template says at most once",
    "doubled_unexplained": "sent more often than its unknown attempts explain",
    "missing_unexplained": "never seen by the sink, and not left unknown",
}


class Storm:
    def __init__(self, rig: Rig, plan: Plan, sink: SinkProcess) -> None:
        self._rig = rig
        self._plan = plan
        self._sink = sink
        self._restarts = 0

    def run(self) -> Verdict:
        """Raises BenchmarkError when it cannot even begin."""
        self._sink.reset(Work("storm", "webhook", 0))
        members = [
            Member("api", ("api",)),
            Member("worker-1", ("worker",)),
            Member("worker-2", ("worker",)),
        ]
        with self._rig.running(members) as fleet:
            self._rig.template(id=RESENT, on_unknown="resend")
            self._rig.template(id=HELD, on_unknown="hold")
            persistent = asyncio.run(self._rage(fleet))
            unsettled = asyncio.run(self._settle())
        return asyncio.run(self._judge(persistent, fleet, unsettled))

    async def _rage(self, fleet: Fleet) -> Persistent:
        """Load from one side, kills from the other."""
        persistent = Persistent(
            f"http://127.0.0.1:{self._rig.port}", self._rig.key, self._sink.hook_url, (RESENT, HELD)
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(persistent.run(self._plan.singles, self._plan.bulks))
            tasks.create_task(self._restart_database())
            await self._kill(fleet)
            persistent.enough.set()
        return persistent

    async def _kill(self, fleet: Fleet) -> None:
        """Each time the API and one of the workers."""
        api, *workers = fleet.members
        end = time.monotonic() + self._plan.seconds
        while time.monotonic() < end:
            await asyncio.sleep(self._plan.every)
            api.kill()
            random.choice(workers).kill()

    async def _restart_database(self) -> None:
        for number in range(self._plan.restarts):
            await asyncio.sleep(self._plan.seconds / (self._plan.restarts + 1))
            if number % 2 == 0:
                await asyncio.to_thread(self._rig.server.stop)
            else:
                lines = (self._rig.server.directory / "postmaster.pid").read_text().splitlines()
                os.kill(int(lines[0]), signal.SIGKILL)
            await asyncio.to_thread(self._rig.server.start)
            self._restarts += 1

    async def _settle(self) -> int:
        """Wait until nothing waits any more; what still does when patience ends."""
        deadline = time.monotonic() + self._plan.patience
        async with connection_to(self._rig.dsn, "storm") as connection:
            while waiting := int(await connection.fetchval("SELECT count(*) FROM queue")):
                if time.monotonic() > deadline:
                    break
                await asyncio.sleep(0.2)
            return waiting

    async def _judge(self, persistent: Persistent, fleet: Fleet, unsettled: int) -> Verdict:
        async with connection_to(self._rig.dsn, "storm") as connection:
            rows = await connection.fetch(
                """SELECT d.id::text, d.notification_id::text AS notification, d.status, n.template_id,
                     (SELECT count(*) FROM attempts a
                      WHERE a.delivery_id = d.id AND a.outcome = 'unknown') AS unknown
                   FROM deliveries d JOIN notifications n ON n.id = d.notification_id"""
            )
        seen = self._sink.message_ids()
        accepted = set(persistent.accepted.values())
        stored = {row["notification"] for row in rows}
        return Verdict(
            accepted=len(accepted),
            kills=fleet.killed,
            restarts=self._restarts,
            unknown_attempts=sum(row["unknown"] for row in rows),
            sent_twice=sum(count > 1 for count in seen.values()),
            lost=len(accepted - stored),
            unsettled=unsettled,
            unaccounted=len(rows) - sum(row["status"] in _ENDED for row in rows),
            strange=len(seen.keys() - {row["id"] for row in rows}),
            doubled_at_most_once=_count(rows, seen, _doubled_at_most_once),
            doubled_unexplained=_count(rows, seen, _doubled_unexplained),
            missing_unexplained=_count(rows, seen, _missing_unexplained),
            answers=dict(persistent.answers),
        )


_ENDED = {"sent", "delivered", "unknown"}
"""How a delivery may end here: the sink refuses nothing, nobody cancels, nothing expires."""


def _count(rows: list[asyncpg.Record], seen: dict[str, int], fault: Any) -> int:
    return sum(fault(row, seen.get(row["id"], 0)) for row in rows)


def _doubled_at_most_once(row: asyncpg.Record, times: int) -> bool:
    return row["template_id"] == HELD and times > 1


def _doubled_unexplained(row: asyncpg.Record, times: int) -> bool:
    return times - 1 > int(row["unknown"])


def _missing_unexplained(row: asyncpg.Record, times: int) -> bool:
    return times == 0 and not (row["status"] == "unknown" and row["unknown"] > 0)


def storm(plan: Plan) -> Verdict:
    settings = {
        "TIDINGS_WORKER__LEASE": str(plan.lease),
        "TIDINGS_WORKER__HEARTBEAT": str(plan.lease / 5),
        "TIDINGS_ACCOUNTS__HOOKS__TIMEOUT": str(min(10.0, plan.lease / 2)),
    }
    with Rig.made(settings) as rig, rig.sink() as sink:
        return Storm(rig, plan, sink).run()
