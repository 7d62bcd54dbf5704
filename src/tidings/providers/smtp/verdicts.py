"""What follows from a reply, or from none: one table, by how far the message had come."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic, TypeVar

from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.reasons import Reason
from tidings.providers.smtp.replies import Reply

Verdict = TypeVar("Verdict", Transient, Permanent, Transient | Permanent)


class Stage(StrEnum):
    """How far a message has come. From CONTENT on the server may have taken it, not before."""

    WAITING = "queue for a connection"
    CONNECT = "connect"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    RSET = "RSET"
    MAIL = "MAIL"
    RCPT = "RCPT"
    COPY = "RCPT of a copy"
    DATA = "DATA"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class Rule(Generic[Verdict]):
    """stages: where it holds, everywhere if empty. codes: matches all of e.g. "550 5.1.1". text:
    is found in the reply's text, for servers that send no enhanced code."""

    codes: re.Pattern[str]
    outcome: Verdict
    stages: frozenset[Stage] = frozenset()
    text: re.Pattern[str] | None = None

    def holds(self, stage: Stage, reply: Reply) -> bool:
        return (
            (not self.stages or stage in self.stages)
            and self.codes.fullmatch(reply.codes) is not None
            and (self.text is None or self.text.search(reply.text) is not None)
        )


def _rule(codes: str, outcome: Verdict, *stages: Stage, text: str = "") -> Rule[Verdict]:
    return Rule(
        re.compile(codes),
        outcome,
        frozenset(stages),
        re.compile(text, re.IGNORECASE) if text else None,
    )


_UNAVAILABLE = Transient(Reason.PROVIDER_UNAVAILABLE)
_THROTTLED = Transient(Reason.PROVIDER_THROTTLED)
# An operator can mend credentials and TLS; the messages meanwhile wait instead of failing.
_CREDENTIALS = Transient(Reason.CREDENTIALS_REFUSED)
_TLS = Transient(Reason.TLS_FAILED)
_NOT_FOUND = Permanent(Reason.MAILBOX_NOT_FOUND, suppress=True)
_INVALID = Permanent(Reason.ADDRESS_INVALID)
_TOO_LARGE = Permanent(Reason.MESSAGE_TOO_LARGE)
_CONTENT = Permanent(Reason.CONTENT_REJECTED)
_REJECTED = Permanent(Reason.PROVIDER_REJECTED)

SETUP_RULES: tuple[Rule[Transient], ...] = (
    _rule(r"432.*|5.*", _CREDENTIALS, Stage.AUTH),
    _rule(r"[45].*", _TLS, Stage.STARTTLS),
    _rule(r"4.. 4\.7\..*", _THROTTLED, Stage.CONNECT),
    _rule(r".*", _UNAVAILABLE),
)
"""Before any message: what is refused is the account or the connection, never a message."""

RULES: tuple[Rule[Transient | Permanent], ...] = (
    _rule(r"5.*", _UNAVAILABLE, Stage.RSET),
    # Not signed in: RFC 4954, 6; 5.7.8, 5.7.9 and 5.7.11 of the IANA registry of enhanced codes.
    _rule(r"53[0458].*|5.. 5\.7\.(?:8|9|11)", _CREDENTIALS),
    # 4.7.x is policy: rate limits and greylisting. 4.5.3 is too many, of recipients or messages.
    _rule(r"4.. 4\.7\..*|4.. 4\.5\.3", _THROTTLED),
    _rule(r"4.*", _UNAVAILABLE),
    # The address: no such mailbox, domain or null MX, moved, disabled (RFC 3463, 7504, 7505).
    _rule(r"5.. 5\.1\.(?:1|2|6|10)|5.. 5\.2\.1", _NOT_FOUND, Stage.RCPT, Stage.CONTENT),
    # 5.6.7: the address needs SMTPUTF8 further on (RFC 6531, 3.5).
    _rule(r"5.. 5\.6\.7", _INVALID),
    # RFC 1870 and RFC 3463; 552 also says "mailbox full" (5.2.2) and, at Gmail, "blocked" (5.7.0).
    _rule(r"552(?! 5\.(?:2\.2|7\.)).*|5.. 5\.(?:2\.3|3\.4)", _TOO_LARGE),
    _rule(r"5.. 5\.1\.3|553(?! 5\.7\.).*|501.*", _INVALID, Stage.RCPT),
    # Exim sends no enhanced codes and says "550 relay not permitted" of every address: a wrong
    # setting must not put a whole list of recipients on the suppression list.
    _rule(
        r"55[01](?: 5\.[01]\.0)?",
        _REJECTED,
        Stage.RCPT,
        text=r"relay|authent|sender|block|black|spam|policy|denied|listed|reputation"
        r"|\b(?:rbl|spf|dkim|dmarc)\b|not (?:allowed|permitted|authori[sz]ed)",
    ),
    _rule(r"55[01](?: 5\.[01]\.0)?|(?:521|551|556)(?! 5\.7\.).*", _NOT_FOUND, Stage.RCPT),
    _rule(r"55[04].*|5.. 5\.[67]\..*", _CONTENT, Stage.DATA, Stage.CONTENT),
    _rule(r".*", _REJECTED),
)
"""Of a message: the first rule that holds decides. At MAIL it is our own address that is refused, so
no rule there speaks of the recipient's."""

# Where servers name the message in the reply to its content; each line names who writes so.
_QUEUE_IDS = (
    re.compile(r"\bqueued as <?([\w.+/=-]{4,100})", re.IGNORECASE),  # Postfix, SendGrid, aiosmtpd
    re.compile(r"\bid=([\w.+/=-]{4,100})", re.IGNORECASE),  # Exim
    re.compile(r"([\w.+/=-]{4,100}) message accepted", re.IGNORECASE),  # Sendmail, OpenSMTPD
    re.compile(r"InternalId=([0-9]{4,100})", re.IGNORECASE),  # Exchange
    re.compile(r"\bok +([\w.+/=-]{4,100})(?: - gsmtp)?\s*\Z", re.IGNORECASE),  # Amazon SES
    re.compile(r"\bok +[0-9]+ ([\w.+/=-]{4,100}) - gsmtp", re.IGNORECASE),  # Gmail
)


def accepted(reply: Reply, message_id: str) -> Accepted:
    """The server took the message: its own name for it where the reply has one, else ours."""
    matches = (pattern.search(reply.text) for pattern in _QUEUE_IDS)
    queue_id = next((match[1] for match in matches if match), message_id)
    return Accepted(queue_id, detail=reply.codes)


def refused(stage: Stage, reply: Reply) -> Transient | Permanent:
    """What a reply of the 400s or 500s to a command of a message, or to its content, means."""
    rule = next(rule for rule in RULES if rule.holds(stage, reply))
    return replace(rule.outcome, detail=f"{reply.codes} at {stage}")


def refused_setup(stage: Stage, reply: Reply) -> Transient:
    """What a reply of the 400s or 500s before any message means."""
    rule = next(rule for rule in SETUP_RULES if rule.holds(stage, reply))
    return replace(rule.outcome, detail=f"{reply.codes} at {stage}")


def lost(stage: Stage) -> Outcome:
    """The connection ended where a reply was due."""
    return _no_reply(stage, Reason.CONNECTION_FAILED, Reason.CONNECTION_LOST, "connection lost")


def timed_out(stage: Stage) -> Outcome:
    """The account's time was over where a reply was due."""
    return _no_reply(stage, Reason.CONNECTION_FAILED, Reason.TIMED_OUT, "timed out")


def malformed(stage: Stage) -> Outcome:
    """Something came that is no reply, or none that may come at this stage."""
    return _no_reply(stage, Reason.MALFORMED_ANSWER, Reason.MALFORMED_ANSWER, "malformed reply")


def _no_reply(stage: Stage, before: Reason, after: Reason, detail: str) -> Outcome:
    if stage is Stage.CONTENT:
        return Unknown(after, detail=f"{detail} after the content")
    return Transient(before, detail=f"{detail} at {stage}")
