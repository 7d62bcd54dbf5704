"""What it costs to accept for people who have chosen: preferences, quiet hours and an entry on the suppression list
for every recipient, beside recipients of whom nothing is known."""

import asyncio
import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from benchmarks import job
from benchmarks.fleet import Member
from benchmarks.processes import BenchmarkError, call, cpu_seconds
from benchmarks.rig import Rig
from benchmarks.sink_process import SinkProcess
from benchmarks.work import Door, Work
from tidings.domain.hours import WEEKDAYS

MOST_LOSS = 0.15
PLAIN, CHOSEN = "plain", "chosen"
_DOORS: tuple[Door, ...] = ("single", "bulk")
_AT_ONCE = 2_000

_MAIL = {
    "TIDINGS_ACCOUNTS__MAIL__PROVIDER": "smtp",
    "TIDINGS_ACCOUNTS__MAIL__HOST": "127.0.0.1",
    "TIDINGS_ACCOUNTS__MAIL__SECURITY": "none",
    "TIDINGS_ACCOUNTS__MAIL__FROM": job.SENDER,
}

Progress = Callable[[str, str, float], None]
"""Called with the door, plain or chosen, and the rate of a round."""


@dataclass(frozen=True)
class Cost:
    """Accepted per second, by door, of each round; and CPU seconds of API and PostgreSQL per 1,000."""

    plain: Mapping[Door, list[float]]
    chosen: Mapping[Door, list[float]]
    plain_cpu: Mapping[Door, list[float]]
    chosen_cpu: Mapping[Door, list[float]]

    @property
    def loss(self) -> dict[Door, float]:
        """Of the rate, as a share of it; the median of the rounds, each beside the plain one that ran next to it."""
        return {door: round(1 - _ratio(self.chosen[door], self.plain[door]), 3) for door in _DOORS}

    @property
    def more_cpu(self) -> dict[Door, float]:
        return {
            door: round(_ratio(self.chosen_cpu[door], self.plain_cpu[door]) - 1, 3)
            for door in _DOORS
        }

    def document(self) -> dict[str, Any]:
        loss = self.loss
        return {
            **asdict(self),
            "loss": loss,
            "more_cpu": self.more_cpu,
            "passed": max(loss.values()) < MOST_LOSS,
        }


def people(rounds: int, size: int, progress: Progress) -> Cost:
    """Of each door so many rounds with and without, of so many each. No worker runs: what is accepted stays.
    Raises BenchmarkError."""
    cost = Cost(*({door: [] for door in _DOORS} for _ in range(4)))
    api = Member("api", ("api",))
    with Rig.made(_MAIL) as rig, rig.sink() as sink, rig.running([api]):
        rig.template()
        _choose(rig, size)
        for number in range(rounds + 1):
            for door in _DOORS:
                _take_turns(cost, _Trial(rig, sink, api, door, size), number, progress)
    return cost


@dataclass(frozen=True)
class _Trial:
    rig: Rig
    sink: SinkProcess
    api: Member
    door: Door
    size: int

    def run(self, who: str, number: int) -> tuple[float, float]:
        """Rate, and CPU seconds per 1,000."""
        before = self._cpu()
        work = Work(f"{who}{number}", "email", self.size, self.door, people=who)
        tally = self.rig.ask(work, self.sink)
        used = self._cpu() - before
        return round(self.size / tally.seconds, 1), round(1000 * used / self.size, 3)

    def _cpu(self) -> float:
        return cpu_seconds([self.api.pid, self.rig.postgres_pid])


def _take_turns(cost: Cost, trial: _Trial, number: int, progress: Progress) -> None:
    """They take turns in going first: what was accepted before makes the tables larger. Round 0 warms up."""
    for who in (PLAIN, CHOSEN) if number % 2 else (CHOSEN, PLAIN):
        rate, cpu = trial.run(who, number)
        if number:
            (cost.plain if who == PLAIN else cost.chosen)[trial.door].append(rate)
            (cost.plain_cpu if who == PLAIN else cost.chosen_cpu)[trial.door].append(cpu)
            progress(trial.door, who, rate)


def _choose(rig: Rig, count: int) -> None:
    """For every recipient: choices, quiet hours that reign, and an address that another category does not go to."""
    for first in range(0, count, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, count))
        entries = [
            {
                "channel": "email",
                "address": f"user{number:06d}@{CHOSEN}.example.com",
                "reason": "unsubscribed",
                "category": "news",
            }
            for number in numbers
        ]
        status, answer = call(
            rig.port, "POST", "/suppressions/bulk", {"suppressions": entries}, key=rig.key
        )
        if status != 201:
            raise BenchmarkError(f"POST /suppressions/bulk was answered with {status}: {answer}")
    asyncio.run(_prefer(rig.dsn, count))


async def _prefer(dsn: str, count: int) -> None:
    """As one choice after the other over the API would leave it, in one statement. Quiet hours begin in 60 different
    minutes, and the rest is chosen in 16 ways."""
    began = datetime.now(UTC) - timedelta(hours=2)
    quiet = [
        {
            "from": (began - timedelta(minutes=minute)).strftime("%H:%M"),
            "to": (began - timedelta(hours=2)).strftime("%H:%M"),
            "days": list(WEEKDAYS),
        }
        for minute in range(60)
    ]
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            """INSERT INTO preferences (user_id, channels, categories, templates, quiet_hours, digests)
               SELECT format('%s%s', $1::text, lpad(number::text, 6, '0')), $3,
                 $4 || jsonb_build_object('club', jsonb_build_object('email', number % 16 < 8, 'sms', number % 8 < 4)),
                 $5, ($6::jsonb) -> (number % 60),
                 $7 || jsonb_build_object('weekday', ($8::text[])[1 + number % 4])
               FROM generate_series(0, $2 - 1) AS number""",
            CHOSEN,
            count,
            json.dumps({"email": True, "sms": False}),
            json.dumps({"transactional": {"email": True}, "news": {"email": False}}),
            json.dumps({job.TEMPLATE_ID: {"email": True}}),
            json.dumps(quiet),
            json.dumps({"categories": {"news": "weekly"}, "at": "08:00"}),
            list(WEEKDAYS),
        )
        await connection.execute("ANALYZE preferences; ANALYZE suppressions")
    finally:
        await connection.close()


def _ratio(with_choices: list[float], without: list[float]) -> float:
    return statistics.median(map(lambda a, b: a / b, with_choices, without))
