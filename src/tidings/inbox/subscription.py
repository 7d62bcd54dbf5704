"""One who watches a feed: where they are in it, and what waits to be sent to them."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from tidings.inbox.events import Closing, Event, Signal, closing, stands
from tidings.store.feeds import NO_CHANGES, Feed

MOST_REPLAYED = 1_000
"""Changes; who has missed more loads the feed anew, which is less than that."""


class Subscription:
    """after: the number of the last change they have; None to begin with what comes from now on. room: events that
    wait for them at the most. hungry: called when they can take more of what they have missed.

    Whoever is behind is given what they missed as fast as they take it. Whoever was up to date and then lets more
    than `room` events wait is too slow: their stream ends, and they may come back with their number.
    """

    def __init__(
        self, user_id: str, after: int | None, *, room: int, hungry: Callable[[str], None]
    ) -> None:
        self.user_id = user_id
        self.position = after
        self.over = False
        self.why: Closing | None = None
        self._room = room
        self._hungry = hungry
        self._opened = False
        self._live = False
        self._waiting: deque[Event] = deque()
        self._something = asyncio.Event()

    @property
    def reads_after(self) -> int | None:
        """The number after which to read for them; None when they can take nothing at the moment."""
        if self.over or (not self._live and len(self._waiting) >= self._room):
            return None
        return NO_CHANGES if self.position is None else self.position

    @property
    def live_at(self) -> int | None:
        """Their number if they are up to date, as far as is known."""
        return self.position if self._live and not self.over else None

    @property
    def done(self) -> bool:
        """Whether nothing is to be sent any more."""
        return self.over and not self._waiting

    @property
    def behind(self) -> bool:
        """Whether they can take more of what they have missed."""
        return not self._live and self.reads_after is not None

    def take(self, feed: Feed, events: Sequence[Event]) -> None:
        """What was read for them. feed: with the changes after their number, or after a lower one; events: the same
        changes, as they are sent."""
        if self.over:
            return
        if self.position is None:
            self.position = feed.last
        elif self.position == 0:
            self.position = feed.first
        following = _following(self.position, feed, events)
        if not self._opened:
            self._opened = True
            if following is None or feed.last - self.position > MOST_REPLAYED:
                self._reset(feed)
                return
            self._put(stands(Signal.READY, self.position, feed.counters))
        if following is None:
            self._reset(feed)
            return
        for event in following:
            if len(self._waiting) >= self._room:
                break
            self._put(event)
            self.position = event.number
        self._keep_up(up_to_date=self.position == feed.last)

    def _keep_up(self, *, up_to_date: bool) -> None:
        if self._live and not up_to_date and len(self._waiting) >= self._room:
            self.end(Closing.TOO_SLOW)
        else:
            self._live = up_to_date

    def _reset(self, feed: Feed) -> None:
        self.position = feed.last
        self._live = True
        self._put(stands(Signal.RESET, feed.last, feed.counters))

    def _put(self, event: Event) -> None:
        self._waiting.append(event)
        self._something.set()

    def end(self, why: Closing) -> None:
        """Send no more but why it ends; the one who is too slow does not get what waits for them, either."""
        if self.over:
            return
        if why is Closing.TOO_SLOW:
            self._waiting.clear()
        self._put(closing(why))
        self.over, self.why = True, why

    def abandon(self) -> None:
        """They are gone: nothing is sent any more."""
        self._waiting.clear()
        self.over = True
        self._something.set()

    async def next(self, seconds: float) -> list[Event]:
        """All that waits for them, once there is something; empty after so many seconds, and when they are gone."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._something.wait()
        except TimeoutError:
            return []
        waiting = self.taken()
        if self._opened and self.behind:
            self._hungry(self.user_id)
        return waiting

    def taken(self) -> list[Event]:
        """What waits for them now; it is theirs."""
        self._something.clear()
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting


def _following(position: int, feed: Feed, events: Sequence[Event]) -> Sequence[Event] | None:
    """Those of the events that come after this number; None when some are missing in between."""
    following = [event for event in events if (event.number or 0) > position]
    expected = range(position + 1, position + 1 + len(following))
    if [event.number for event in following] != list(expected):
        return None
    all_there = position + len(following) == feed.last
    return following if all_there or (not feed.whole and position < feed.last) else None
