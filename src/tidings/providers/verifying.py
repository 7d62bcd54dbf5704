"""Whether a callback is the vendor's: what the vendors' schemes have in common."""

import re
from collections.abc import Iterable, Sequence
from hmac import compare_digest

from tidings.domain.callbacks import Refused
from tidings.domain.provider import Account

REPEATED_FOR = 25 * 3600.0
"""Seconds for which vendors go on repeating a call that was not answered, under its first signature. An older one
is refused; a younger one that is played again says nothing new, for its events are known by their ids."""

AHEAD = 300.0
"""Seconds that a vendor's clock may be ahead of ours."""

UNCONFIGURED = Refused("the account has nothing to verify callbacks with")
MISSING = Refused("no signature")
WRONG = Refused("the signature is not the vendor's")
OLD = Refused("the signature is too old, or of the future")

_SECONDS = re.compile(r"[0-9]{1,12}")


def secrets_of(account: Account, *names: str) -> Sequence[bytes]:
    """What the fields hold, texts and lists: several, while one takes the place of another."""
    given = [one for name in names for one in (account.text(name), *account.listed(name))]
    return [one.strip().encode() for one in given if one.strip()]


def equal(one: str | bytes, other: str | bytes) -> bool:
    """In constant time."""
    first, second = (
        text if isinstance(text, bytes) else text.encode("utf-8", "replace")
        for text in (one, other)
    )
    return compare_digest(first, second)


def any_equal(given: str | bytes, allowed: Iterable[str | bytes]) -> bool:
    """In a time that does not tell which one it is."""
    return sum([equal(given, one) for one in allowed]) > 0


def timely(timestamp: str, now: float, window: float) -> bool:
    """Whether seconds since the epoch lie not further back than the window. now: seconds since the epoch."""
    if not _SECONDS.fullmatch(timestamp):
        return False
    return -AHEAD <= now - float(timestamp) <= window
