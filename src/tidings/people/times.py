"""When a person is told: how often, at which hour, when not, and by which clock."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from tidings.domain.categories import Cadence, Category
from tidings.domain.preferences import DigestTime, Preferences
from tidings.domain.quiet_hours import QuietHours


@dataclass(frozen=True, slots=True)
class Times:
    """cadences: of each category that can be gathered. zone: None where none is known."""

    cadences: Mapping[str, Cadence]
    digest_time: DigestTime
    quiet_hours: QuietHours | None
    zone: str | None


@dataclass(frozen=True, slots=True)
class TimesChange:
    """Only what differs is chosen: the rest goes on to follow what the categories have."""

    before: Times
    after: Times

    def edited(self, preferences: Preferences) -> Preferences:
        before, after = self.before, self.after
        digests = {
            category: cadence
            for category, cadence in after.cadences.items()
            if before.cadences.get(category) != cadence
        }
        if after.digest_time != before.digest_time:
            preferences = replace(preferences, digest_time=after.digest_time)
        if after.quiet_hours != before.quiet_hours:
            preferences = replace(preferences, quiet_hours=after.quiet_hours)
        return replace(preferences, digests={**preferences.digests, **digests})


def times_of(preferences: Preferences, gathered: Collection[Category], zone: str | None) -> Times:
    """gathered: the categories that are told in digests."""
    cadences = {one.id: preferences.cadence(one) for one in gathered}
    return Times(cadences, preferences.digest_time, preferences.quiet_hours, zone)
