"""What was sent, and what became of it: in memory, and only the last of it."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from tidings.domain.channels import Channel
from tidings.sandbox.magic import Fate


class Happening(StrEnum):
    """What becomes of a message after it was taken."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    SOFT_BOUNCED = "soft-bounced"
    DROPPED = "dropped"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    OPENED = "opened"
    CLICKED = "clicked"
    REPLIED = "replied"


@dataclass(frozen=True, slots=True)
class File:
    """content_id: of one that is shown within the HTML; empty otherwise."""

    name: str
    content_type: str
    data: bytes = field(repr=False)
    content_id: str = ""


@dataclass(frozen=True)
class Content:
    """What a person would see. shown: fields of the vendor's that are worth a look, by name."""

    subject: str = ""
    text: str = ""
    html: str = ""
    files: Sequence[File] = ()
    shown: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Event:
    """at: seconds since the epoch. text: of a reply. answer: what came of telling it; empty until then, or where
    nobody is told."""

    happening: Happening
    recipient: str
    at: float
    event_id: str
    text: str = ""
    answer: str = ""


@dataclass
class Sent:
    """A message as a vendor took it.

    message_id: the vendor's. reference: what comes back with callbacks. callback: the URL that this message
    alone asks to be told at. once: whether a second one with the same id is the same message. read: makes the content, when somebody looks. number: of the sandbox, in order.
    """

    vendor: str
    channel: Channel
    sender: str
    recipients: tuple[str, ...]
    message_id: str
    source: bytes = field(repr=False)
    read: Callable[[], Content] = field(repr=False)
    fates: tuple[Fate, ...] = ()
    copies: tuple[str, ...] = ()
    reference: Mapping[str, Any] = field(default_factory=dict)
    callback: str = ""
    once: bool = False
    number: int = 0
    at: float = 0.0
    events: list[Event] = field(default_factory=list)

    @cached_property
    def content(self) -> Content:
        """What its sender made wrong within it is found only now: vendors, too, take such messages."""
        try:
            return self.read()
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            return Content(subject=f"Content that cannot be read ({type(error).__name__})")


class Kept:
    """The last messages: as many as `count`, and of no more than `size` bytes in all."""

    def __init__(self, count: int, size: int = 256 * 2**20) -> None:
        self._count = count
        self._size = size
        self._held = 0
        self._messages: OrderedDict[int, Sent] = OrderedDict()
        self._waiting: set[asyncio.Event] = set()
        self.taken = 0
        self.changes = 0

    def add(self, sent: Sent, at: float) -> None:
        self.taken += 1
        sent.number, sent.at = self.taken, at
        self._messages[sent.number] = sent
        self._held += len(sent.source)
        while len(self._messages) > self._count or (
            self._held > self._size and len(self._messages) > 1
        ):
            _, gone = self._messages.popitem(last=False)
            self._held -= len(gone.source)
        self.changed()

    def get(self, number: int) -> Sent | None:
        return self._messages.get(number)

    def newest(self) -> Iterator[Sent]:
        return reversed(self._messages.values())

    def clear(self) -> None:
        self._messages.clear()
        self._held = 0
        self.changed()

    def changed(self) -> None:
        """Wakes those who look."""
        self.changes += 1
        for waiting in self._waiting:
            waiting.set()

    async def until_changed(self, since: int) -> int:
        """Waits until there are more changes than `since`; how many there are."""
        if self.changes == since:
            waiting = asyncio.Event()
            self._waiting.add(waiting)
            try:
                await waiting.wait()
            finally:
                self._waiting.discard(waiting)
        return self.changes
