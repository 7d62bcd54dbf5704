"""Rate limits: at most so many calls in any stretch of time, over all workers, and exactly so.

Grants are counted in slices of a hundredth of the period. A permit must be used, that is its call begun, within
`hold` of its grant; what was granted counts until the end of its slice is a period and a hold old. So whenever two
calls fall into one period, the later one's grant had counted the earlier one's, whatever a scheduler did in
between. The price: at saturation N calls are made in period + hold + slice, which is 95 percent of the limit or more.

All times are whole microseconds of one clock.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Literal

SECOND = 1_000_000
"""Microseconds."""

_WORDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_UNITS = {
    written: seconds for word, seconds in _WORDS.items() for written in (word[0], word, word + "s")
}
_RATE = re.compile(
    r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*(?:/|per\s)\s*([0-9]{1,9}(?:\.[0-9]{1,6})?)?\s*([a-z]+)"
)
_MOST = 10_000_000
_SHORTEST, _LONGEST = SECOND, 366 * 86_400 * SECOND
_SLICES = 100  # in a period
_HOLD = 3, 100  # of the period
_LEAST_HOLD = 40_000  # enough for a commit and a turn of the event loop
_MOST_HOLD = 10 * SECOND  # for long periods: no more than a delivery may wait for its turn

Over = Literal["wait", "skip"]


class Scope(StrEnum):
    """What is counted together."""

    GLOBAL = "global"
    ACCOUNT = "account"
    CHANNEL = "channel"
    CATEGORY = "category"
    TEMPLATE = "template"
    RECIPIENT = "recipient"
    USER = "user"
    API_KEY = "api_key"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` calls in any `period` (microseconds)."""

    count: int
    period: int

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Read "100/s", "3/h", "500 per 10 s"; a fraction is made whole, "0.5/s" is 1 per 2 s. Raises ValueError."""
        found = _RATE.fullmatch(text.strip().lower())
        unit = found and _UNITS.get(found[3])
        if not found or not unit:
            raise ValueError(
                'allowed are rates like "100/s", "0.5/s", "3/h" or "500 per 10 s", '
                "with s, m, h or d (second, minute, hour, day)"
            )
        period = Fraction(Decimal(found[2] or "1")) * unit * SECOND
        many = Fraction(Decimal(found[1]))
        rate = cls(many.numerator, int(period * many.denominator))
        if not 1 <= rate.count <= _MOST:
            raise ValueError(
                f"allowed are counts from 1 to {_MOST:,} in a period, after fractions are made whole"
            )
        if not _SHORTEST <= rate.period <= _LONGEST:
            raise ValueError(
                "allowed are periods from 1 second to 366 days, after fractions are made whole"
            )
        return rate

    @property
    def hold(self) -> int:
        """How long a permit can be used."""
        return min(max(self.period * _HOLD[0] // _HOLD[1], _LEAST_HOLD), _MOST_HOLD)

    @property
    def counted(self) -> int:
        """How long after the end of its slice a grant counts."""
        return self.period + self.hold

    @property
    def slice(self) -> int:
        return self.period // _SLICES

    @property
    def spacing(self) -> int:
        """Between two of many that wait: so much apart, each finds a permit."""
        return (self.counted + self.slice) // self.count + 1

    def __str__(self) -> str:
        for unit, seconds in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
            times, rest = divmod(self.period, seconds * SECOND)
            if times and not rest:
                return f"{self.count}/{unit}" if times == 1 else f"{self.count} per {times} {unit}"
        return f"{self.count} per {self.period / SECOND:g} s"


# ------------------------------------------------------------ which limits hold for a delivery


@dataclass(frozen=True, slots=True)
class Limit:
    """over: whether a delivery beyond it waits or is skipped. The rest narrows it: to deliveries over this account,
    of this category, and so on."""

    name: str
    rate: Rate
    scope: Scope
    over: Over = "wait"
    account: str | None = None
    channel: str | None = None
    category: str | None = None
    template: str | None = None
    api_key: str | None = None

    @property
    def is_of_account(self) -> bool:
        """Whether it holds for all that goes over an account, and for nothing else."""
        narrowed = (self.channel, self.category, self.template, self.api_key)
        return self.scope is Scope.ACCOUNT and narrowed == (None, None, None, None)


@dataclass(frozen=True, slots=True)
class Facts:
    """What limits ask of a delivery. recipient, user: hashes that cannot be read back; user: None where it is not
    known. api_key: the number of the application's key, and application its name."""

    account: str
    channel: str
    category: str
    template: str
    recipient: str
    user: str | None
    api_key: str
    application: str


def holds_for(limit: Limit, facts: Facts) -> bool:
    return (
        limit.account in {None, facts.account}
        and limit.channel in {None, facts.channel}
        and limit.category in {None, facts.category}
        and limit.template in {None, facts.template}
        and limit.api_key in {None, facts.application}
    )


def key_of(limit: Limit, facts: Facts) -> str | None:
    """Under which it is counted; None where there is nothing to count by."""
    if limit.scope is Scope.GLOBAL:
        return limit.name
    subject: str | None = getattr(facts, limit.scope)
    return None if subject is None else f"{limit.name}:{subject}"


# ------------------------------------------------------------ counting


@dataclass(frozen=True, slots=True)
class Window:
    """What was granted of late. ends: of the slices, ascending, with how much each holds. spread_until: the time
    that was given to the last of those that wait."""

    ends: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()
    spread_until: int = 0

    def empty_at(self, rate: Rate) -> int:
        """From when on it says nothing any more."""
        return max(self.ends[-1] + rate.counted if self.ends else 0, self.spread_until)


class Tally:
    """A window while permits are taken from it, all at one time."""

    def __init__(self, window: Window, rate: Rate, now: int) -> None:
        self.rate = rate
        self._now = now
        self.end = (now // rate.slice + 1) * rate.slice
        # A clock that was set back: what was granted last cannot be in the future, so all of it is as
        # much older as that. Seen so, it counts for longer than it must, never shorter.
        ahead = max(0, window.ends[-1] - self.end) if window.ends else 0
        self._slices = [
            (end - ahead, count)
            for end, count in zip(window.ends, window.counts, strict=True)
            if end - ahead + rate.counted > now
        ]
        self._used = sum(count for _, count in self._slices)
        self._granted = 0
        self._spread_before = self._spread_until = max(0, window.spread_until - ahead)

    @property
    def used(self) -> int:
        return self._used + self._granted

    @property
    def free(self) -> int:
        return max(0, self.rate.count - self.used)

    @property
    def changed(self) -> bool:
        """Whether there is anything to store."""
        return self._granted > 0 or self._spread_until != self._spread_before

    def take(self, wanted: int = 1) -> int:
        """How many of the wanted permits are granted."""
        granted = min(wanted, self.free)
        self._granted += granted
        return granted

    @property
    def next_at(self) -> int:
        """When there will be a permit, if nobody else takes it."""
        missing = 1 - (self.rate.count - self.used)
        if missing <= 0:
            return self._now
        for end, count in self._slices:
            missing -= count
            if missing <= 0:
                return end + self.rate.counted
        return self.end + self.rate.counted

    def wait(self, *, waited: bool) -> int:
        """Until when one more of many should wait: each later than the one before. waited: it did so already; if it
        came a moment too early, it is not sent to the end of the line again."""
        next_at = self.next_at
        if waited and next_at - self._now <= self.rate.hold:
            return next_at
        self._spread_until = max(next_at, self._spread_until + self.rate.spacing)
        return self._spread_until

    def window(self) -> Window:
        slices = dict(self._slices)
        if self._granted:
            slices[self.end] = slices.get(self.end, 0) + self._granted
        return Window(tuple(slices), tuple(slices.values()), self._spread_until)


def take(window: Window, rate: Rate, now: int, wanted: int) -> tuple[Window, int, int]:
    """Take up to so many permits: the window afterwards, how many, and when there will be one more."""
    tally = Tally(window, rate, now)
    granted = tally.take(wanted)
    return tally.window(), granted, tally.next_at


def release(window: Window, end: int, count: int) -> Window:
    """Put back permits of the slice that ends then. Only for what surely was not used, nor will be."""
    counts = tuple(
        max(0, held - count) if at == end else held
        for at, held in zip(window.ends, window.counts, strict=True)
    )
    return Window(window.ends, counts, window.spread_until)


# ------------------------------------------------------------ several limits on one delivery


@dataclass(frozen=True, slots=True)
class Demand:
    """One permit under a key. lane: what is beyond this limit is so with all of its lane."""

    limit: Limit
    key: str
    lane: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """What one delivery needs: all of it, or none. waited: it was told to wait before. elsewhere: another account could
    send it."""

    demands: Sequence[Demand]
    waited: bool = False
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Granted:
    """slices: for each demand, the end of the slice that it was counted in."""

    slices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """limit: the name of the one that is used up, or the one that takes longest of several. until: when to ask
    again; None to ask no more, because the delivery is to be skipped. lane: nothing of its lane need ask before.
    elsewhere: only its account is at its limit, and another one could send it."""

    limit: str
    until: int | None
    lane: bool = False
    elsewhere: bool = False


Verdict = Granted | Refused


def decide(asks: Sequence[Ask], tallies: Mapping[str, Tally]) -> list[Verdict]:
    """In their order; what one limit refuses takes nothing from the others."""
    return [_decide(ask, tallies) for ask in asks]


def _decide(ask: Ask, tallies: Mapping[str, Tally]) -> Verdict:
    full = [one for one in ask.demands if not tallies[one.key].free]
    if not full:
        for one in ask.demands:
            tallies[one.key].take()
        return Granted(tuple(tallies[one.key].end for one in ask.demands))
    if skipping := [one for one in full if one.limit.over == "skip"]:
        return Refused(skipping[0].limit.name, None)
    if ask.elsewhere and all(one.limit.is_of_account for one in full):
        # It does not wait here, and so gets no place in the line of those that do.
        until, name = max((tallies[one.key].next_at, one.limit.name) for one in full)
        return Refused(name, until, elsewhere=True)
    if laned := [one for one in full if one.lane]:
        until, name = max((tallies[one.key].next_at, one.limit.name) for one in laned)
        return Refused(name, until, lane=True)
    until, name = max((tallies[one.key].wait(waited=ask.waited), one.limit.name) for one in full)
    return Refused(name, until)
