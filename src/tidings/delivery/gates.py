"""Lanes that a rate limit holds shut: nothing is claimed of them meanwhile, and then only about as much as passes.

So a long backlog behind a small limit costs next to nothing: claiming a whole batch to give most of it back would
write each entry twice, again and again. And no more is claimed at once than can be called before its permits run out.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

_WIDE = 1024  # a gate that lets so many pass at once holds up nothing
_USUAL = 256
_FEWEST = 8
_BETWEEN = 0.1  # seconds: those that come too late together are late for one cause


@dataclass(slots=True)
class _Gate:
    """most: how much to claim at once, by what passes; in_time: by what is called in time. passed: since it opened;
    last: with the last batch."""

    opens_at: float = 0.0
    most: int = _WIDE
    in_time: int = _WIDE
    passed: int = 0
    last: int = _USUAL
    lowered_at: float = float("-inf")


class Gates(Generic[Key]):
    """Of lanes, or of whatever else a limit holds shut. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._gates: dict[Key, _Gate] = {}

    def learn(self, passed: Counter[Key], shut: Mapping[Key, float]) -> None:
        """After a batch. passed: how many were let through, by lane; shut: lanes of which some were refused, and
        until when they all would be."""
        for lane in shut:
            self._gates.setdefault(lane, _Gate())
        for lane, gate in list(self._gates.items()):
            if count := passed[lane]:
                gate.passed += count
                gate.last = count
            if lane in shut:
                gate.opens_at = shut[lane]
                # None passed where another worker was quicker, which says little of what will pass the next time.
                gate.most = max(gate.passed + gate.passed // 4 + 1, min(gate.most, gate.last) // 2)
                gate.passed = 0
            elif count >= gate.most:
                gate.most *= 2
            if count >= gate.in_time:
                gate.in_time += max(1, gate.in_time // 32)
            if min(gate.most, gate.in_time) >= _WIDE and lane not in shut:
                del self._gates[lane]

    def late(self, lane: Key) -> None:
        """One of it came too late for its permit: claim fewer at once."""
        gate = self._gates.setdefault(lane, _Gate())
        if self._clock() - gate.lowered_at > _BETWEEN:
            gate.lowered_at = self._clock()
            gate.in_time = max(_FEWEST, min(gate.in_time, gate.last) // 2)

    def opens_in(self, lane: Key) -> float:
        """Seconds; 0 when it is open."""
        gate = self._gates.get(lane)
        return max(0.0, gate.opens_at - self._clock()) if gate else 0.0

    def most(self, lane: Key, places: int) -> int:
        """How many of the places offered to it are worth to be filled."""
        gate = self._gates.get(lane)
        return min(gate.most, gate.in_time, places) if gate else places
