"""Accounts that have used up their rate: what another one could send goes there meanwhile.

No more is chosen for such an account at once than passed of late, for each that is refused was prepared in vain.
"""

import sys
from collections import Counter
from collections.abc import Callable, Mapping

from tidings.delivery.gates import Gates


class Overflow:
    """clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._gates = Gates[str](clock)
        self._chosen: Counter[str] = Counter()

    def choose(self, account: str) -> None:
        """One more is to ask for a permit of this account."""
        self._chosen[account] += 1

    def learn(self, passed: Counter[str], shut: Mapping[str, float]) -> None:
        """All that were chosen have asked; by account, how many were let through, and until when none will be."""
        self._chosen.clear()
        self._gates.learn(passed, shut)

    def is_limited(self, account: str) -> bool:
        """Whether another one is better."""
        if self._gates.opens_in(account):
            return True
        return self._chosen[account] >= self._gates.most(account, sys.maxsize)
