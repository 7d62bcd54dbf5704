"""Times as people write them: a date and time, or how long ago or from now."""

import re
from datetime import UTC, datetime, timedelta

import typer

_SPAN = re.compile(r"(\d{1,6})\s*(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def in_the_past(written: str) -> datetime:
    """`2h` is two hours ago. Raises typer.BadParameter."""
    return _moment(written, -1)


def in_the_future(written: str) -> datetime:
    """`2h` is two hours from now. Raises typer.BadParameter."""
    return _moment(written, 1)


def _moment(written: str, direction: int) -> datetime:
    try:
        if span := _SPAN.fullmatch(written.strip()):
            return datetime.now(UTC) + direction * timedelta(**{_UNITS[span[2]]: int(span[1])})
        moment = datetime.fromisoformat(written)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{written!r} is no time; write 2026-03-01T09:00:00Z, or 30m, 2h, 7d"
        ) from None
    return moment if moment.tzinfo else moment.astimezone()
