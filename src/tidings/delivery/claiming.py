"""What a worker takes from the queue: as much as there is room for, shared fairly between the lanes."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from tidings.delivery.accounts import Accounts
from tidings.domain.channels import Channel
from tidings.domain.fairness import Offer, Room, Sharing, Weights
from tidings.domain.lanes import Lane
from tidings.domain.priorities import Priority
from tidings.queue import postgres as queue
from tidings.queue.cursor import Cursor
from tidings.queue.postgres import Claimed, Wanted
from tidings.store.database import Pool, borrow

_REMEMBERED = 60.0  # seconds for which a lane is looked into that had nothing


@dataclass(slots=True)
class _Known:
    """waiting: something is due there; seen: when that was last so."""

    waiting: bool
    seen: float


class Claimer:
    """hungry: whether something is left that could be claimed at once. crowded: whether something is due for
    which there was no room at the last look."""

    def __init__(
        self,
        pool: Pool,
        accounts: Accounts,
        *,
        weights: Weights,
        lease: float,
        new_lease: Callable[[], UUID],
        clock: Callable[[], float],
    ) -> None:
        self._pool = pool
        self._accounts = accounts
        self._sharing = Sharing(weights)
        self._lease = lease
        self._new_lease = new_lease
        self._clock = clock
        self._cursor = Cursor()
        self._lanes: dict[Lane, _Known] = {}
        self.hungry = False
        self.crowded = False

    async def claim(self, most: int, ordinary: int) -> list[Claimed]:
        """Claim up to `most` deliveries, and up to `ordinary` of them that are not critical."""
        if self._cursor.restart_when_due(self._clock()):
            await self.look()
        offers = self._sharing.offers(
            [lane for lane, known in self._lanes.items() if known.waiting],
            [lane for lane, known in self._lanes.items() if not known.waiting],
            most,
            ordinary,
            self._accounts.rooms(),
        )
        if not offers:
            self.hungry = False
            return []
        async with borrow(self._pool) as connection:
            claimed = await queue.claim(
                connection,
                lease=self._new_lease(),
                wanted=[
                    Wanted(one.lane, one.places, self._cursor.since(one.lane)) for one in offers
                ],
                limit=most,
                seconds=self._lease,
            )
        self._learn(offers, claimed)
        return claimed

    async def look(self) -> float | None:
        """Look at the whole queue. Seconds until something can be claimed: 0 when it can be now, None when
        nothing waits for a time; what waits for room in its channel's accounts does not count."""
        async with borrow(self._pool) as connection:
            heads = await queue.heads(connection)
        now = self._clock()
        self._forget(now)
        for head in heads:
            self._lanes[head.lane] = _Known(head.due_in <= 0, now)
        rooms = self._accounts.rooms()
        possible = [head for head in heads if _fits(head.lane, rooms)]
        self.crowded = len(possible) < len(heads)
        return min((max(0.0, head.due_in) for head in possible), default=None)

    def _learn(self, offers: list[Offer], claimed: list[Claimed]) -> None:
        now = self._clock()
        taken = Counter(one.lane for one in claimed)
        emptied = [offer.lane for offer in offers if taken[offer.lane] < offer.places]
        self._cursor.advance(claimed, emptied)
        for offer in offers:
            known = self._lanes[offer.lane]
            known.waiting = taken[offer.lane] == offer.places
            if taken[offer.lane]:
                known.seen = now
        self.hungry = any(self._lanes[offer.lane].waiting for offer in offers)

    def _forget(self, now: float) -> None:
        """Lanes that had nothing for a while; a look at the whole queue finds them again."""
        self._lanes = {
            lane: _Known(waiting=False, seen=known.seen)
            for lane, known in self._lanes.items()
            if now - known.seen < _REMEMBERED
        }


def _fits(lane: Lane, rooms: Mapping[Channel, Room]) -> bool:
    if lane.channel is None or (room := rooms.get(lane.channel)) is None:
        return True
    return (room.critical if lane.priority is Priority.CRITICAL else room.ordinary) > 0
