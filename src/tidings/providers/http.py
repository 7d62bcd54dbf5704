"""What HTTP clients are asked and answer: one vocabulary for all of them."""

from collections.abc import Mapping
from dataclasses import field
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Protocol

from pyreqwest.http import Url

from tidings.domain.outcomes import Permanent, Transient, Unknown
from tidings.domain.reasons import Reason
from tidings.domain.records import record

BODY_LIMIT = 64 * 1024
"""Bytes of an answer that are read; a longer one is cut there, and its connection closed."""

_LONGEST_RETRY_AFTER = 3600.0

Failure = Transient | Permanent | Unknown

UNFIT = Permanent(Reason.ADDRESS_INVALID, detail="not a request that can be made")


@record
class Request:
    """timeout: seconds for the whole call, the answer's body included."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    timeout: float


@record
class Answer:
    """What a server answered. body: at most BODY_LIMIT bytes; complete: they are all that it sent."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    complete: bool = True

    def header(self, name: str) -> str:
        """A header's first value; empty when it is missing or is not text."""
        try:
            return self.headers.get(name, "")
        except ValueError:  # pyreqwest's map, for a value that is not visible ASCII
            return ""


class Http(Protocol):
    """Something that makes HTTP requests. A failure is a value, and nothing is ever sent twice."""

    async def send(self, request: Request) -> Answer | Failure: ...

    async def close(self) -> None: ...


@lru_cache(maxsize=1_024)
def parse_url(url: str) -> Url | Permanent:
    """The URL as the WHATWG reads it, so that a check and the call cannot differ."""
    try:
        target = Url(url)
    except ValueError:
        return Permanent(Reason.ADDRESS_INVALID, detail="not a URL")
    if target.scheme not in {"http", "https"} or target.host_str is None:
        return Permanent(Reason.ADDRESS_INVALID, detail="not an http or https URL")
    return target


def retry_after(answer: Answer, now: float) -> float | None:
    """Seconds that the server asks to wait, at most an hour; None when it does not, or unreadably.

    Both forms of RFC 9110, 10.2.3: seconds, and a date. now: seconds since the epoch.
    """
    value = answer.header("retry-after").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), _LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:  # "-0000": UTC, as RFC 5322 has it
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp() - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)
