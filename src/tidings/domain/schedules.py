"""Recurring schedules: when their runs are, over clock changes and downtime."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from tidings.domain.zones import Stretch, at_wall_time, stretches

CatchUp = Literal["skip", "one", "all"]
"""What happens to runs that were missed: none of them, the latest, or each."""

MOST_AT_ONCE = 100
"""Missed runs that are made up for at one go; the rest follow at the next."""


_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)


class WrongScheduleError(ValueError):
    """The expression is not one of cron, or never comes due; the message says which part is wrong."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """cron: five fields, as in crontab(5), with names, lists, ranges, steps, `L` and `#`."""

    cron: str
    zone: ZoneInfo
    catch_up: CatchUp = "one"

    def __post_init__(self) -> None:
        """Raises WrongScheduleError."""
        fields = self.cron.split()
        if len(fields) != 5:
            raise WrongScheduleError("a schedule has five fields: minute hour day month weekday")
        try:
            next(CronSim(self.cron, datetime(2024, 1, 1)))  # noqa: DTZ001 - any wall time does
        except CronSimError as error:
            raise WrongScheduleError(str(error)) from None
        except StopIteration:
            raise WrongScheduleError("it never comes due") from None

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The runs later than this, in UTC, each later than the one before.

        Times of the day happen once a day: skipped by the clocks, at the change; shown twice, the first time.
        What repeats by the minute or hour goes on by elapsed time. So does Debian's cron.
        """
        last = moment.astimezone(UTC)
        for run in self._runs(last):
            if run > last:
                last = run
                yield run

    def latest(self, upto: datetime) -> datetime | None:
        """The last run that is not later than this, in UTC."""
        return next((run for run in self._runs(upto, back=True) if run <= upto), None)

    def _runs(self, moment: datetime, *, back: bool = False) -> Iterator[datetime]:
        """The runs around a moment and beyond it, in this direction."""
        if self._repeats:
            yield from self._whenever_shown(moment.astimezone(UTC), back)
            return
        # A time that the clocks skipped or show twice can lie on the other side of what they show now.
        local = moment.astimezone(self.zone).replace(tzinfo=None)
        for wall in CronSim(self.cron, local + (_DAY if back else -_DAY), reverse=back):
            yield at_wall_time(self.zone, wall.date(), wall.time())

    def _whenever_shown(self, at: datetime, back: bool) -> Iterator[datetime]:
        """Day by day of elapsed time, each stretch by itself: CronSim's own walk over a change of the clocks loses
        runs where that is not by whole hours."""
        while True:
            near, far = (at - _DAY, at + _MINUTE) if back else (at, at + _DAY)
            parts = list(stretches(self.zone, near, far))
            for stretch in reversed(parts) if back else parts:
                yield from self._within(stretch, back)
            at = self._next_day(near if back else far, back)

    def _within(self, stretch: Stretch, back: bool) -> Iterator[datetime]:
        begin = stretch.wall(stretch.beyond) if back else stretch.wall(stretch.first) - _MINUTE
        for wall in CronSim(self.cron, begin, reverse=back):
            run = (wall - stretch.offset).replace(tzinfo=UTC)
            if run < stretch.first if back else run >= stretch.beyond:
                return
            if stretch.first <= run < stretch.beyond:
                yield run

    def _next_day(self, at: datetime, back: bool) -> datetime:
        """Where to go on: days without a run are leapt over."""
        local = at.astimezone(self.zone).replace(tzinfo=None)
        ahead = next(CronSim(self.cron, local, reverse=back), local) - local
        return at + (ahead + _DAY if back else ahead - _DAY) if abs(ahead) > 2 * _DAY else at

    @property
    def _repeats(self) -> bool:
        return any(field.startswith("*") for field in self.cron.split()[:2])


@dataclass(frozen=True, slots=True)
class Due:
    """runs: to be made now, in order; next: when to look again, None when no run is left."""

    runs: tuple[datetime, ...]
    next: datetime | None


def due(recurrence: Recurrence, next_run: datetime, now: datetime, grace: float) -> Due:
    """What is to be done, when the run planned next was at `next_run`.

    grace: seconds up to which a run is late, not missed.
    """
    if next_run > now:
        return Due((), next_run)
    if recurrence.catch_up == "all":
        planned = itertools.chain([next_run], recurrence.after(next_run))
        missed = itertools.takewhile(lambda run: run <= now, planned)
        runs = tuple(itertools.islice(missed, MOST_AT_ONCE))
        return Due(runs, next(recurrence.after(runs[-1]), None))
    latest = recurrence.latest(now) or next_run
    late = (now - latest).total_seconds() > grace
    runs = () if late and recurrence.catch_up == "skip" else (latest,)
    return Due(runs, next(recurrence.after(now), None))
