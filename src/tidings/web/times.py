"""The part of the preference page that is about time: what its fields hold, and what that means."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import time

from tidings.domain.categories import Cadence
from tidings.domain.hours import EVERY_DAY, Hours
from tidings.domain.preferences import DigestTime
from tidings.domain.quiet_hours import QuietHours
from tidings.people.times import Times
from tidings.web.clocks import current, weekdays, zone_names
from tidings.web.texts import Texts

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_DAYS = [str(day) for day in range(7)]
_NIGHT = Hours(time(22), time(7))
"""What the fields begin with, for those who have no quiet hours."""

Form = Mapping[str, Sequence[str]]
"""The values of each field."""


class WrongTimesError(ValueError):
    """What was typed are no quiet hours."""


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class TimeFields:
    """What is typed, which need not make sense. cadences: by category. zone: empty for none."""

    cadences: Mapping[str, str]
    at: str
    weekday: str
    quiet: bool
    quiet_from: str
    quiet_to: str
    quiet_days: Collection[str]
    zone: str

    @classmethod
    def of(cls, times: Times) -> "TimeFields":
        hours = times.quiet_hours or _NIGHT
        return cls(
            cadences={category: str(one) for category, one in times.cadences.items()},
            at=times.digest_time.at.strftime("%H:%M"),
            weekday=str(times.digest_time.weekday),
            quiet=times.quiet_hours is not None,
            quiet_from=hours.start.strftime("%H:%M"),
            quiet_to=hours.end.strftime("%H:%M"),
            quiet_days={str(day) for day in hours.days},
            zone=current(times.zone) if times.zone else "",
        )

    def typed(self, form: Form) -> "TimeFields":
        """These fields as they were sent; what is no answer to them stays as it is."""

        def one(name: str, among: Collection[str] | None = None) -> str | None:
            value = form.get(name, ("",))[0]
            return value if among is None or value in among else None

        cadences = {
            category: one(f"often {category}", list(Cadence)) or now
            for category, now in self.cadences.items()
        }
        at = one("digest_at") or ""
        return replace(
            self,
            cadences=cadences,
            at=at if _CLOCK.fullmatch(at) else self.at,
            weekday=one("digest_day", _DAYS) or self.weekday,
            quiet="quiet" in form,
            quiet_from=one("quiet_from") or "",
            quiet_to=one("quiet_to") or "",
            quiet_days=set(form.get("quiet_day", ())) & set(_DAYS),
            zone=one("zone") or "",
        )

    def read(self, before: Times) -> Times:
        """What they say. Raises WrongTimesError."""
        return Times(
            cadences={category: Cadence(one) for category, one in self.cadences.items()},
            digest_time=DigestTime(time.fromisoformat(self.at), int(self.weekday)),
            quiet_hours=self._quiet_hours() if self.quiet else None,
            zone=self._zone(before.zone),
        )

    def _quiet_hours(self) -> QuietHours:
        ends = (self.quiet_from, self.quiet_to)
        if len(set(ends)) < 2 or not self.quiet_days or not all(map(_CLOCK.fullmatch, ends)):
            raise WrongTimesError
        begin, end = map(time.fromisoformat, ends)
        return QuietHours(begin, end, frozenset(map(int, self.quiet_days)) & EVERY_DAY)

    def _zone(self, before: str | None) -> str | None:
        """Another name of the same zone is no change."""
        if before is not None and self.zone == current(before):
            return before
        return self.zone or None


class TimeChoices:
    """What is offered in the fields. default: the zone of those who have none."""

    def __init__(self, default: str) -> None:
        self._default = current(default)
        self._zones: dict[str, dict[str, str]] = {}

    def zone_known(self, zone: str, texts: Texts) -> bool:
        return not zone or zone in self._names(texts)

    def cadences(self, chosen: str, texts: Texts) -> list[Option]:
        return [Option(str(one), texts.cadences[one], one == chosen) for one in Cadence]

    def days(self, chosen: Collection[str], texts: Texts) -> list[Option]:
        named = enumerate(weekdays(texts.language))
        return [Option(str(day), name, str(day) in chosen) for day, name in named]

    def zones(self, chosen: str, texts: Texts) -> list[Option]:
        names = self._names(texts)
        none = texts.zone_default.format(zone=names.get(self._default, self._default))
        shown = {"": none, **names}
        shown.setdefault(chosen, chosen)
        return [Option(zone, name, zone == chosen) for zone, name in shown.items()]

    def _names(self, texts: Texts) -> dict[str, str]:
        """Remembered: several hundred, of which each is looked up."""
        if texts.language not in self._zones:
            self._zones[texts.language] = zone_names(texts.language)
        return self._zones[texts.language]
