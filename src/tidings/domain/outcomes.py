"""What a provider answered for one message. An answer is a value, never an exception."""

from tidings.domain.reasons import Reason
from tidings.domain.records import record


@record
class Accepted:
    """The provider has it; with a provider that stores or confirms, it is delivered."""

    provider_message_id: str | None = None
    reason: Reason = Reason.PROVIDER_ACCEPTED
    detail: str = ""


@record
class Transient:
    """Surely not taken; another try may succeed. retry_after: seconds the provider asked for."""

    reason: Reason
    retry_after: float | None = None
    detail: str = ""


@record
class Permanent:
    """Surely not taken, and another try would not help. suppress: do not use the address again."""

    reason: Reason
    suppress: bool = False
    detail: str = ""


@record
class Unknown:
    """It may or may not have been taken."""

    reason: Reason
    detail: str = ""


Outcome = Accepted | Transient | Permanent | Unknown

OUTCOME_WORDS: dict[type, str] = {
    Accepted: "accepted",
    Transient: "transient",
    Permanent: "permanent",
    Unknown: "unknown",
}
"""The word of each outcome in tables, metrics and the API. Details hold no address and no content."""
