"""Dead letters: deliveries that failed for good, and what stands in the way of sending one again."""

from enum import StrEnum
from typing import Literal, get_args

from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.reasons import Reason

FailedForGood = Literal["failed", "bounced", "unknown"]
FAILED_FOR_GOOD = frozenset(map(DeliveryStatus, get_args(FailedForGood)))
NOT_WANTED = frozenset({Reason.CANCELLED, Reason.COLLAPSED, Reason.EXPIRED})
"""Reasons of deliveries that nobody waits for any more, whatever may have become of them."""


def is_dead_letter(status: DeliveryStatus, reason: str | None) -> bool:
    """Whether a person is to decide about a delivery that ended so: it failed, it bounced, or nobody knows."""
    return status in FAILED_FOR_GOOD and reason not in NOT_WANTED


class LetterState(StrEnum):
    WAITING = "waiting"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


class Obstacle(StrEnum):
    """Why a dead letter is not replayed; its text says what to do. What is decided as for a new
    notification, such as a suppressed address, has the reason that a delivery would have."""

    text: str

    def __new__(cls, code: str, text: str) -> "Obstacle":
        member = str.__new__(cls, code)
        member._value_ = code
        member.text = text
        return member

    ALREADY_REPLAYED = "already_replayed", "It was replayed before."
    DISCARDED = "discarded", "It was discarded."
    MAY_HAVE_ARRIVED = "may_have_arrived", "It may have arrived, and would then arrive twice."
    NOT_NEEDED = (
        "not_needed",
        "It arrived after all, or another channel of its fallback reached the recipient or still may.",
    )
    EXPIRED = "expired", "Its expiry has passed; its replay would have none."
    UNKNOWN_TEMPLATE = "unknown_template", "Its template has no current version."
    UNREADABLE = "unreadable", "What is stored of it cannot be read with this key ring."
    FORGOTTEN = "forgotten", "Its notification is not stored any more."


class Surmountable(StrEnum):
    """The obstacles that a person may decide to replay in spite of."""

    ALREADY_REPLAYED = Obstacle.ALREADY_REPLAYED.value
    DISCARDED = Obstacle.DISCARDED.value
    MAY_HAVE_ARRIVED = Obstacle.MAY_HAVE_ARRIVED.value
    NOT_NEEDED = Obstacle.NOT_NEEDED.value
    EXPIRED = Obstacle.EXPIRED.value


def is_surmountable(why: str) -> bool:
    return why in {str(one) for one in Surmountable}
