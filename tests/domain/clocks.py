"""Every zone's clocks, said anew from the standard library alone, to check what the product says of them."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

ZONES = sorted(available_timezones() - {"localtime"})
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
YEAR = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def wall(zone: ZoneInfo, moment: datetime) -> datetime:
    """What the clocks show, without a zone."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def minutes(begin: datetime, end: datetime) -> Iterator[datetime]:
    for number in range((end - begin) // MINUTE):
        yield begin + MINUTE * number


@cache
def changes(name: str) -> tuple[datetime, ...]:
    """The first minutes of this year at which the zone's clocks run otherwise than a minute before."""
    zone, found = ZoneInfo(name), []
    for number in range((YEAR[1] - YEAR[0]) // DAY):
        low, high = YEAR[0] + DAY * number, YEAR[0] + DAY * (number + 1)
        if low.astimezone(zone).utcoffset() == high.astimezone(zone).utcoffset():
            continue
        before = low.astimezone(zone).utcoffset()
        while high - low > MINUTE:
            middle = low + MINUTE * ((high - low) // MINUTE // 2)
            low, high = (
                (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
            )
        found.append(high)
    return tuple(found)


@cache
def one_of_each_kind() -> tuple[str, ...]:
    """Of the zones whose clocks go alike through this year, to the minute, the first: what holds for these holds
    for every zone of the database."""
    kinds: dict[object, str] = {}
    for name in ZONES:
        begin = YEAR[0].astimezone(ZoneInfo(name)).utcoffset()
        after = tuple((one, one.astimezone(ZoneInfo(name)).utcoffset()) for one in changes(name))
        kinds.setdefault((begin, after), name)
    return tuple(kinds.values())


def next_where(
    begin: datetime, end: datetime, holds: Callable[[datetime], bool], horizon: timedelta
) -> Iterator[tuple[datetime, datetime | None]]:
    """Each minute, the last first, with the first from it on at which this holds; None for none within the horizon."""
    coming = next((one for one in minutes(end, end + horizon) if holds(one)), None)
    for moment in reversed(list(minutes(begin, end))):
        coming = moment if holds(moment) else coming
        yield moment, coming
