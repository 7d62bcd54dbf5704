"""Quiet hours: when a person is not to be disturbed, by the clock on their wall."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from tidings.domain.hours import Hours, first_moment


class QuietHours(Hours):
    """Equal ends would be a way to never hear anything: refused where they are set."""

    __slots__ = ()


def quiet_until(hours: QuietHours, zone: ZoneInfo, moment: datetime) -> datetime | None:
    """When quiet that reigns at this moment ends, in UTC; None when there is none."""
    if not hours.include(moment.astimezone(zone).replace(tzinfo=None, fold=0)):
        return None
    ends = first_moment(hours, zone, moment.astimezone(UTC), inside=False)
    assert ends is not None, "quiet hours without an end"
    return ends
