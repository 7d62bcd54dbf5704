"""What recipients want, looked at again before sending: it may have changed since the notification was accepted."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from tidings.domain.categories import Categories, category_of
from tidings.domain.events import CATEGORY
from tidings.domain.planning import timing
from tidings.domain.preferences import Choice, choose
from tidings.domain.priorities import Priority
from tidings.domain.send_times import DISTURBING, Deferral, SendTimes
from tidings.queue.postgres import Claimed
from tidings.store.categories import CategoryCache
from tidings.store.database import Connection
from tidings.store.deliveries import Work


class Wishes:
    """zone: of recipients whose own is not known."""

    def __init__(
        self, categories: CategoryCache, zone: ZoneInfo, now: Callable[[], datetime]
    ) -> None:
        self._cache = categories
        self._categories: Categories = {}
        self._now = now
        self._times = SendTimes(zone)
        self._moment = now()

    async def refresh(self, connection: Connection) -> None:
        """Before a batch: its verdicts are of this moment."""
        self._categories = await self._cache.load(connection)
        self._moment = self._now()

    def mandatory(self, category_id: str) -> bool:
        """Whether nobody can turn the category off."""
        return category_of(self._categories, category_id).mandatory

    def verdict(self, work: Work, claim: Claimed) -> Choice | Deferral | None:
        """Why it is not sent now; None where nothing is in its way."""
        if work.category == CATEGORY:  # the application is told, not the user that it is of
            return None
        category = category_of(self._categories, work.category)
        choice = choose(work.preferences, category, work.template_id, work.channel)
        if not choice.wanted:
            return choice
        if work.channel not in DISTURBING:
            return None
        return timing(
            work.preferences,
            category,
            critical=claim.priority is Priority.CRITICAL,
            zone=work.payload["recipient"]["timezone"],
            # The database found it due, whose clock may be ahead of this one.
            moment=max(self._moment, claim.due_at),
            times=self._times,
        )
