"""When a person may be disturbed: outside their quiet hours, and inside the send window of the category."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias
from zoneinfo import ZoneInfo

from tidings.domain.channels import Channel
from tidings.domain.hours import HORIZON, Hours, first_moment
from tidings.domain.quiet_hours import QuietHours
from tidings.domain.reasons import Reason

DISTURBING = frozenset({Channel.EMAIL, Channel.SMS, Channel.PUSH, Channel.CHAT})
"""The channels that wait for the time. A feed is read when its reader likes, and machines do not sleep."""


class SendWindow(Hours):
    """Outside of it nothing of a category is sent."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Deferral:
    """reason: what stands in the way first. until: when nothing does any more; None for never."""

    reason: Reason
    until: datetime | None


def deferral(
    quiet: QuietHours | None, window: SendWindow | None, zone: ZoneInfo, moment: datetime
) -> Deferral | None:
    """None where both allow this moment."""
    reason = _hindrance(quiet, window, _wall(zone, moment))
    return None if reason is None else _until(reason, _allowed(quiet, window, zone, moment))


def _wall(zone: ZoneInfo, moment: datetime) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _hindrance(
    quiet: QuietHours | None, window: SendWindow | None, wall: datetime
) -> Reason | None:
    if quiet is not None and quiet.include(wall):
        return Reason.QUIET_HOURS
    return None if window is None or window.include(wall) else Reason.SEND_WINDOW


def _until(reason: Reason, until: datetime | None) -> Deferral:
    return Deferral(Reason.NO_SEND_TIME, None) if until is None else Deferral(reason, until)


def _allowed(
    quiet: QuietHours | None, window: SendWindow | None, zone: ZoneInfo, moment: datetime
) -> datetime | None:
    at: datetime | None = moment.astimezone(UTC)
    while at is not None and at <= moment + HORIZON:
        before = at
        if quiet is not None:
            at = first_moment(quiet, zone, at, inside=False)
        if window is not None and at is not None:
            at = first_moment(window, zone, at, inside=True)
        if at == before:
            return at
    return None


_Hours: TypeAlias = tuple[QuietHours | None, SendWindow | None, ZoneInfo]
_REMEMBERED = 10_000


class SendTimes:
    """Remembers what it worked out: most people share zone and hours, and until the first moment that is allowed, it is
    that one. default: the zone of those whose own is not known."""

    def __init__(self, default: ZoneInfo) -> None:
        self._default = default
        self._zones: dict[str, ZoneInfo] = {}
        self._allowed: dict[_Hours, tuple[datetime, datetime]] = {}
        self._moment: datetime | None = None
        self._walls: dict[ZoneInfo, datetime] = {}

    def zone(self, name: str | None) -> ZoneInfo:
        """The zone of this name; the default for none, and for one that does not exist."""
        if name is None:
            return self._default
        if (found := self._zones.get(name)) is None:
            if len(self._zones) >= _REMEMBERED:
                self._zones.clear()
            found = self._zones[name] = zone_of(name) or self._default
        return found

    def deferral(
        self,
        quiet: QuietHours | None,
        window: SendWindow | None,
        zone: str | None,
        moment: datetime,
    ) -> Deferral | None:
        if quiet is None and window is None:
            return None
        hours = quiet, window, (clock := self.zone(zone))
        reason = _hindrance(quiet, window, self._wall(clock, moment))
        return None if reason is None else _until(reason, self._first(hours, moment))

    def _wall(self, clock: ZoneInfo, moment: datetime) -> datetime:
        """A batch asks for one moment, again and again."""
        if moment is not self._moment:
            self._moment = moment
            self._walls.clear()
        if (found := self._walls.get(clock)) is None:
            found = self._walls[clock] = _wall(clock, moment)
        return found

    def _first(self, hours: _Hours, moment: datetime) -> datetime | None:
        """The first moment from this one, which is not allowed, that is."""
        if (known := self._allowed.get(hours)) and known[0] <= moment < known[1]:
            return known[1]
        if (found := _allowed(*hours, moment)) is not None:
            if len(self._allowed) >= _REMEMBERED:
                self._allowed.clear()
            self._allowed[hours] = moment, found
        return found


def zone_of(name: str) -> ZoneInfo | None:
    """None where there is none of this name."""
    try:
        return ZoneInfo(name)
    except (
        KeyError,
        ValueError,
        OSError,
    ):  # a name that is none can be a directory, or leave the database's
        return None
