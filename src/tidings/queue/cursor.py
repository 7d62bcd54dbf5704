"""Where a worker goes on looking in the queue.

What was claimed or done leaves dead entries at the front of the index, and they stay there for as long as
any open snapshot (a backup, an ANALYZE, a forgotten transaction) might see them. Starting every claim at
the front would read past all of them every time. So a claim goes on where the one before it ended, and
starts at the front again when it finds less than it wanted, and every now and then, for the entries
that became visible behind it: retries, rescues, and transactions that committed late.
"""

from collections.abc import Iterable
from datetime import datetime

from tidings.domain.lanes import Lane
from tidings.queue.postgres import Claimed

RESTART_AFTER = 0.25
"""Seconds: how long an entry behind the cursor can be overlooked while the queue is busy."""


class Cursor:
    def __init__(self) -> None:
        self._since: dict[Lane, datetime] = {}
        self._restarted_at = 0.0

    def restart_when_due(self, now: float) -> bool:
        """Whether it is time to start at the front again. now: seconds of a monotonic clock."""
        if now - self._restarted_at < RESTART_AFTER:
            return False
        self._since = {}
        self._restarted_at = now
        return True

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
