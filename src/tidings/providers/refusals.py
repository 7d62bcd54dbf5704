"""What a vendor's answer means where it is not "taken": its own table first, then what HTTP says.

A rule that blames the account is transient: whoever runs it can mend it, and what was sent meanwhile
waits, or goes to another account, instead of being lost.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from tidings.domain.outcomes import Permanent, Transient, Unknown
from tidings.domain.reasons import Reason

Refusal = Transient | Permanent | Unknown

THROTTLED = Transient(Reason.PROVIDER_THROTTLED)
UNAVAILABLE = Transient(Reason.PROVIDER_UNAVAILABLE)
CREDENTIALS = Transient(Reason.CREDENTIALS_REFUSED)
ACCOUNT = Transient(Reason.ACCOUNT_REFUSED)
ADDRESS = Permanent(Reason.ADDRESS_INVALID)
SUPPRESSED = Permanent(Reason.PROVIDER_SUPPRESSED, suppress=True)
CONTENT = Permanent(Reason.CONTENT_REJECTED)
TOO_LARGE = Permanent(Reason.MESSAGE_TOO_LARGE)
REJECTED = Permanent(Reason.PROVIDER_REJECTED)
UNREADABLE = Unknown(Reason.MALFORMED_ANSWER)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a table. statuses: HTTP; codes: the vendor's own, as it writes them; text: is found in
    what it says. Each is any when empty. meaning: the vendor's words for it, in short."""

    outcome: Refusal
    meaning: str
    codes: frozenset[str] = frozenset()
    statuses: frozenset[int] = frozenset()
    text: re.Pattern[str] | None = None

    def holds(self, status: int, code: str, text: str) -> bool:
        return (
            (not self.codes or code in self.codes)
            and (not self.statuses or status in self.statuses)
            and (self.text is None or self.text.search(text) is not None)
        )


def rule(
    outcome: Refusal,
    meaning: str,
    *,
    codes: str = "",
    statuses: Iterable[int] = (),
    text: str = "",
) -> Rule:
    """codes: with spaces between them. text: a regular expression, whatever the case of letters."""
    return Rule(
        outcome,
        meaning,
        frozenset(codes.split()),
        frozenset(statuses),
        re.compile(text, re.IGNORECASE) if text else None,
    )


GENERAL: tuple[Rule, ...] = (
    rule(CREDENTIALS, "the credentials are not accepted", statuses=(401, 403)),
    rule(ACCOUNT, "payment is required", statuses=(402,)),
    rule(ACCOUNT, "there is no such API at the endpoint", statuses=(*range(300, 400), 404, 405)),
    rule(UNAVAILABLE, "the request took too long to arrive", statuses=(408, 425)),
    rule(TOO_LARGE, "the request is too large", statuses=(413,)),
    rule(THROTTLED, "too many requests", statuses=(429,)),
    # A proxy lost or gave up on the server behind it, which may have taken the message.
    rule(Unknown(Reason.CONNECTION_LOST), "bad gateway", statuses=(502,)),
    rule(Unknown(Reason.TIMED_OUT), "gateway time-out", statuses=(504,)),
    rule(UNAVAILABLE, "an error of the vendor's", statuses=range(500, 600)),
    rule(REJECTED, "the request is refused", statuses=range(400, 500)),
    rule(UNREADABLE, "an answer that the vendor does not document"),
)
"""By status alone (RFC 9110, 15), after a vendor's own rules."""


@dataclass(frozen=True, slots=True)
class Table:
    """A vendor's documented errors. docs_url: the vendor's page that lists them. code_url: that of one of them, with
    {code}, where the vendor has a page for each."""

    docs_url: str
    rules: tuple[Rule, ...]
    code_url: str = ""

    def refusal(
        self, status: int, code: str = "", text: str = "", retry_after: float | None = None
    ) -> Refusal:
        """The first rule that holds decides.

        The detail names the status, and the code where the table knows it: anything else that a server
        says could hold an address. retry_after: seconds that the vendor asks to wait.
        """
        found = next(one for one in (*self.rules, *GENERAL) if one.holds(status, code, text))
        known = any(code in one.codes for one in self.rules)
        outcome = replace(
            found.outcome, detail=f"HTTP {status} {code}" if known else f"HTTP {status}"
        )
        if isinstance(outcome, Transient) and retry_after is not None:
            return replace(outcome, retry_after=retry_after)
        return outcome
