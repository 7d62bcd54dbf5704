"""Quiet hours: when a person is not to be disturbed, by the clock on their wall."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tidings.domain.zones import stretches

# Quiet hours end within a day; a change of the clocks can add some, in one case of history a whole day.
_HORIZON = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` up to, and not with, `end`; over midnight where `end` is earlier. Equal ones are a whole day,
    which would be a way to never hear anything: refused where they are set."""

    start: time
    end: time

    def quiet(self, wall: time) -> bool:
        if self.start <= self.end:
            return self.start <= wall < self.end
        return wall >= self.start or wall < self.end


def quiet_until(hours: QuietHours, zone: ZoneInfo, moment: datetime) -> datetime | None:
    """When quiet that reigns at this moment ends, in UTC; None when there is none.

    It is quiet whenever the clock on the wall says so: where clocks are put back into quiet hours, these begin
    again, and where they are put forward over the end, they end with the change.
    """
    moment = moment.astimezone(UTC)
    for stretch in stretches(zone, moment, moment + _HORIZON):
        wall = stretch.wall(stretch.first)
        if not hours.quiet(wall.time()):
            return None if stretch.first == moment else stretch.first
        if (end := stretch.moment(_next(wall, hours.end))) is not None:
            return end
    raise AssertionError("quiet hours without an end")


def _next(wall: datetime, end: time) -> datetime:
    """The next time that the clock shows `end`, if it is not changed meanwhile."""
    today = datetime.combine(wall.date(), end)
    return today if today > wall else today + timedelta(days=1)
