"""What a worker takes from the queue: as much as there is room for, shared fairly between the lanes."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from tidings.delivery.accounts import Accounts
from tidings.delivery.gates import Gates
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
        gates: Gates[Lane],
        clock: Callable[[], float],
    ) -> None:
        self._pool = pool
        self._accounts = accounts
        self._sharing = Sharing(weights)
        self._lease = lease
        self._new_lease = new_lease
        self._gates = gates
        self._clock = clock
        self._cursor = Cursor()
        self._lanes: dict[Lane, _Known] = {}
        self.hungry = False
        self.crowded = False

    async def claim(self, most: int, ordinary: int) -> list[Claimed]:
        """Claim up to `most` deliveries, and up to `ordinary` of them that are not critical."""
        if self._cursor.is_restart_due(self._clock()):
            await self.look()
        lanes = {lane: known for lane, known in self._lanes.items() if self._is_open(lane)}
        offers = self._sharing.offers(
            [lane for lane, known in lanes.items() if known.waiting],
            [lane for lane, known in lanes.items() if not known.waiting],
            most,
            ordinary,
            self._accounts.rooms({lane.channel for lane in lanes}),
        )
        claimed = await self._take(offers, most)
        self.hungry = any(self._lanes[offer.lane].waiting for offer in offers)
        return claimed

    async def _take(self, offers: Sequence[Offer], most: int) -> list[Claimed]:
        offers = [
            Offer(one.lane, places)
            for one in offers
            if (places := self._gates.most(one.lane, one.places)) > 0
        ]
        if not offers:
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

    @property
    def expects_urgent(self) -> bool:
        """Whether anything critical came of late."""
        return any(lane.priority is Priority.CRITICAL for lane in self._lanes)

    async def claim_urgent(self, most: int) -> list[Claimed]:
        """Claim what is critical in the lanes that are known, beside another claim."""
        lanes = [
            lane
            for lane in self._lanes
            if lane.priority is Priority.CRITICAL and self._is_open(lane)
        ]
        if not lanes:
            return []
        rooms = self._accounts.rooms({lane.channel for lane in lanes})
        offers = self._sharing.urgent(lanes, most, rooms)
        return await self._take(offers, most)

    async def look(self, *, only_urgent: bool = False) -> float | None:
        """Look at the whole queue. Seconds until something can be claimed: 0 when it can be now, None when
        nothing waits for a time; what waits for room in its channel's accounts does not count, nor, where the
        worker has places for what is urgent only, does the rest."""
        began = self._clock()
        async with borrow(self._pool) as connection:
            heads = await queue.heads(connection)
        now = self._clock()
        fronts = {head.lane: head.due_at for head in heads if head.due_at and head.due_in <= 0}
        self._cursor.restart(fronts, now, now - began)
        self._forget(now)
        for head in heads:
            self._lanes[head.lane] = _Known(head.due_in <= 0, now)
        rooms = self._accounts.rooms({head.lane.channel for head in heads})
        possible = [head for head in heads if _fits(head.lane, rooms)]
        self.crowded = len(possible) < len(heads)
        if only_urgent:
            possible = [head for head in possible if head.lane.priority is Priority.CRITICAL]
        waits = (max(0.0, head.due_in, self._gates.opens_in(head.lane)) for head in possible)
        return min(waits, default=None)

    def _learn(self, offers: Sequence[Offer], claimed: Sequence[Claimed]) -> None:
        now = self._clock()
        taken = Counter(one.lane for one in claimed)
        emptied = [offer.lane for offer in offers if taken[offer.lane] < offer.places]
        self._cursor.advance(claimed, emptied)
        for offer in offers:
            # Another look may have come between, and seen the lane without anything.
            known = self._lanes.setdefault(offer.lane, _Known(waiting=False, seen=now))
            known.waiting = taken[offer.lane] == offer.places
            if taken[offer.lane]:
                known.seen = now

    def _is_open(self, lane: Lane) -> bool:
        return not self._gates.opens_in(lane)

    def _forget(self, now: float) -> None:
        """Lanes that had nothing for a while; a look at the whole queue finds them again."""
        self._lanes = {
            lane: _Known(waiting=False, seen=known.seen)
            for lane, known in self._lanes.items()
            if now - known.seen < _REMEMBERED
        }


def _fits(lane: Lane, rooms: Mapping[Channel | None, Room]) -> bool:
    if (room := rooms.get(lane.channel)) is None:
        return True
    return (room.critical if lane.priority is Priority.CRITICAL else room.ordinary) > 0
