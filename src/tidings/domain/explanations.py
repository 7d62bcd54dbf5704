"""Why a delivery is as it is: what is remembered of decisions, and how a chain of them is told."""

from collections.abc import Iterator, Sequence
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
        return word(self.code, self.at, self.until)


def word(
    code: Rule | Origin | Reason, at: datetime | None = None, until: datetime | None = None
) -> str:
    """A Mark's, without spaces: `quiet_hours@1764572400>1764591000`."""
    if at is None and until is None:
        return code
    begun = code if at is None else f"{code}@{at.timestamp():.0f}"
    return begun if until is None else f"{begun}>{until.timestamp():.0f}"


def remembered(words: Sequence[str]) -> str | None:
    """What is stored of them; None for nothing."""
    return " ".join(words) if words else None


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
