"""What a vendor's callback is, and what reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tidings.domain.receipts import Receipt


@dataclass(frozen=True, slots=True)
class RawCallback:
    """A request as it came in, before anything was read into it.

    url: the public one that the vendor called, query and all, also behind a proxy. headers: by lower-case name.
    received_at: seconds since the epoch.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: float


@dataclass(frozen=True, slots=True)
class Once:
    """A proof that does not cover what the callback says, and so is good for one alone.

    signed_at: seconds since the epoch, of the vendor. token: what the vendor gives once. says: stands for all that is
    read from the callback, whatever its form is.
    """

    signed_at: float
    token: str = field(repr=False)
    says: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verified:
    """It is the vendor's. follow: a URL that is to be fetched once, to confirm a subscription; what it answers to is
    no event. once: where another callback with the same proof is none of the vendor's."""

    follow: str | None = field(default=None, repr=False)
    once: Once | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """It is not the vendor's, or too old. detail: for the log; holds nothing of the request."""

    detail: str


class Callbacks(Protocol):
    """What an account's vendor calls back, in two steps: whether it is the vendor's, and what it says.

    verify() works on the raw bytes and does not raise; only certificates that the vendor publishes may be fetched.
    receipts() is pure, reads only what was verified, gives an event that it does not know as `other`, and raises
    UnreadableCallback where it is not in the vendor's form, with the receipts of those parts that are.
    """

    async def verify(self, raw: RawCallback) -> Verified | Refused: ...

    def receipts(self, raw: RawCallback) -> Sequence[Receipt]: ...


class UnreadableCallback(Exception):
    """A verified callback that is not, or not all, in the vendor's form. Its text holds nothing of the callback.

    receipts: of those parts that can be read, which count.
    """

    def __init__(self, problem: str, receipts: Sequence[Receipt] = ()) -> None:
        super().__init__(problem)
        self.receipts = receipts
