"""Where a worker goes on looking in the queue.

What was claimed or done leaves dead entries at the front of the index, and they stay there for as long as
any open snapshot (a backup, an ANALYZE, a forgotten transaction) might see them. Starting every claim at
the front would read past all of them every time. So a claim goes on where the one before it ended, and
starts at the front again when it finds less than it wanted, and every now and then, for the entries
that became visible behind it: retries, rescues, and transactions that committed late.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from tidings.domain.lanes import Lane
from tidings.queue.postgres import Claimed

RESTART_AFTER = 0.25
"""Seconds: how long an entry behind the cursor can be overlooked while the queue is busy."""

_SHARE = 10  # looks at the whole queue take at most one part in so many of the time
_LONGEST = 5.0  # seconds, however long a look takes


class Cursor:
    def __init__(self) -> None:
        self._since: dict[Lane, datetime] = {}
        self._restart_at = 0.0

    def is_restart_due(self, now: float) -> bool:
        """Whether it is time to start at the front again. now: seconds of a monotonic clock."""
        return now >= self._restart_at

    def restart(self, fronts: Mapping[Lane, datetime], now: float, took: float) -> None:
        """After a look at the whole queue. fronts: the first due time of each lane, so that the next claim does not
        read past what is dead before it once more. took: seconds that the look took."""
        self._since = dict(fronts)
        self._restart_at = now + min(_LONGEST, max(RESTART_AFTER, took * _SHARE))

    def since(self, lane: Lane) -> datetime | None:
        """The due time to look from; None: look at the lane whole."""
        return self._since.get(lane)

    def advance(self, claimed: Iterable[Claimed], emptied: Iterable[Lane]) -> None:
        """After a claim. The last due time is looked at again: many entries may share it. emptied: lanes that
        gave less than was wanted."""
        for one in claimed:
            self._since[one.lane] = max(one.due_at, self._since.get(one.lane, one.due_at))
        for lane in emptied:
            self._since.pop(lane, None)
