"""What one vendor is made of."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tidings.domain.channels import Channel
from tidings.sandbox.calls import Call, Reply, Route
from tidings.sandbox.messages import Event, Sent


@dataclass(frozen=True, slots=True)
class Place:
    """Where things are. url: the sandbox's. callbacks: Tidings'; empty for none. ports: of what does not speak
    HTTP/1.1, by vendor."""

    url: str
    callbacks: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)

    def at(self, vendor: str) -> str:
        """What the vendor's paths begin with."""
        return f"{self.url}/{vendor}"

    def callback(self, vendor: str) -> str:
        """Where an account of the vendor's name is called back; empty for nowhere."""
        return f"{self.callbacks}/callbacks/{vendor}/{vendor}" if self.callbacks else ""


@dataclass(frozen=True, slots=True)
class Callback:
    """A POST to Tidings. events: which it tells."""

    url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    events: Sequence[Event] = ()


Reported: TypeAlias = tuple[Sent, Event]


@dataclass(frozen=True, slots=True)
class Tells:
    """How a vendor calls back: signed, as of `now`.

    opening: sent before all else, and then nothing until the vendor's route answers `Confirmed`.
    """

    callbacks: Callable[[Sequence[Reported], Place, float], Iterable[Callback]]
    opening: Callable[[Place, float], Callback] | None = None


@dataclass(frozen=True, slots=True)
class Vendor:
    """name: as the provider's, and the first part of the path. account: the fields of an account with the vendor,
    without `provider`; None where Tidings has
    no provider for it. check: refuses a call without the right credentials. throttled, failed: the vendor's
    answers when it is too much and when it is broken. malformed: its answer to fields of a wrong
    type. extra: of Tidings, without which it has no provider for the vendor; and the package that comes with it.
    """

    name: str
    title: str
    channel: Channel
    docs_url: str
    account: Callable[[Place], Mapping[str, Any]] | None
    check: Callable[[Call], Reply | None]
    routes: tuple[Route, ...]
    throttled: Reply
    failed: Reply
    malformed: Reply
    unknown: Reply
    tells: Tells | None = None
    extra: tuple[str, str] | None = None
