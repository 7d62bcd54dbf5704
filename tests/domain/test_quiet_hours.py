"""Quiet hours and wall times, in every zone of the database and around every kind of clock change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.domain.clocks import MINUTE, YEAR, ZONES, changes, one_of_each_kind
from tidings.domain.quiet_hours import QuietHours, quiet_until
from tidings.domain.zones import at_wall_time, stretches

walls = st.times().map(lambda wall: wall.replace(second=0, microsecond=0))
moments = st.datetimes(datetime(1970, 1, 1), datetime(2037, 12, 31)).map(
    lambda moment: moment.replace(second=0, microsecond=0, tzinfo=UTC)
)


def is_quiet(hours: QuietHours, zone: ZoneInfo, moment: datetime) -> bool:
    """Said anew, from the standard library alone."""
    wall = moment.astimezone(zone).replace(tzinfo=None, fold=0).time()
    if hours.start <= hours.end:
        return hours.start <= wall < hours.end
    return not hours.end <= wall < hours.start


@pytest.mark.parametrize("name", one_of_each_kind())
def test_minute_by_minute_around_the_changes_of_this_year(name: str) -> None:
    zone = ZoneInfo(name)
    for change in changes(name):
        for hours in (QuietHours(time(22), time(7)), QuietHours(time(1, 30), time(2, 30))):
            begin, end = change - timedelta(hours=4), change + timedelta(hours=12)
            walk = [begin + MINUTE * n for n in range((end - begin) // MINUTE)]
            ends: datetime | None = None
            for moment in reversed(walk):
                if not is_quiet(hours, zone, moment):
                    ends = moment
                    assert quiet_until(hours, zone, moment) is None, (name, moment)
                elif ends is not None:
                    assert quiet_until(hours, zone, moment) == ends, (name, moment)


@given(st.sampled_from(ZONES), walls, walls, moments)
@example("Australia/Lord_Howe", time(1, 45), time(2, 15), datetime(2026, 4, 4, 15, 0, tzinfo=UTC))
@example("Pacific/Apia", time(0), time(23, 59), datetime(2011, 12, 30, 9, 59, tzinfo=UTC))
def test_quiet_ends_at_the_first_minute_that_is_not(
    name: str, start: time, end: time, moment: datetime
) -> None:
    if start == end:
        return
    zone, hours = ZoneInfo(name), QuietHours(start, end)
    until = quiet_until(hours, zone, moment)
    if until is None:
        assert not is_quiet(hours, zone, moment)
        return
    assert not is_quiet(hours, zone, until)
    assert is_quiet(hours, zone, until - timedelta(seconds=1))
    for step in range(0, (until - moment) // MINUTE, 7):
        assert is_quiet(hours, zone, moment + MINUTE * step)


@given(st.sampled_from(ZONES), st.dates(date(1970, 1, 5), date(2037, 12, 30)), walls)
@example("Europe/Berlin", date(2026, 3, 29), time(2, 30))
@example("Europe/Berlin", date(2026, 10, 25), time(2, 30))
@example("Pacific/Apia", date(2011, 12, 30), time(12, 0))
def test_a_wall_time_is_the_first_moment_that_shows_it_or_has_passed_it(
    name: str, day: date, wall: time
) -> None:
    zone = ZoneInfo(name)
    moment = at_wall_time(zone, day, wall)
    shown = moment.astimezone(zone).replace(tzinfo=None, fold=0)
    wanted = datetime.combine(day, wall)
    just_before = (moment - timedelta(seconds=1)).astimezone(zone).replace(tzinfo=None, fold=0)
    assert shown >= wanted
    assert just_before < wanted
    if shown != wanted:  # skipped by a change
        assert shown - just_before > timedelta(seconds=1)


def test_the_moments_of_a_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    found = [one.first for one in stretches(berlin, *YEAR)][1:]
    assert found == [
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 10, 25, 1, tzinfo=UTC),
    ]
    assert at_wall_time(berlin, date(2026, 3, 29), time(2, 30)) == found[0]
    assert at_wall_time(berlin, date(2026, 10, 25), time(2, 30)) == datetime(
        2026, 10, 25, 0, 30, tzinfo=UTC
    )
