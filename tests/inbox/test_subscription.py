"""What one who watches is given, however what was read for them is cut and whenever they take it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from tidings.inbox.events import Closing, Event
from tidings.inbox.subscription import MOST_REPLAYED, Subscription
from tidings.store.feeds import Change, Counters, Feed, Kind

FIRST = 1_000


@dataclass
class Log:
    """A feed's changes, of which the oldest may be forgotten. erased: how often it began anew."""

    first: int = FIRST
    last: int = FIRST
    kept_from: int = FIRST + 1

    def read(self, after: int, limit: int) -> tuple[Feed, list[Event]]:
        start = max(self.first if after == 0 else after, self.kept_from - 1)
        numbers = list(range(start + 1, min(self.last, start + limit) + 1))
        changes = [Change(one, Kind.SEEN, None, Counters()) for one in numbers]
        feed = Feed(self.first, self.last, Counters(), changes, whole=len(numbers) < limit)
        return feed, [Event("seen", one, b"{}") for one in numbers]


@dataclass
class Client:
    """Fails for what is left out or comes twice. number: the last it has."""

    number: int | None
    resets: int = 0
    names: list[str] = field(default_factory=list)

    def take(self, events: Sequence[Event], log: Log) -> None:
        for event in events:
            self.names.append(event.name)
            if event.name == "closing":
                continue
            assert event.number is not None
            if event.name == "seen":
                assert event.number == (self.number or 0) + 1
            elif event.name == "ready":
                assert self.number in {None, 0, event.number}
            else:
                self.resets += 1
            self.number = event.number


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 8)),
        st.tuples(st.just("read"), st.integers(1, 5)),
        st.tuples(st.just("read lower"), st.integers(1, 5)),
        st.tuples(st.just("drain"), st.just(0)),
        st.tuples(st.just("trim"), st.integers(1, 12)),
    ),
    max_size=60,
)


@given(
    STEPS,
    st.integers(0, 12),
    st.sampled_from([None, 0, FIRST, FIRST + 3, FIRST + 99]),
    st.integers(1, 6),
)
def test_nothing_is_left_out_and_nothing_comes_twice(
    steps: list[tuple[str, int]], stored: int, after: int | None, room: int
) -> None:
    log, client = Log(last=FIRST + stored), Client(after)
    one = Subscription("ann", after, room=room, hungry=lambda _: None)

    def read(limit: int, lower: int = 0) -> None:
        if (number := one.reads_after) is not None:
            one.take(*log.read(max(0, number - lower) if number > lower else number, limit))

    for step, size in steps:
        match step:
            case "add":
                log.last += size
            case "read":
                read(size)
            case "read lower":  # because another watches who is further behind
                read(size, lower=2)
            case "drain":
                client.take(one.taken(), log)
            case "trim":
                log.kept_from = min(log.last + 1, log.kept_from + size)
    for _ in range(200):
        if one.over or one.live_at == log.last:
            break
        client.take(one.taken(), log)
        read(3)
    client.take(one.taken(), log)
    assert client.names[0] in {"ready", "reset", "closing"}
    if one.over:
        assert one.why is Closing.TOO_SLOW
        assert client.names[-1] == "closing"
    else:
        assert client.number == one.position == log.last


def test_who_missed_too_much_loads_anew() -> None:
    for missed, name in ((MOST_REPLAYED, "ready"), (MOST_REPLAYED + 1, "reset")):
        log = Log(last=FIRST + missed)
        one = Subscription("ann", FIRST, room=10, hungry=lambda _: None)
        one.take(*log.read(FIRST, 100))
        assert one.taken()[0].name == name


def test_who_is_up_to_date_and_takes_nothing_is_too_slow() -> None:
    log = Log()
    one = Subscription("ann", None, room=3, hungry=lambda _: None)
    for number in range(4):
        log.last = FIRST + number
        after = one.reads_after
        assert after is not None
        one.take(*log.read(after, 100))
    assert one.over
    (closing,) = one.taken()
    assert b"too_slow" in closing.data


async def _next(one: Subscription) -> list[Event]:
    return await one.next(0.01)


def test_who_leaves_is_given_nothing_more() -> None:
    one = Subscription("ann", None, room=3, hungry=lambda _: None)
    one.take(*Log().read(FIRST, 100))
    one.abandon()
    one.take(*Log(last=FIRST + 1).read(FIRST, 100))
    assert asyncio.run(_next(one)) == []
    assert one.done
    assert one.why is None
