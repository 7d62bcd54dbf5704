"""Hours of the day and weekdays, as they come over the wire."""

from datetime import time
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field

from tidings.domain.hours import EVERY_DAY, WEEKDAYS, Hours
from tidings.intake.request import Wire

Kind = TypeVar("Kind", bound=Hours)

ClockTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""What a clock shows, from 00:00 to 23:59."""
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class HoursView(Wire):
    """From one time of the day up to another; over midnight where that is earlier. days: on which they begin; every
    day if not given."""

    begin: ClockTime = Field(alias="from")
    end: ClockTime = Field(alias="to")
    days: Annotated[list[Weekday] | None, Field(min_length=1, max_length=7)] = None

    def read(self, kind: type[Kind]) -> Kind:
        days = frozenset(WEEKDAYS.index(day) for day in self.days) if self.days else EVERY_DAY
        return kind(clock_time(self.begin), clock_time(self.end), days)

    @classmethod
    def of(cls, hours: Hours | None) -> Self | None:
        if hours is None:
            return None
        begin, end = shown(hours.start), shown(hours.end)
        days = [WEEKDAYS[day] for day in sorted(hours.days)]
        return cls.model_validate({"from": begin, "to": end, "days": days})


def clock_time(text: str) -> time:
    return time.fromisoformat(text)


def shown(clock: time) -> str:
    return clock.strftime("%H:%M")
