"""Why a request is not accepted, as a value: code, what is wrong, and where."""

from dataclasses import dataclass
from enum import StrEnum


class RefusalCode(StrEnum):
    UNKNOWN_TEMPLATE = "unknown_template"
    NO_REACHABLE_CHANNEL = "no_reachable_channel"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    ALREADY_EXPIRED = "already_expired"
    TOO_MANY_DELIVERIES = "too_many_deliveries"
    INVALID_DATA = "invalid_data"
    RECIPIENT_UNREADABLE = "recipient_unreadable"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True)
class Refusal:
    """path: the offending field in the request, dotted."""

    code: RefusalCode
    detail: str
    path: str | None = None
