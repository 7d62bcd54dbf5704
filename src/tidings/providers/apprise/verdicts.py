"""What Apprise's lines mean: its plug-ins name the HTTP status, or that a connection failed and how."""

import re
from collections.abc import Sequence

from tidings.domain.outcomes import Accepted, Outcome, Transient, Unknown
from tidings.domain.reasons import Reason
from tidings.providers.chatting import GONE
from tidings.providers.refusals import ADDRESS, Table, rule

TABLE = Table(
    "https://appriseit.com/",
    (
        rule(ADDRESS, "there is no such target", statuses=(404,)),
        rule(GONE, "the target is gone", statuses=(410,)),
    ),
)

_STATUS = re.compile(r"\berror=(?P<status>[1-5][0-9]{2})\b")
_CONNECTION: Sequence[tuple[re.Pattern[str], Outcome]] = (
    (
        re.compile(r"Socket Exception.*(certificate|SSLError|SSLCert)", re.IGNORECASE | re.DOTALL),
        Transient(Reason.TLS_FAILED),
    ),
    (
        re.compile(
            r"Socket Exception.*(Failed to establish a new connection|NameResolutionError|ConnectTimeout|"
            r"connect timeout)",
            re.IGNORECASE | re.DOTALL,
        ),
        Transient(Reason.CONNECTION_FAILED),
    ),
    (
        re.compile(r"Socket Exception.*Read timed out", re.IGNORECASE | re.DOTALL),
        Unknown(Reason.TIMED_OUT),
    ),
    (
        re.compile(r"Socket Exception.*(BadStatusLine|LineTooLong|InvalidChunk)", re.DOTALL),
        Unknown(Reason.MALFORMED_ANSWER),
    ),
    (re.compile(r"Socket Exception|Connection error occurred"), Unknown(Reason.CONNECTION_LOST)),
)


def outcome_of(taken: bool, said: Sequence[str]) -> Outcome:
    """Where a refusal is not explained, the message may have been taken."""
    if taken:
        return Accepted()
    statuses = [int(found["status"]) for line in said if (found := _STATUS.search(line))]
    if statuses:
        return TABLE.refusal(statuses[-1])
    for pattern, outcome in _CONNECTION:
        if any(pattern.search(line) for line in said):
            return outcome
    return Unknown(Reason.PROVIDER_FAILED, detail="Apprise did not say why")
