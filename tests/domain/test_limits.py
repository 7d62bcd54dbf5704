"""Rate limits: how they are written, and that no stretch of time ever holds more calls than it may."""

from bisect import bisect_left
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tidings.domain.limits import (
    SECOND,
    Ask,
    Demand,
    Facts,
    Granted,
    Limit,
    Rate,
    Refused,
    Scope,
    Tally,
    Window,
    decide,
    holds_for,
    key_of,
    release,
    take,
)

START = 1_800_000_000 * SECOND


@pytest.mark.parametrize(
    ("text", "count", "seconds"),
    [
        ("100/s", 100, 1),
        ("0.5/s", 1, 2),
        ("2.5/s", 5, 2),
        ("3/h", 3, 3600),
        ("3 / hour", 3, 3600),
        ("500 per 10 s", 500, 10),
        ("1000/10s", 1000, 10),
        ("10 per minute", 10, 60),
        ("10 per 2 minutes", 10, 120),
        ("1 per 1.5 s", 1, 1.5),
        ("5/D", 5, 86_400),
    ],
)
def test_rates_are_read(text: str, count: int, seconds: float) -> None:
    assert Rate.parse(text) == Rate(count, int(seconds * SECOND))


@pytest.mark.parametrize(
    "text",
    [
        "", "5", "/s", "0/s", "-1/s", "5/", "5/x", "5/ss", "5 s", "fast", "1e3/s", "5/0.1s", "5 per 0 s",
        "5 per 367 d", "99999999/s", "1.0000001/s", "5/s 3/h", "١/s", "nan/s",
    ],
)  # fmt: skip
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed are"):
        Rate.parse(text)


@given(st.integers(1, 10_000_000), st.integers(1, 366 * 86_400))
def test_a_rate_reads_as_it_is_written(count: int, seconds: int) -> None:
    rate = Rate(count, seconds * SECOND)
    assert Rate.parse(str(rate)) == rate


rates = st.builds(
    Rate,
    st.integers(1, 12),
    st.sampled_from([1, 1.5, 2, 10, 60, 3600]).map(lambda s: int(s * SECOND)),
)


def most_in_a_period(calls: list[int], period: int) -> int:
    ordered = sorted(calls)
    return max(
        (bisect_left(ordered, at + period) - first for first, at in enumerate(ordered)), default=0
    )


class Calls(RuleBasedStateMachine):
    """Takers at any time, who begin their calls as late as they may, or not at all, or give back; on a clock that is
    set back now and then. true: the time as it is; set_back: how far the clock that is read is behind it."""

    @initialize(rate=rates)
    def begin(self, rate: Rate) -> None:
        self.rate = rate
        self.true = START
        self.set_back = 0
        self.window = Window()
        self.calls: list[int] = []
        self.unused: list[int] = []

    @rule(parts=st.integers(0, 1500), extra=st.integers(0, 3))
    def pass_time(self, parts: int, extra: int) -> None:
        """In thousandths of the period, and a few microseconds."""
        self.true += self.rate.period * parts // 1000 + extra

    @rule()
    def until_the_next(self) -> None:
        """To the very moment at which there is a permit again."""
        now = self.true - self.set_back
        _, granted, next_at = take(self.window, self.rate, now, 0)
        assert granted == 0
        self.true += max(0, next_at - now)

    @rule(wanted=st.integers(1, 15), late=st.lists(st.floats(0, 1), min_size=15, max_size=15))
    def take(self, wanted: int, late: list[float]) -> None:
        now = self.true - self.set_back
        self.window, granted, next_at = take(self.window, self.rate, now, wanted)
        assert granted <= wanted
        assert granted == wanted or next_at > now
        self.calls += [self.true + int(self.rate.hold * part) for part in late[:granted]]

    @rule(wanted=st.integers(1, 15))
    def take_and_use_none(self, wanted: int) -> None:
        tally = Tally(self.window, self.rate, self.true - self.set_back)
        self.unused += [tally.end] * tally.take(wanted)
        self.window = tally.window()

    @rule()
    def give_back(self) -> None:
        for end in self.unused:
            self.window = release(self.window, end, 1)
        self.unused = []

    @rule(parts=st.integers(1, 3000))
    def set_the_clock_back(self, parts: int) -> None:
        """What was taken before is not given back after it: its slice may be another's by then."""
        self.set_back += self.rate.period * parts // 1000
        self.unused = []

    @invariant()
    def no_period_holds_more(self) -> None:
        if hasattr(self, "calls"):
            assert most_in_a_period(self.calls, self.rate.period) <= self.rate.count

    @invariant()
    def what_is_kept_is_bounded(self) -> None:
        if hasattr(self, "window"):
            assert len(self.window.ends) <= self.rate.counted // self.rate.slice + 2


Calls.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
test_calls: Any = Calls.TestCase


@given(rates, st.integers(0, SECOND))
def test_at_saturation_most_of_it_is_used(rate: Rate, offset: int) -> None:
    """Who asks again when told to makes at least 95 percent of the calls that the limit allows."""
    window, now, made = Window(), START + offset, 0
    began, periods = now, 40
    while now < began + periods * rate.period:
        window, granted, next_at = take(window, rate, now, rate.count)
        made += granted
        now = max(now, next_at)
    assert made >= 0.95 * rate.count * periods


@given(rates, st.integers(2, 30))
def test_many_that_wait_are_spread_so_that_each_finds_a_permit(rate: Rate, waiting: int) -> None:
    window, _, _ = take(Window(), rate, START, rate.count)
    tally = Tally(window, rate, START)
    times = [tally.wait(waited=False) for _ in range(waiting)]
    assert times == sorted(set(times))
    window = tally.window()
    for at in times:
        window, granted, _ = take(window, rate, at, 1)
        assert granted == 1


def test_what_comes_a_moment_too_early_keeps_its_place() -> None:
    rate = Rate(1, 2 * SECOND)
    window, _, next_at = take(Window(), rate, START, 1)
    early = Tally(window, rate, next_at - 1000)
    for _ in range(5):
        early.wait(waited=False)
    assert early.wait(waited=True) == next_at
    assert early.wait(waited=False) > next_at


def demand(name: str, *, count: int = 1, key: str = "", lane: bool = False, **more: Any) -> Demand:
    return Demand(Limit(name, Rate(count, 60 * SECOND), Scope.GLOBAL, **more), key or name, lane)


def decided(*asks: Ask) -> list[Granted | Refused]:
    demands = [one for ask in asks for one in ask.demands]
    return decide(asks, {one.key: Tally(Window(), one.limit.rate, START) for one in demands})


def test_what_one_limit_refuses_takes_nothing_of_another() -> None:
    narrow, wide = demand("narrow"), demand("wide", count=2)
    first, second, third, fourth = decided(
        Ask([wide, narrow]), Ask([wide, narrow]), Ask([wide]), Ask([wide])
    )
    assert isinstance(first, Granted)
    assert isinstance(second, Refused)
    assert second.limit == "narrow"
    assert isinstance(third, Granted), "the refused one took nothing of it"
    assert isinstance(fourth, Refused)


def test_to_be_skipped_goes_before_waiting() -> None:
    waits, skips = demand("waits", lane=True), demand("skips", over="skip")
    _, refused = decided(Ask([waits, skips]), Ask([waits, skips]))
    assert refused == Refused("skips", None)


def test_what_another_account_could_send_gets_no_place_in_the_line() -> None:
    limit = Limit("accounts.main", Rate(1, 60 * SECOND), Scope.ACCOUNT, account="main")
    own, all_of_us = Demand(limit, "accounts.main:main"), demand("all", count=2)
    tallies = {one.key: Tally(Window(), one.limit.rate, START) for one in (own, all_of_us)}
    asks = [Ask([own, all_of_us], elsewhere=True)] * 3
    _, second, third = decide(asks, tallies)
    assert isinstance(second, Refused)
    assert second.elsewhere
    assert second == third, "each would be told a later time, were it in the line"
    decide([Ask([all_of_us])], tallies)
    [fourth] = decide([Ask([own, all_of_us], elsewhere=True)], tallies)
    assert isinstance(fourth, Refused)
    assert not fourth.elsewhere, "the other limit holds for every account"


def test_what_all_of_a_lane_waits_for_is_said_so() -> None:
    laned, own = demand("laned", lane=True), demand("own")
    _, refused = decided(Ask([own, laned]), Ask([own, laned]))
    assert isinstance(refused, Refused)
    assert (refused.limit, refused.lane) == ("laned", True)


FACTS = Facts(
    account="main",
    channel="email",
    category="social",
    template="hello",
    recipient="aa",
    user=None,
    api_key="7",
    application="shop",
)


@pytest.mark.parametrize(
    ("scope", "key"),
    [
        (Scope.GLOBAL, "x"),
        (Scope.ACCOUNT, "x:main"),
        (Scope.CHANNEL, "x:email"),
        (Scope.CATEGORY, "x:social"),
        (Scope.TEMPLATE, "x:hello"),
        (Scope.RECIPIENT, "x:aa"),
        (Scope.USER, None),
        (Scope.API_KEY, "x:7"),
    ],
)
def test_what_is_counted_together(scope: Scope, key: str | None) -> None:
    assert key_of(Limit("x", Rate(1, SECOND), scope), FACTS) == key


@pytest.mark.parametrize(
    ("match", "holds"),
    [
        ({}, True),
        ({"account": "main"}, True),
        ({"account": "other"}, False),
        ({"channel": "email", "category": "social"}, True),
        ({"channel": "email", "category": "billing"}, False),
        ({"template": "bye"}, False),
        ({"api_key": "shop"}, True),
        ({"api_key": "7"}, False),
    ],
)
def test_a_limit_can_be_narrowed(match: dict[str, Any], holds: bool) -> None:
    limit = replace(Limit("x", Rate(1, SECOND), Scope.RECIPIENT), **match)
    assert holds_for(limit, FACTS) is holds
