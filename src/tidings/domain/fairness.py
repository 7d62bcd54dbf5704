"""How free places are shared between the lanes that have something waiting.

Critical comes first and may use all places, also those that are kept for it alone. The other priorities share
by weight, so none starves; within a priority applications share alike, and an application's share goes alike
to its channels. Shares smaller than one are saved up: deficit round robin, after Shreedhar and Varghese,
https://doi.org/10.1145/217391.217453.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from tidings.domain.channels import Channel
from tidings.domain.lanes import Lane
from tidings.domain.priorities import Priority

Weights = Mapping[Priority, float]

WEIGHTS: Weights = {Priority.HIGH: 6.0, Priority.MEDIUM: 3.0, Priority.LOW: 1.0}

PROBE = 8
"""Places offered to a lane in which nothing was waiting at the last look: something may be there by now."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a channel's accounts can take now: of anything, and of what is critical."""

    ordinary: int
    critical: int


@dataclass(frozen=True, slots=True)
class Offer:
    lane: Lane
    places: int


@dataclass(slots=True)
class Sharing:
    """Remembers what each lane has been left short of."""

    weights: Weights = field(default_factory=lambda: WEIGHTS)
    _credits: dict[Lane, float] = field(default_factory=dict)

    def offers(
        self,
        waiting: Collection[Lane],
        silent: Collection[Lane],
        most: int,
        ordinary: int,
        rooms: Mapping[Channel | None, Room],
    ) -> list[Offer]:
        """What to claim, in the order of urgency.

        waiting: lanes known to hold something due; silent: known ones that may. most: places in all; ordinary: how
        many of them what is not critical may have. A lane whose channel has no room is offered nothing.
        """
        self._credits = {lane: owed for lane, owed in self._credits.items() if lane in waiting}
        left = _Left(most, ordinary, dict(rooms))
        critical = [lane for lane in waiting if lane.priority is Priority.CRITICAL]
        probes = [left.take(lane, PROBE) for lane in _few(silent, most, ordinary, waiting)]
        urgent = [left.take(lane, places) for lane, places in self._alike(critical, most).items()]
        others = [lane for lane in waiting if lane.priority is not Priority.CRITICAL]
        shared = self._by_weight([lane for lane in others if left.fits(lane)], left.ordinary)
        rest = [left.take(lane, places) for lane, places in shared.items()]
        chosen = [offer for offer in (*urgent, *probes, *rest) if offer.places > 0]
        return sorted(chosen, key=lambda offer: offer.lane.priority is not Priority.CRITICAL)

    def urgent(
        self, lanes: Collection[Lane], most: int, rooms: Mapping[Channel | None, Room]
    ) -> list[Offer]:
        """What to claim of critical lanes alone, whether something is known to wait there or not."""
        left = _Left(most, 0, dict(rooms))
        offers = [left.take(lane, most) for lane in lanes]
        return [offer for offer in offers if offer.places > 0]

    def _alike(self, lanes: Collection[Lane], places: int) -> dict[Lane, int]:
        return self._spread(dict.fromkeys(lanes, 1.0), places)

    def _by_weight(self, lanes: Collection[Lane], places: int) -> dict[Lane, int]:
        apps = Counter((lane.priority, lane.app) for lane in lanes)
        apps_of = Counter(priority for priority, _ in apps)
        return self._spread(
            {
                lane: self.weights[lane.priority]
                / apps_of[lane.priority]
                / apps[lane.priority, lane.app]
                for lane in lanes
            },
            places,
        )

    def _spread(self, weights: Mapping[Lane, float], places: int) -> dict[Lane, int]:
        """All the places, by weight; what does not come out even is owed until the next time."""
        if not weights:
            return {}
        total = sum(weights.values())
        for lane, weight in weights.items():
            owed = self._credits.get(lane, 0.0) + places * weight / total
            self._credits[lane] = min(owed, places + 1.0)
        given = {lane: max(0, int(self._credits[lane])) for lane in weights}
        for lane in _most_owed(weights, self._credits, given, places - sum(given.values())):
            given[lane] += 1
        for lane, count in given.items():
            self._credits[lane] -= count
        return given


def _few(
    silent: Collection[Lane], most: int, ordinary: int, waiting: Collection[Lane]
) -> list[Lane]:
    """The most urgent of them, in at most a quarter of the places: those that are waiting were seen to be, and
    a look at the whole queue will show the others. One critical lane always, and any one where nothing waits."""
    critical = sorted(lane for lane in silent if lane.priority is Priority.CRITICAL)
    others = sorted(lane for lane in silent if lane.priority is not Priority.CRITICAL)
    chosen = critical[: max(1, most // 4 // PROBE)]
    return [*chosen, *others[: max(0 if waiting or chosen else 1, ordinary // 4 // PROBE)]]


def _most_owed(
    lanes: Iterable[Lane], credits: Mapping[Lane, float], given: Mapping[Lane, int], count: int
) -> list[Lane]:
    ordered = sorted(lanes, key=lambda lane: given[lane] - credits[lane])
    return ordered[: max(0, count)]


@dataclass(slots=True)
class _Left:
    """What is still to be had while offers are made."""

    free: int
    ordinary: int
    rooms: dict[Channel | None, Room]

    def fits(self, lane: Lane) -> bool:
        return self._room(lane) > 0

    def take(self, lane: Lane, wanted: int) -> Offer:
        places = max(0, min(wanted, self._room(lane)))
        self.free -= places
        if lane.priority is not Priority.CRITICAL:
            self.ordinary -= places
        if lane.channel in self.rooms:
            room = self.rooms[lane.channel]
            self.rooms[lane.channel] = Room(room.ordinary - places, room.critical - places)
        return Offer(lane, places)

    def _room(self, lane: Lane) -> int:
        urgent = lane.priority is Priority.CRITICAL
        places = self.free if urgent else min(self.free, self.ordinary)
        room = self.rooms.get(lane.channel)
        if room is None:
            return places
        return min(places, room.critical if urgent else room.ordinary)
