"""Time zones: where their clocks change, and what a wall clock's time means around it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)
_STEP = timedelta(hours=1)
_SECOND = timedelta(seconds=1)
_DAYS_REMEMBERED = 4_096
"""Of all zones: people live in few of them, and are told something on the days around this one."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which a zone's clocks run on without a change. first, beyond: UTC; offset: local time less UTC."""

    first: datetime
    beyond: datetime
    offset: timedelta

    def wall(self, moment: datetime) -> datetime:
        """What the clocks show at a moment of this stretch, without a zone."""
        return moment.astimezone(UTC).replace(tzinfo=None) + self.offset

    def moment(self, wall: datetime) -> datetime | None:
        """When the clocks show this in this stretch; None when they do not."""
        found = (wall - self.offset).replace(tzinfo=UTC)
        return found if self.first <= found < self.beyond else None


def stretches(zone: ZoneInfo, first: datetime, beyond: datetime) -> Iterator[Stretch]:
    """The stretches that cover the time from `first` up to `beyond`, in order.

    Two changes less than an hour apart would be taken for one; the time zone database has none.
    """
    first = first.astimezone(UTC)
    beyond = beyond.astimezone(UTC)
    day = first.replace(hour=0, minute=0, second=0, microsecond=0)
    last: Stretch | None = None
    while day < beyond:
        for one in _of_day(zone, day):
            begin, end = max(one.first, first), min(one.beyond, beyond)
            if begin >= end:
                continue
            if last is not None and last.offset == one.offset:
                last = Stretch(last.first, end, one.offset)
                continue
            if last is not None:
                yield last
            last = Stretch(begin, end, one.offset)
        day += _DAY
    if last is not None:
        yield last


@lru_cache(_DAYS_REMEMBERED)
def _of_day(zone: ZoneInfo, day: datetime) -> tuple[Stretch, ...]:
    """The stretches of a day of UTC."""
    found: list[Stretch] = []
    begin = first = day
    offset = _offset(zone, first)
    for _ in range(_DAY // _STEP):
        step = begin + _STEP
        if (later := _offset(zone, step)) != offset:
            change = _change(zone, begin, step, offset)
            if change < day + _DAY:
                found.append(Stretch(first, change, offset))
                first, offset = change, later
        begin = step
    return (*found, Stretch(first, day + _DAY, offset))


def at_wall_time(zone: ZoneInfo, day: date, wall: time) -> datetime:
    """The moment, in UTC, at which clocks show this time on this day.

    Of two, when clocks are put back, the first; when they are put forward over it, the moment of the change:
    what was meant for 2:30 happens as soon as 2:30 is over.
    """
    wanted = datetime.combine(day, wall.replace(tzinfo=None))
    around = wanted.replace(tzinfo=UTC)
    skipped: datetime | None = None
    for one in stretches(zone, around - timedelta(days=2), around + timedelta(days=2)):
        if (moment := one.moment(wanted)) is not None:
            return moment
        if skipped is None and one.wall(one.first) > wanted:
            skipped = one.first
    assert skipped is not None  # four days hold every wall time of the second, or skip it
    return skipped


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _change(zone: ZoneInfo, low: datetime, high: datetime, offset: timedelta) -> datetime:
    """The first moment after `low` at which the offset is another one: a whole second, as all changes are."""
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
        if _offset(zone, middle) == offset:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)
