"""Why a delivery is as it is: what is remembered of decisions, and how a chain of them is told."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum

from tidings.domain.preferences import Rule
from tidings.domain.reasons import Reason
from tidings.domain.records import record


class Origin(StrEnum):
    """Where an address came from, when not from the request."""

    text: str

    def __new__(cls, code: str, text: str) -> "Origin":
        member = str.__new__(cls, code)
        member._value_ = code
        member.text = text
        return member

    STORED_ADDRESS = "stored_address", "The address is the one stored with the user."
    DEFAULT_ADDRESS = "default_address", "The address is the one of the provider account."


@record
class Mark:
    """A decision, as remembered: what, when it was made (None: when the notification was accepted), and until when it
    holds."""

    code: Rule | Origin | Reason
    at: datetime | None = None
    until: datetime | None = None

    def __str__(self) -> str:
        """A word, without spaces: `quiet_hours@1764572400>1764591000`."""
        at = "" if self.at is None else f"@{self.at.timestamp():.0f}"
        until = "" if self.until is None else f">{self.until.timestamp():.0f}"
        return f"{self.code}{at}{until}"


def remembered(marks: Iterable[Mark]) -> str | None:
    """What is stored of them; None for nothing."""
    return " ".join(map(str, marks)) or None


def recalled(stored: str | None) -> Iterator[Mark]:
    """What `remembered` made. Words that this version does not know are passed over: a newer one wrote them."""
    for word in (stored or "").split():
        begun, _, until = word.partition(">")
        code, _, at = begun.partition("@")
        if (known := _CODES.get(code)) is not None:
            yield Mark(known, _moment(at), _moment(until))


_CODES: dict[str, Rule | Origin | Reason] = {
    one.value: one for kind in (Rule, Origin, Reason) for one in kind
}


def _moment(seconds: str) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC) if seconds else None
