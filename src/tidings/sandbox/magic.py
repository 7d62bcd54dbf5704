"""Recipients with a fate: what is sent to them goes wrong, or on, in a way that can be relied on.

An email address has its fate in its local part, up to a + or as a whole: bounce@example.com,
bounce+42@example.com. A phone number has it in its last seven digits, which are of those that are
reserved for fiction: +1 202 555 0103. A token, or the last part of a webhook, has it in its first word:
bounce-4f2a…, throttle7.
"""

import re
from collections.abc import Mapping
from enum import StrEnum


class Fate(StrEnum):
    """What becomes of a message."""

    DELIVER = "deliver"
    INVALID = "invalid"
    SUPPRESSED = "suppressed"
    BOUNCE = "bounce"
    SOFT_BOUNCE = "soft-bounce"
    DELAY = "delay"
    COMPLAIN = "complain"
    UNSUBSCRIBE = "unsubscribe"
    OPEN = "open"
    CLICK = "click"
    REPLY_STOP = "reply-stop"
    SILENT = "silent"
    THROTTLE = "throttle"
    ERROR = "error"
    TIMEOUT = "timeout"


MEANINGS: Mapping[Fate, str] = {
    Fate.DELIVER: "is delivered, as any other recipient is",
    Fate.INVALID: "is refused at once: no such address",
    Fate.SUPPRESSED: "is refused at once where the vendor does so, else dropped: it had bounced or opted out before",
    Fate.BOUNCE: "is taken, and bounces for good",
    Fate.SOFT_BOUNCE: "is taken, and bounces for now",
    Fate.DELAY: "is deferred, and delivered later",
    Fate.COMPLAIN: "is delivered, and reported as spam",
    Fate.UNSUBSCRIBE: "is delivered, and the recipient unsubscribes",
    Fate.OPEN: "is delivered and opened",
    Fate.CLICK: "is delivered, opened, and its first link clicked",
    Fate.REPLY_STOP: "is delivered, and the recipient answers STOP",
    Fate.SILENT: "is taken, and nothing is ever heard of it",
    Fate.THROTTLE: "is answered with the vendor's 429 the first time, taken the second, and so on in turn",
    Fate.ERROR: "is answered with the vendor's 5xx the first time, taken the second, and so on in turn",
    Fate.TIMEOUT: "is never answered the first time, taken the second, and so on in turn",
}

AT_THE_DOOR = frozenset({Fate.THROTTLE, Fate.ERROR, Fate.TIMEOUT})
"""Fates of the call, not of the message; they come in turns, so that a retry can be seen to work."""

NUMBERS: Mapping[str, Fate] = {
    "5550101": Fate.INVALID,
    "5550102": Fate.SUPPRESSED,
    "5550103": Fate.BOUNCE,
    "5550104": Fate.SOFT_BOUNCE,
    "5550105": Fate.DELAY,
    "5550106": Fate.THROTTLE,
    "5550107": Fate.ERROR,
    "5550108": Fate.TIMEOUT,
    "5550109": Fate.SILENT,
    "5550110": Fate.REPLY_STOP,
}

# What the vendors' own simulators and test domains call them:
# https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html
# https://resend.com/docs/dashboard/emails/send-test-emails
# https://postmarkapp.com/developer/user-guide/sending-email/generate-fake-bounces
_SAME: Mapping[str, Fate] = {
    "success": Fate.DELIVER,
    "delivered": Fate.DELIVER,
    "bounced": Fate.BOUNCE,
    "hardbounce": Fate.BOUNCE,
    "softbounce": Fate.SOFT_BOUNCE,
    "complaint": Fate.COMPLAIN,
    "complained": Fate.COMPLAIN,
    "spamcomplaint": Fate.COMPLAIN,
    "suppressionlist": Fate.SUPPRESSED,
    "unregistered": Fate.BOUNCE,
}
_WORDS: Mapping[str, Fate] = {**{fate.value: fate for fate in Fate}, **_SAME}
_HEX: Mapping[str, Fate] = {
    "dead": Fate.BOUNCE,
    "bad0": Fate.INVALID,
    "4290": Fate.THROTTLE,
    "5030": Fate.ERROR,
}
"""Apple's tokens have no words."""
_DIGITS = re.compile(r"[0-9a-f]{64,}")
_TOKEN = re.compile(r"(soft-bounce|[a-z]+)(?:[-_.:0-9]|$)")


def fate_of_address(address: str) -> Fate:
    """Of an email address."""
    local = address.partition("@")[0].partition("+")[0]
    return _WORDS.get(local.lower(), Fate.DELIVER)


def fate_of_number(number: str) -> Fate:
    """Of a phone number, with or without its +."""
    return NUMBERS.get(number[-7:], Fate.DELIVER)


def fate_of_token(token: str) -> Fate:
    """Of a device token, or of anything else that is not for people to read."""
    if _DIGITS.fullmatch(token.lower()):
        return _HEX.get(token[:4].lower(), Fate.DELIVER)
    found = _TOKEN.match(token)
    return _WORDS.get(found[1], Fate.DELIVER) if found else Fate.DELIVER
