"""Why a request is not accepted, as a value: code, what is wrong, and where."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tidings.domain.contracts import Mismatch

_TOLD = 5  # mismatches named in the sentence; all are listed beside it


class RefusalCode(StrEnum):
    UNKNOWN_TEMPLATE = "unknown_template"
    NO_REACHABLE_CHANNEL = "no_reachable_channel"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    ALREADY_EXPIRED = "already_expired"
    TOO_MANY_DELIVERIES = "too_many_deliveries"
    INVALID_DATA = "invalid_data"
    COPIES_NOT_SUPPORTED = "copies_not_supported"
    ATTACHMENTS_NOT_SUPPORTED = "attachments_not_supported"
    RECIPIENT_UNREADABLE = "recipient_unreadable"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True)
class Refusal:
    """path: the offending field in the request, dotted. further: (path, what is wrong with it), where several
    fields are."""

    code: RefusalCode
    detail: str
    path: str | None = None
    further: Sequence[tuple[str, str]] = ()


def misfit(mismatches: Sequence[Mismatch]) -> Refusal:
    """Of data that is not what the template declares; the path is that of the first."""
    found = [(one.path, one.message) for one in mismatches]
    detail = "; ".join(f"{path} {message}" for path, message in found[:_TOLD])
    return Refusal(RefusalCode.INVALID_DATA, f"{detail}.", found[0][0], found)
