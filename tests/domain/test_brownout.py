"""A brownout, second by second: the first of two accounts turns bad for minutes and heals again, while several
hundred calls a second are routed past it."""

from collections import Counter, deque
from dataclasses import dataclass, field
from random import Random

import pytest

from tidings.domain import breaker as breakers
from tidings.domain.breaker import NONE, Breaker, BreakerPolicy, Change, Counts, State
from tidings.domain.channels import Channel
from tidings.domain.provider import Account
from tidings.domain.routing import Facts, route

POLICY = BreakerPolicy()
RATE = 300  # calls a second
GOOD, BAD = 60, 300  # seconds
FIRST, SECOND = (
    Account(name, "smtp", (Channel.EMAIL,), confirms_delivery=False, timeout=10, order=order)
    for order, name in enumerate(("first", "second"))
)
FACTS = Facts("billing")


@dataclass
class World:
    """The first account fails a share of its calls, or answers each after some seconds. What is seen is reported
    each second, as workers do."""

    random: Random
    failing: float
    seconds: int
    bad: range
    breaker: Breaker = field(default_factory=Breaker)
    permits: int = 0
    late: deque[tuple[int, int, Counts]] = field(default_factory=deque)
    taken: list[Counter[str]] = field(default_factory=list)
    changes: list[tuple[int, Change]] = field(default_factory=list)

    def run(self, until: int) -> None:
        for now in range(until):
            self.report(now)
            self.taken.append(Counter(self.call(now) for _ in range(RATE)))

    def call(self, now: int) -> str:
        routed = route(
            (FIRST, SECOND),
            FACTS,
            pinned=None,
            avoid=(),
            blocked=lambda name: name == "first" and not self.may_call(),
            limited=lambda _: False,
            busy=lambda _: False,
            uniform=self.random.random(),
        )
        assert routed.account is not None
        if routed.account is FIRST:
            self.answer(now)
        return routed.account.name

    def may_call(self) -> bool:
        return self.breaker.state is State.CLOSED or self.permits > 0

    def answer(self, now: int) -> None:
        trial = 0 if self.breaker.state is State.CLOSED else self.breaker.trial
        self.permits -= bool(trial)
        failed = now in self.bad and self.random.random() < self.failing
        slow = now in self.bad and self.seconds >= POLICY.slow_after
        counts = Counts(slow=1) if slow else Counts(failed=1) if failed else Counts(ok=1)
        seen_at = now + 1 + (int(POLICY.slow_after) if slow else 0)
        self.late.append((seen_at, trial, counts))

    def report(self, now: int) -> None:
        arrived = [one for one in self.late if one[0] <= now]
        self.late = deque(one for one in self.late if one[0] > now)
        total, good, bad = NONE, 0, 0
        for _, trial, counts in arrived:
            if not trial:
                total = total.plus(counts)
            elif trial == self.breaker.trial:
                good, bad = good + counts.ok, bad + counts.bad
        uniform = self.random.random()
        self.breaker, change = breakers.observe(self.breaker, total, now, POLICY, uniform)
        self.note(now, change)
        if good or bad:
            trial = self.breaker.trial
            self.breaker, change = breakers.probed(
                self.breaker, trial, good, bad, now, POLICY, uniform
            )
            self.note(now, change)
        trial = self.breaker.trial
        self.breaker, granted, change = breakers.ask(self.breaker, RATE, now, POLICY)
        self.note(now, change)
        if self.breaker.trial != trial or self.breaker.state is not State.HALF_OPEN:
            self.permits = 0
        self.permits += granted

    def note(self, now: int, change: Change | None) -> None:
        if change is not None:
            self.changes.append((now, change))

    def share(self, account: str, seconds: range) -> float:
        taken = sum((self.taken[second] for second in seconds), Counter[str]())
        return taken[account] / taken.total()

    def came_to(self, state: State, seconds: range) -> int:
        return sum(change.state_to is state for at, change in self.changes if at in seconds)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("failing", "seconds"), [(0.3, 0), (1.0, 0), (0.0, 5)])
def test_traffic_leaves_a_bad_account_and_returns(failing: float, seconds: int, seed: int) -> None:
    bad = range(GOOD, GOOD + BAD)
    world = World(Random(seed), failing, seconds, bad)
    end = bad.stop + 240
    world.run(end)

    assert world.share("first", range(GOOD)) == 1, "healthy: the first takes all"
    assert world.share("second", range(GOOD + 9, GOOD + 10)) > 0.9, "past it within ten seconds"
    assert world.share("first", range(GOOD + 10, bad.stop)) < 0.03, "few calls while it stays bad"
    assert world.came_to(State.CLOSED, bad) <= 4, "no flapping"

    healed = range(bad.stop + 90, end)
    assert world.share("first", healed) == 1, "it returns and stays"
    assert world.breaker.state is State.CLOSED


@pytest.mark.parametrize("seed", range(3))
def test_a_few_failures_change_nothing(seed: int) -> None:
    world = World(Random(seed), 0.05, 0, range(600))
    world.run(600)
    assert world.changes == []
