"""Hours of the day, as the columns hold them: from, to, and days by name."""

from collections.abc import Mapping
from datetime import time
from typing import Any, TypeVar

from tidings.domain.hours import EVERY_DAY, WEEKDAYS, Hours

Kind = TypeVar("Kind", bound=Hours)


def read_hours(kind: type[Kind], stored: Mapping[str, Any] | None) -> Kind | None:
    if stored is None:
        return None
    named = stored["days"]
    days = EVERY_DAY if len(named) == len(EVERY_DAY) else frozenset(map(WEEKDAYS.index, named))
    return kind(time.fromisoformat(stored["from"]), time.fromisoformat(stored["to"]), days)


def hours_document(hours: Hours | None) -> dict[str, Any] | None:
    if hours is None:
        return None
    return {
        "from": hours.start.strftime("%H:%M"),
        "to": hours.end.strftime("%H:%M"),
        "days": [WEEKDAYS[day] for day in sorted(hours.days)],
    }
