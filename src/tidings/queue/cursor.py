"""Where a worker goes on looking in the queue.

What was claimed or done leaves dead entries at the front of the index, and they stay there for as long as
any open snapshot (a backup, an ANALYZE, a forgotten transaction) might see them. Starting every claim at
the front would read past all of them every time. So a claim goes on where the one before it ended, and
starts at the front again when it finds less than it wanted, and every now and then, for the entries
that became visible behind it: retries, rescues, and transactions that committed late.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from tidings.domain.priorities import Priority
from tidings.queue.postgres import Claimed

RESTART_AFTER = 0.25
"""Seconds: how long an entry behind the cursor can be overlooked while the queue is busy."""


class Cursor:
    def __init__(self) -> None:
        self._since: dict[Priority, datetime] = {}
        self._restarted_at = 0.0

    def since(self, now: float) -> Mapping[Priority, datetime]:
        """The due times to look from, by priority; a priority that is missing is looked at whole.
        now: seconds of a monotonic clock."""
        if now - self._restarted_at >= RESTART_AFTER:
            self._since = {}
            self._restarted_at = now
        return self._since

    def advance(self, claimed: Sequence[Claimed], wanted: int) -> None:
        """After a claim. The last due time is looked at again: many entries may share it."""
        if len(claimed) < wanted:
            self._since = {}
            return
        last = dict(self._since)
        for one in claimed:
            last[one.priority] = max(one.due_at, last.get(one.priority, one.due_at))
        self._since = last
