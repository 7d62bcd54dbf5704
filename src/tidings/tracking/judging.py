"""Judging requests for links and pixels: counted, and where a person made them, a receipt of the message."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from tidings.domain.receipts import Receipt, ReceiptType
from tidings.domain.tracking import PIXEL, Hit, Rule, judge
from tidings.metrics import Metrics
from tidings.settings import TrackingSettings
from tidings.store import hits, landings, receipts
from tidings.store.database import Connection, Pool, borrow
from tidings.store.hits import Count, Visited
from tidings.store.keyring import KeyRing
from tidings.store.rounds import attempt, until
from tidings.tracking.reading import Follow

_AT_ONCE = 1_000
_LOOK_EVERY = 5.0  # seconds: for hits whose process died
_AGAIN = 0.25  # while some wait to be judged


class Judge:
    """Any number of processes may run it; one works at a time. moved: tells the workers that there may be work."""

    def __init__(
        self,
        *,
        pool: Pool,
        keyring: KeyRing,
        settings: TrackingSettings,
        follow: Follow,
        metrics: Metrics,
        moved: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._after = timedelta(seconds=settings.judged_after)
        self._soon = timedelta(seconds=settings.too_soon)
        self._follow = follow
        self._metrics = metrics
        self._moved = moved
        self._now = now
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        self._wanted.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._wanted.clear()
            if await until(self._wanted, await attempt("tracking", self._work)):
                await asyncio.sleep(_AGAIN)  # those that come just behind are seen with it

    async def _work(self) -> float:
        """Until nothing is due; after how many seconds to look again."""
        while await self.step():
            continue
        async with borrow(self._pool) as connection:
            return _AGAIN if await hits.waiting(connection) else _LOOK_EVERY

    async def step(self) -> bool:
        """Judge some; False when none is due. All in one transaction: what a crash takes back is judged again."""
        async with borrow(self._pool) as connection, connection.transaction():
            taken = await hits.take(connection, self._now() - self._after, _AT_ONCE)
            if not taken:
                return False
            known = await hits.visited(connection, list(taken))
            counts = [
                count
                for delivery_id, one in known.items()
                if not one.refused
                for count in self._judged(one, taken[delivery_id])
            ]
            if counts:
                await hits.count(connection, counts)
            moved = await self._land(connection, [one for one in counts if one.persons])
        if moved:
            self._moved()
        return True

    def _judged(self, message: Visited, found: Sequence[Hit]) -> list[Count]:
        rules = judge(found, message.sent_at, links=message.links, soon=self._soon)
        by_link: dict[int, list[tuple[Hit, Rule]]] = {}
        for hit, rule in zip(found, rules, strict=True):
            kind = "opened" if hit.link == PIXEL else "clicked"
            self._metrics.engagements.labels(kind, "person" if rule.person else "machine").inc(
                hit.times
            )
            by_link.setdefault(hit.link, []).append((hit, rule))
        return [_counted(message, link, pairs) for link, pairs in by_link.items()]

    async def _land(self, connection: Connection, counts: Sequence[Count]) -> bool:
        if not counts:
            return False
        found = [("", _receipt(one)) for one in counts]
        stored = await receipts.store(connection, found, self._keyring)
        moved = await landings.apply(connection, [one.delivery_id for one in stored.known])
        await self._follow(connection, moved)
        return bool(moved)


def _counted(message: Visited, link: int, pairs: Sequence[tuple[Hit, Rule]]) -> Count:
    persons = [hit for hit, rule in pairs if rule.person]
    return Count(
        of=message,
        link=link,
        # One that asked for the headers only has not followed it.
        requests=sum(hit.times for hit, _ in pairs if not hit.head),
        persons=sum(hit.times for hit in persons),
        rule=pairs[-1][1],
        first_at=pairs[0][0].at,
        last_at=pairs[-1][0].at,
        person_at=persons[-1].at if persons else None,
    )


def _receipt(one: Count) -> Receipt:
    """The same for each time: a link that is followed again says nothing new."""
    assert one.person_at is not None
    kind = ReceiptType.OPENED if one.link == PIXEL else ReceiptType.CLICKED
    return Receipt(
        kind,
        one.person_at,
        event_id=f"{one.of.delivery_id}:{one.link}",
        delivery_id=one.of.delivery_id,
        detail="" if one.link == PIXEL else f"link {one.link}",
    )
