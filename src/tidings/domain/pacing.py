"""How fast an account may be called after it asked to slow down: additive increase, multiplicative decrease.

The first "slow down" halves the rate that was measured, each further one halves what is allowed; from then on
the rate grows by a twentieth of what was measured each second, until it is of no use any more.
Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance", 1989.
"""

from dataclasses import dataclass, replace

_CUT = 0.5
_GROWTH = 0.05  # of the measured rate, each second
_UNNEEDED = 2.0  # times the measured rate
_LEAST = 0.1  # calls per second
_BETWEEN_CUTS = 1.0  # seconds: the answers to calls that were made together count once
_LONGEST_PAUSE = 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class Pace:
    """rate: calls per second over all workers, None for no limit; normal: what was measured when it was first
    throttled; the times are Unix seconds. at: up to when it has grown."""

    rate: float | None = None
    normal: float = 0.0
    paused_until: float = 0.0
    cut_at: float = 0.0
    at: float = 0.0


def throttled(pace: Pace, retry_after: float | None, measured: float, now: float) -> Pace:
    """The provider asked to slow down. retry_after: seconds it asked for; measured: calls per second lately."""
    if retry_after is not None and retry_after > 0:
        until = now + min(retry_after, _LONGEST_PAUSE)
        pace = replace(pace, paused_until=max(pace.paused_until, until))
    if pace.rate is None:
        normal = max(measured, _LEAST)
        return replace(pace, rate=max(_LEAST, normal * _CUT), normal=normal, cut_at=now, at=now)
    if 0 <= now - pace.cut_at < _BETWEEN_CUTS:
        return pace
    return replace(pace, rate=max(_LEAST, pace.rate * _CUT), cut_at=now, at=now)


def grown(pace: Pace, now: float) -> Pace:
    """The pace as time has passed; it does not grow while the account is paused."""
    if pace.rate is None:
        return pace
    seconds = now - max(pace.at, min(pace.paused_until, now))
    rate = pace.rate + _GROWTH * pace.normal * max(0.0, seconds)
    if rate >= _UNNEEDED * pace.normal:
        return Pace(paused_until=pace.paused_until)
    return replace(pace, rate=rate, at=now)


@dataclass(slots=True)
class Bucket:
    """The share of one worker: holds what a second gives, and at least one call."""

    tokens: float = 1.0
    at: float = 0.0

    def has(self, rate: float, now: float) -> bool:
        most = max(1.0, rate)
        self.tokens = min(most, self.tokens + max(0.0, now - self.at) * rate)
        self.at = now
        return self.tokens >= 1.0

    def take(self, rate: float, now: float) -> bool:
        if not self.has(rate, now):
            return False
        self.tokens -= 1.0
        return True
