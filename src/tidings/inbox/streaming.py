"""One stream of events to one who watches, over whatever carries it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tidings.inbox.events import Closing, Event, heartbeat
from tidings.inbox.subscription import Subscription

Send = Callable[[Sequence[Event]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Stream:
    """heartbeat: seconds without an event after which one is sent. patience: seconds in which what is sent must be
    taken. ends_in: seconds until their token expires, from now."""

    subscription: Subscription
    send: Send
    heartbeat: float
    patience: float
    ends_in: Callable[[], float]

    async def run(self) -> Closing | None:
        """Until it ends; why, or None when they left. TimeoutError is not raised: it is being too slow."""
        subscription = self.subscription
        while True:
            events = await subscription.next(min(self.heartbeat, self.ends_in()))
            if not events and not subscription.over:
                if self.ends_in() <= 0:
                    subscription.end(Closing.TOKEN_EXPIRED)
                    continue
                events = [heartbeat(subscription.position)]
            if events and not await self._sent(events):
                subscription.end(Closing.TOO_SLOW)
                subscription.abandon()
            if subscription.done:
                return subscription.why

    async def _sent(self, events: Sequence[Event]) -> bool:
        try:
            async with asyncio.timeout(self.patience):
                await self.send(events)
        except TimeoutError:
            return False
        return True
