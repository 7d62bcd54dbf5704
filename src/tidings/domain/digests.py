"""Digests: notifications of one template, key and user that are told together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tidings.domain.categories import Cadence
from tidings.domain.messages import JSON
from tidings.domain.preferences import DigestTime
from tidings.domain.zones import at_wall_time

MOST_ITEMS = 100
"""The newest so many are in the hands of the template; the count is of all."""
MOST_BYTES = 2**20
"""Of the items together; the newest is there in any case."""
MOST_MEMBERS = 10_000
"""With so many a digest closes at once."""


@dataclass(frozen=True, slots=True)
class DigestRule:
    """window: seconds from the first on; None for as often as the user has chosen for the category."""

    window: int | None

    def closes_at(
        self, cadence: Cadence, time: DigestTime, zone: ZoneInfo, now: datetime
    ) -> datetime | None:
        """When a digest that is opened now is sent; None where nothing is to be gathered. By the user's clock for
        what is daily or weekly, at the full hour for what is hourly."""
        now = now.astimezone(UTC)
        if self.window is not None:
            return now + timedelta(seconds=self.window)
        if cadence is Cadence.AT_ONCE:
            return None
        if cadence is Cadence.HOURLY:
            return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        today = now.astimezone(zone).date()
        for days in range(9):
            day = today + timedelta(days=days)
            if cadence is Cadence.DAILY or day.weekday() == time.weekday:
                moment = at_wall_time(zone, day, time.at)
                if moment > now:
                    return moment
        raise AssertionError("nine days without the hour of a digest")


def data_of(items: Sequence[JSON], count: int) -> dict[str, JSON]:
    """What a template with a digest is rendered with: of the items, the oldest first. count: of all, also of those
    that are not among them."""
    return {"items": list(items), "count": count, "first": items[0], "last": items[-1]}
