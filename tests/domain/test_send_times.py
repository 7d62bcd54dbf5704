"""Quiet hours, weekdays and send windows together, minute by minute around the changes of every zone's clocks."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.domain.clocks import (
    DAY,
    MINUTE,
    ZONES,
    changes,
    minutes,
    next_where,
    one_of_each_kind,
    wall,
)
from tidings.domain.categories import Cadence
from tidings.domain.digests import DigestRule
from tidings.domain.hours import EVERY_DAY, Hours
from tidings.domain.preferences import DigestTime
from tidings.domain.quiet_hours import QuietHours
from tidings.domain.reasons import Reason
from tidings.domain.send_times import Deferral, SendWindow, deferral

SATURDAY, SUNDAY = 5, 6
FORTNIGHT = (
    15 * DAY
)  # what comes once a week, and is skipped once by a change, comes again within it


def inside(hours: Hours, shown: datetime) -> bool:
    """Said anew: some day of theirs begins them, and their end is not reached."""
    for back in (0, 1):
        day = shown.date() - timedelta(days=back)
        begin = datetime.combine(day, hours.start)
        ends_on = day if hours.start < hours.end else day + timedelta(days=1)
        if day.weekday() in hours.days and begin <= shown < datetime.combine(ends_on, hours.end):
            return True
    return False


def allowed(quiet: QuietHours | None, window: SendWindow | None, shown: datetime) -> bool:
    return not (quiet and inside(quiet, shown)) and (window is None or inside(window, shown))


NIGHT = QuietHours(time(22), time(7))
COMBINATIONS = {
    "office": (NIGHT, SendWindow(time(9), time(17), frozenset(range(5)))),
    "sunday night": (None, SendWindow(time(1, 30), time(2, 30), frozenset({SUNDAY}))),
    "over midnight": (None, SendWindow(time(23), time(3), frozenset({4, SATURDAY, SUNDAY}))),
    "whole days": (NIGHT, SendWindow(time(0), time(0), frozenset({0, SUNDAY}))),
    "what is left": (
        QuietHours(time(0), time(2, 45), frozenset({0, SATURDAY, SUNDAY})),
        SendWindow(time(2), time(3, 15)),
    ),
}


@pytest.mark.parametrize("named", COMBINATIONS)
@pytest.mark.parametrize("name", [one for one in one_of_each_kind() if changes(one)])
def test_minute_by_minute_around_both_changes(name: str, named: str) -> None:
    zone, (quiet, window) = ZoneInfo(name), COMBINATIONS[named]
    for change in changes(name):
        begin, end = change - timedelta(hours=3), change + timedelta(hours=4)

        def may(moment: datetime) -> bool:
            return allowed(quiet, window, wall(zone, moment))

        for moment, first in next_where(begin, end, may, FORTNIGHT):
            found = deferral(quiet, window, zone, moment)
            if first == moment:
                assert found is None, (name, moment)
                continue
            assert found is not None, (name, moment)
            assert found.until == first, (name, moment)
            disturbed = quiet is not None and inside(quiet, wall(zone, moment))
            expected = Reason.QUIET_HOURS if disturbed else Reason.SEND_WINDOW
            assert found.reason is expected


walls = st.times().map(lambda one: one.replace(second=0, microsecond=0))
days = st.one_of(st.just(EVERY_DAY), st.frozensets(st.integers(0, 6), min_size=1))
moments = st.datetimes(datetime(1970, 1, 1), datetime(2037, 12, 1)).map(
    lambda moment: moment.replace(second=0, microsecond=0, tzinfo=UTC)
)
quiets = st.builds(QuietHours, walls, walls, days).filter(lambda one: one.start != one.end)
windows = st.builds(SendWindow, walls, walls, days)


@settings(max_examples=60)
@given(st.sampled_from(ZONES), st.none() | quiets, st.none() | windows, moments)
@example(  # a window of an hour that a change skips: it is open again a week later
    "Europe/Berlin",
    None,
    SendWindow(time(2), time(3), frozenset({SUNDAY})),
    datetime(2026, 3, 22, 5, tzinfo=UTC),
)
@example(  # a Friday that Samoa did not have
    "Pacific/Apia",
    None,
    SendWindow(time(9), time(17), frozenset({4})),
    datetime(2011, 12, 24, 12, tzinfo=UTC),
)
@example(
    "Europe/Berlin",
    QuietHours(time(1), time(4)),
    SendWindow(time(2), time(3)),
    datetime(2026, 3, 29, 0, tzinfo=UTC),
)
def test_the_first_minute_that_both_allow(
    name: str, quiet: QuietHours | None, window: SendWindow | None, moment: datetime
) -> None:
    zone = ZoneInfo(name)
    found = deferral(quiet, window, zone, moment)
    walk = minutes(moment, moment + FORTNIGHT)
    first = next((one for one in walk if allowed(quiet, window, wall(zone, one))), None)
    if first == moment:
        assert found is None
    elif first is None:
        assert found == Deferral(Reason.NO_SEND_TIME, None)
    else:
        assert found is not None
        assert found.until is not None
        # Clocks changed by seconds, long ago: the moment is within the minute before the first whole one.
        assert first - MINUTE < found.until <= first
        assert allowed(quiet, window, wall(zone, found.until))


@pytest.mark.parametrize("name", [one for one in one_of_each_kind() if changes(one)])
@pytest.mark.parametrize("time_of_day", [time(0), time(1, 30), time(2, 30), time(23, 45)])
def test_digests_come_once_a_day_and_once_a_week(name: str, time_of_day: time) -> None:
    """At the first minute that shows the hour, or has passed it."""
    zone = ZoneInfo(name)
    for change in changes(name):
        begin = change - timedelta(hours=30)
        first_of: dict[datetime, datetime] = {}
        before = wall(zone, begin - MINUTE)
        for moment in minutes(begin, begin + 10 * DAY):
            shown = wall(zone, moment)
            for day in {before.date(), shown.date()}:
                wanted = datetime.combine(day, time_of_day)
                if before < wanted <= shown:
                    first_of.setdefault(wanted, moment)
            before = shown
        for now in (begin + MINUTE * number for number in range(0, 48 * 60, 37)):
            for cadence, weekdays in ((Cadence.DAILY, EVERY_DAY), (Cadence.WEEKLY, {SUNDAY})):
                at = min(
                    moment
                    for wanted, moment in first_of.items()
                    if wanted.weekday() in weekdays and moment > now
                )
                rule, when = DigestRule(None), DigestTime(time_of_day, SUNDAY)
                assert rule.closes_at(cadence, when, zone, now) == at, (name, now, cadence)
