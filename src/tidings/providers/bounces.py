"""What an enhanced status code says of the address."""

import re

from tidings.domain.receipts import Bounce

_STATUS = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})")

# https://www.iana.org/assignments/smtp-enhanced-status-codes: no such mailbox, system or domain, a mailbox that
# moved without a word, one that is disabled, no mail taken there, no route to it.
_DEAD = frozenset({"1.1", "1.2", "1.3", "1.4", "1.6", "1.10", "2.1", "4.4"})


def bounce_of(status: str, otherwise: Bounce) -> Bounce:
    """By RFC 3463. otherwise: for a code that says nothing, such as 5.0.0, and for what is none."""
    found = _STATUS.search(status)
    if found is None or found[2] == "0":
        return otherwise
    dead = found[1] == "5" and f"{found[2]}.{found[3]}" in _DEAD
    return Bounce.HARD if dead else Bounce.SOFT
