"""The line of those that no account takes at the moment, though others of their lane are sent meanwhile.

Looking at all of them again each second would write a long backlog behind one small account over and over. So each is
told to come a little later than the one before it, not much faster than their accounts work: most find a place then.
"""

from collections.abc import Callable

_LEAST = 100.0  # looks per second: an account that has become faster must not wait for work
_AHEAD = 2.0  # times what the accounts did lately, for the same reason
_LONGEST = 120.0  # seconds

Names = tuple[str, ...]


class Lines:
    """One for each set of accounts that fit. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ends: dict[Names, float] = {}

    def join(self, accounts: Names, rate: float, least: float) -> float:
        """Seconds to wait, at least so many. accounts: those that fit; rate: calls per second they ended of late."""
        now = self._clock()
        self._ends = {names: end for names, end in self._ends.items() if end > now}
        end = max(self._ends.get(accounts, 0.0), now + least) + 1 / max(_LEAST, rate * _AHEAD)
        self._ends[accounts] = min(end, now + _LONGEST)
        return self._ends[accounts] - now
