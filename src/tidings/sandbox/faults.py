"""Failures on purpose: shares of a vendor's calls that go wrong, and how."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum, auto
from typing import Any


class Mishap(Enum):
    """What happens to a call instead of its answer, or beside it."""

    ERROR = auto()
    THROTTLED = auto()
    CUT = auto()
    LOST = auto()


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of the calls, from 0 to 1, that

    - `errors`: get the vendor's 5xx, and are not taken;
    - `throttled`: get its 429 with Retry-After, and are not taken;
    - `cut`: lose the connection before anything is taken;
    - `lost`: are taken, and lose the connection before the answer;
    - `slow`: wait for `seconds` first, whatever else happens to them.
    """

    errors: float = 0.0
    throttled: float = 0.0
    cut: float = 0.0
    lost: float = 0.0
    slow: float = 0.0
    seconds: float = 5.0


NONE = Faults()
_LONGEST = 600.0


class FaultsError(Exception):
    """What was asked for cannot be; the message says why."""


def changed(faults: Faults, wanted: Any) -> Faults:
    """With some of them as wanted. Raises FaultsError."""
    if not isinstance(wanted, dict):
        raise FaultsError('an object is needed, such as {"errors": 0.2}')
    known = [one.name for one in fields(Faults)]
    for name, value in wanted.items():
        most = _LONGEST if name == "seconds" else 1.0
        if name not in known:
            raise FaultsError(f"{name!r} is none of {', '.join(known)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise FaultsError(f"{name} is a number from 0 to {most:g}")
    result = replace(faults, **{name: float(value) for name, value in wanted.items()})
    if result.errors + result.throttled + result.cut + result.lost > 1:
        raise FaultsError("errors, throttled, cut and lost are more than 1 together")
    return result


def drawn(faults: Faults, chance: random.Random) -> Mishap | None:
    """What happens to one call."""
    if faults is NONE:
        return None
    at = chance.random()
    shares: Mapping[Mishap, float] = {
        Mishap.ERROR: faults.errors,
        Mishap.THROTTLED: faults.throttled,
        Mishap.CUT: faults.cut,
        Mishap.LOST: faults.lost,
    }
    for mishap, share in shares.items():
        if at < share:
            return mishap
        at -= share
    return None
