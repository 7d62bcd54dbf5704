"""Hours of the day on some weekdays, by the clock on the wall: when they begin and end, over clock changes."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tidings.domain.records import record
from tidings.domain.zones import Stretch, stretches

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
EVERY_DAY = frozenset(range(7))

_DAY = timedelta(days=1)
HORIZON = timedelta(days=16)
"""Hours come again within a week; a change of the clocks can skip them once, and one of history skipped a day."""


@record
class Hours:
    """From `start` up to, and not with, `end`; over midnight where `end` is earlier, and for a whole day where they
    are equal. days: on which they begin, Monday is 0."""

    start: time
    end: time
    days: frozenset[int] = EVERY_DAY

    def include(self, wall: datetime) -> bool:
        shown, day = wall.time(), wall.weekday()
        if self.start < self.end:
            return self.start <= shown < self.end and day in self.days
        begun_today = shown >= self.start and day in self.days
        return begun_today or (shown < self.end and (day - 1) % 7 in self.days)


def first_moment(
    hours: Hours, zone: ZoneInfo, moment: datetime, *, inside: bool
) -> datetime | None:
    """The first moment from this one on, in UTC, that is inside the hours, or outside of them; None when there is
    none within the horizon.

    It is whenever the clock on the wall says so: where clocks are put back into the hours, these begin again, and
    where they are put forward over their end, they end with the change.
    """
    begin = moment.astimezone(UTC)
    # Day by day, as most are found in the first: each hour that is looked at costs.
    for _ in range(HORIZON // _DAY):
        for stretch in stretches(zone, begin, begin + _DAY):
            for found in _edges(stretch, hours.start if inside else hours.end):
                if hours.include(stretch.wall(found)) is inside:
                    return found
        begin += _DAY
    return None


def _edges(stretch: Stretch, edge: time) -> Iterator[datetime]:
    """The begin of the stretch, and each moment of it at which the clock shows `edge`."""
    yield stretch.first
    wall = stretch.wall(stretch.first)
    shown = datetime.combine(wall.date(), edge)
    while (moment := shown.replace(tzinfo=UTC) - stretch.offset) < stretch.beyond:
        if moment > stretch.first:
            yield moment
        shown += _DAY
