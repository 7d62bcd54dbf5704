"""When a person may be disturbed: outside their quiet hours, and inside the send window of the category."""

from dataclasses import dataclass
from datetime import UTC, datetime
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
    wall = moment.astimezone(zone).replace(tzinfo=None, fold=0)
    is_quiet = quiet is not None and quiet.include(wall)
    if not is_quiet and (window is None or window.include(wall)):
        return None
    until = _allowed(quiet, window, zone, moment.astimezone(UTC))
    if until is None:
        return Deferral(Reason.NO_SEND_TIME, None)
    return Deferral(Reason.QUIET_HOURS if is_quiet else Reason.SEND_WINDOW, until)


def _allowed(
    quiet: QuietHours | None, window: SendWindow | None, zone: ZoneInfo, moment: datetime
) -> datetime | None:
    at: datetime | None = moment
    while at is not None and at <= moment + HORIZON:
        before = at
        if quiet is not None:
            at = first_moment(quiet, zone, at, inside=False)
        if window is not None and at is not None:
            at = first_moment(window, zone, at, inside=True)
        if at == before:
            return at
    return None


class SendTimes:
    """Remembers what it worked out: within a batch most people share zone and hours. default: the zone of those
    whose own is not known."""

    def __init__(self, default: ZoneInfo) -> None:
        self._default = default
        self._zones: dict[str, ZoneInfo] = {}
        self._known: dict[
            tuple[QuietHours | None, SendWindow | None, ZoneInfo, datetime], Deferral | None
        ] = {}

    def zone(self, name: str | None) -> ZoneInfo:
        """The zone of this name; the default for none, and for one that does not exist."""
        if name is None:
            return self._default
        if (found := self._zones.get(name)) is None:
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
        key = (quiet, window, self.zone(zone), moment)
        if key not in self._known:
            self._known[key] = deferral(*key)
        return self._known[key]


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
