"""The places of an account: how many calls it bears at a time, and whose turn it is."""

import asyncio
from collections import deque
from collections.abc import Callable

from tidings.domain.fairness import Room

_LOOK_BACK = 0.2  # seconds
_LEAST_AHEAD = 16


class Places:
    """Some are kept for what is critical. ahead: beside the calls under way as many deliveries may wait for
    their turn as were finished in the last moment, so that a fast account never starves and a slow one
    never fills the worker. patience: seconds after which what waits for its turn has waited in vain, because its
    permit of a rate limit has run out; None for no such limit. rate: calls per second that ended of late.
    """

    def __init__(
        self, capacity: int, clock: Callable[[], float], patience: float | None = None
    ) -> None:
        self._capacity = capacity
        self._least_ahead = _LEAST_AHEAD if patience is None else 0
        self._look_ahead = _LOOK_BACK if patience is None else min(_LOOK_BACK, patience / 2)
        self._kept = max(1, capacity // 10) if capacity > 1 else 0
        self._clock = clock
        self._free = capacity
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._ordinary: deque[asyncio.Future[None]] = deque()
        self._held = 0
        self._finished = 0
        self.rate = 0.0
        self._since = clock()
        self._ahead = self._least_ahead

    # ------------------------------------------------------------ how much may be claimed

    def room(self) -> Room:
        """How many more deliveries it is worth to claim for this account."""
        self._look_back()
        critical = self._capacity + self._ahead - self._held
        ordinary = critical - self._kept
        return Room(ordinary=max(0, ordinary), critical=max(0, critical))

    def is_full(self, *, urgent: bool) -> bool:
        """Whether room() at its last look would give nothing by now."""
        return self._held >= self._capacity + self._ahead - (0 if urgent else self._kept)

    def is_overfull(self) -> bool:
        """Whether so much waits for its turn that it would take the place of what other accounts could send."""
        return self._held * 4 >= (self._capacity + self._ahead) * 5

    def hold(self) -> None:
        """A delivery was claimed for this account."""
        self._held += 1

    @property
    def held(self) -> int:
        return self._held

    def let_go(self, *, called: bool) -> None:
        """It is done with. called: a call was made for it; what is given back says nothing of the account's speed."""
        self._held -= 1
        self._finished += called

    def _look_back(self) -> None:
        elapsed = self._clock() - self._since
        if elapsed < _LOOK_BACK:
            return
        self.rate = self._finished / elapsed
        self._ahead = max(self._least_ahead, int(self.rate * self._look_ahead))
        self._finished = 0
        self._since += elapsed

    # ------------------------------------------------------------ whose turn it is

    async def take_turn(self, *, urgent: bool) -> None:
        """Wait for a place; who is urgent goes first."""
        waiting = self._urgent if urgent else self._ordinary
        if not waiting and self._free > (0 if urgent else self._kept):
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given the place in the same moment
                self.end_turn()
            elif turn in waiting:  # and not passed over already
                waiting.remove(turn)
            raise

    def end_turn(self) -> None:
        self._free += 1
        while self._urgent and self._free > 0:
            self._give(self._urgent.popleft())
        while self._ordinary and self._free > self._kept:
            self._give(self._ordinary.popleft())

    def _give(self, turn: "asyncio.Future[None]") -> None:
        if not turn.done():
            self._free -= 1
            turn.set_result(None)
