"""Recurring schedules: runs over clock changes in every zone, and what follows downtime."""

import itertools
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.clocks import MINUTE, ZONES, changes, minutes, one_of_each_kind, wall
from tidings.domain.schedules import (
    MOST_AT_ONCE,
    CatchUp,
    Recurrence,
    WrongScheduleError,
    due,
)
from tidings.domain.zones import stretches

BERLIN = ZoneInfo("Europe/Berlin")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

zones = st.sampled_from(ZONES).map(ZoneInfo)
moments = st.datetimes(datetime(1990, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]  # a date's parts are integers


@given(zones, moments, st.integers(0, 23), st.integers(0, 59))
def test_a_time_of_the_day_comes_once_a_day(
    zone: ZoneInfo, moment: datetime, hour: int, minute: int
) -> None:
    runs = list(itertools.islice(Recurrence(f"{minute} {hour} * * *", zone).after(moment), 5))
    days: list[date] = []
    for run in runs:
        wall = run.astimezone(zone).replace(tzinfo=None, fold=0)
        wanted = datetime.combine(wall.date(), time(hour, minute))
        before = (run - timedelta(seconds=1)).astimezone(zone).replace(tzinfo=None, fold=0)
        assert wall == wanted or before < wanted <= wall or before.date() < wall.date(), run
        days.append(wall.date())
    assert runs == sorted(set(runs))
    assert runs[0] > moment
    assert all(gap < 3 * DAY for gap in map(lambda a, b: b - a, runs, runs[1:]))
    assert len(set(days)) == len(days)


@given(zones, moments, st.sampled_from([1, 5, 15, 30]))
def test_what_repeats_by_the_minute_goes_on_over_a_change(
    zone: ZoneInfo, moment: datetime, step: int
) -> None:
    runs = list(itertools.islice(Recurrence(f"*/{step} * * * *", zone).after(moment), 60))
    assert all(run.astimezone(zone).minute % step == 0 for run in runs)
    gaps = {later - run for run, later in itertools.pairwise(runs)}
    assert max(gaps) <= HOUR  # a change that is no multiple of the step bends the rhythm once
    assert sorted(gaps)[0] > timedelta(0)


CHANGING = [one for one in one_of_each_kind() if changes(one)]


@pytest.mark.parametrize("name", CHANGING)
def test_a_time_of_the_day_comes_as_soon_as_it_is_reached(name: str) -> None:
    """Of each day the first minute that shows it or has passed it, whenever one asks."""
    zone = ZoneInfo(name)
    for change in changes(name):
        begin = change - timedelta(hours=26)
        shown = {moment: wall(zone, moment) for moment in minutes(begin - MINUTE, begin + 3 * DAY)}
        for hour, minute in ((0, 0), (1, 15), (2, 30), (23, 45)):
            due_at: dict[datetime, datetime] = {}
            for (_, before), (moment, now) in itertools.pairwise(shown.items()):
                for day in {before.date(), now.date()}:
                    wanted = datetime.combine(day, time(hour, minute))
                    if before < wanted <= now:
                        due_at.setdefault(wanted, moment)
            recurrence = Recurrence(f"{minute} {hour} * * *", zone)
            for asked in itertools.islice(shown, 1, 30 * 60, 17):
                coming = min(one for one in due_at.values() if one > asked)
                assert next(recurrence.after(asked)) == coming, (name, asked, hour, minute)


@pytest.mark.parametrize("name", CHANGING)
@pytest.mark.parametrize("cron", ["*/10 * * * *", "30 * * * *", "15 */6 * * *"])
def test_minute_by_minute_what_repeats_goes_by_what_the_clocks_show(name: str, cron: str) -> None:
    """Each minute that shows it, also when it is shown again; none is made up for that is skipped."""
    zone = ZoneInfo(name)
    minute, hour = cron.split()[:2]

    def due_at(moment: datetime) -> bool:
        shown = wall(zone, moment)
        at_minute = shown.minute % 10 == 0 if minute == "*/10" else shown.minute == int(minute)
        return at_minute and (hour == "*" or shown.hour % 6 == 0)

    for change in changes(name):
        begin, end = change - timedelta(hours=8), change + timedelta(hours=8)
        expected = [one for one in minutes(begin, end) if due_at(one)]
        runs = Recurrence(cron, zone).after(begin - MINUTE)
        assert list(itertools.takewhile(lambda run: run < end, runs)) == expected, name  # noqa: B023


@pytest.mark.parametrize(
    ("cron", "after", "runs"),
    [
        ("0 9 * * MON", utc(2026, 3, 27), [utc(2026, 3, 30, 7), utc(2026, 4, 6, 7)]),
        ("30 2 * * *", utc(2026, 3, 28, 12), [utc(2026, 3, 29, 1), utc(2026, 3, 30, 0, 30)]),
        ("10,50 2 * * *", utc(2026, 3, 28, 12), [utc(2026, 3, 29, 1), utc(2026, 3, 30, 0, 10)]),
        ("30 2 * * *", utc(2026, 10, 24, 12), [utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 30)]),
        ("30 2 * * *", utc(2026, 10, 25, 0, 45), [utc(2026, 10, 26, 1, 30)]),
        ("0 0 L * *", utc(2026, 2, 1), [utc(2026, 2, 27, 23), utc(2026, 3, 30, 22)]),
    ],
)
def test_runs_in_berlin(cron: str, after: datetime, runs: list[datetime]) -> None:
    assert list(itertools.islice(Recurrence(cron, BERLIN).after(after), len(runs))) == runs


@pytest.mark.parametrize(
    "cron", ["", "* * * *", "* * * * * *", "61 * * * *", "0 9 * * FUN", "0 0 31 2 *", "a b c d e"]
)
def test_what_is_no_schedule_is_refused(cron: str) -> None:
    with pytest.raises(WrongScheduleError):
        Recurrence(cron, BERLIN)


@given(
    zones,
    st.sampled_from(["0 9 * * *", "*/20 * * * *", "30 1 * * SUN", "15 */6 * * *"]),
    moments,
    st.integers(0, 8_000),
)
def test_the_latest_run_is_the_last_of_those_that_came(
    zone: ZoneInfo, cron: str, moment: datetime, minutes: int
) -> None:
    recurrence = Recurrence(cron, zone)
    upto = moment + timedelta(minutes=minutes)
    came = list(itertools.takewhile(lambda run: run <= upto, recurrence.after(moment)))
    if came:
        assert recurrence.latest(upto) == came[-1]


@given(
    st.sampled_from(["skip", "one", "all"]),
    st.lists(st.integers(0, 200_000), min_size=1, max_size=8),
)
def test_downtime(catch_up: CatchUp, pauses: list[int]) -> None:
    """Whatever the times at which somebody looks: no run twice, none before its time, and of those that were
    missed as many as was asked for."""
    recurrence = Recurrence("0 */3 * * *", BERLIN, catch_up)
    begin = utc(2026, 3, 20)
    next_run = next(recurrence.after(begin))
    now, made = begin, list[datetime]()
    for pause in pauses:
        now += timedelta(seconds=pause)
        planned = list(itertools.takewhile(lambda run: run <= now, recurrence.after(begin)))  # noqa: B023
        result = due(recurrence, next_run, now, grace=60)
        new = [run for run in planned if run >= next_run]
        match catch_up:
            case "all":
                assert list(result.runs) == new[:MOST_AT_ONCE]
            case "one":
                assert list(result.runs) == new[-1:]
            case "skip":
                assert list(result.runs) == [run for run in new[-1:] if now - run <= HOUR / 60]
        made += result.runs
        assert result.next is not None
        next_run = result.next
    assert made == sorted(set(made))
    assert all(run <= now for run in made)


@pytest.mark.parametrize("microsecond", [0, 1, 724_723, 999_999])
def test_a_change_of_clocks_is_found_to_the_second(microsecond: int) -> None:
    begin = datetime(2027, 3, 27, 21, 46, 7, microsecond, tzinfo=UTC)
    found = list(stretches(BERLIN, begin, begin + timedelta(days=1)))
    assert [one.first for one in found] == [begin, datetime(2027, 3, 28, 1, tzinfo=UTC)]
