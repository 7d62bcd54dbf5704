"""What a provider is: a manifest that describes it, and one function that sends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from tidings.domain.channels import Channel
from tidings.domain.messages import Message
from tidings.domain.outcomes import Outcome

FieldKind = Literal["text", "whole_number", "number", "yes_no", "url", "choice", "list"]
Feature = Literal[
    "attachments", "inline files", "cc and bcc", "headers", "tags", "metadata", "sender by country"
]
"""What a provider passes on beside the bare message; what it does not is refused, never dropped. Only tags and
metadata, which the recipient never sees, are left out or cut where the provider has no room."""
FieldValue = str | int | float | bool | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Field:
    """One setting of an account; drives validation, masking, forms and the docs table."""

    name: str
    doc: str
    kind: FieldKind = "text"
    required: bool = False
    secret: bool = False
    default: FieldValue = None
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a provider is and can do.

    batch_size: messages taken by one call of send(); one-at-a-time providers get batches of one.
    idempotent: sending the same delivery_id again has no second effect, so unknown is retried safely.
    confirms_delivery: accepted means that the recipient has it.
    address_field: the account field that serves as address when the recipient gives none.
    concurrency_field: the account field that says how many calls may be under way in one process; what
    waits for its turn does not spend its time-out.
    features: what it can send beside the bare message.
    services: the chat or push services (domain/chat.py, domain/push.py) whose addresses it takes; empty takes
    all.
    shared_fate: what one call meets says something about the next. Not so where each recipient names a server of
    its own, or where messages are stored in our own database.
    """

    name: str
    title: str
    channels: tuple[Channel, ...]
    fields: tuple[Field, ...] = ()
    docs_url: str = ""
    batch_size: int = 1
    idempotent: bool = False
    confirms_delivery: bool = False
    address_field: str | None = None
    concurrency_field: str | None = None
    shared_fate: bool = True
    features: tuple[Feature, ...] = ()
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """A provider with its credentials, as configured; values are checked against the manifest.

    order: of several for a channel, the lowest goes first; weight: among those of one order. categories,
    countries, sender_domains: it takes only messages of these; empty takes all. sender_domain: of the address that
    it sends email from by itself. services, features: the manifest's.
    """

    name: str
    provider: str
    channels: tuple[Channel, ...]
    confirms_delivery: bool
    timeout: float
    values: Mapping[str, FieldValue] = field(default_factory=dict, repr=False)
    order: int = 0
    weight: float = 1.0
    categories: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    sender_domains: tuple[str, ...] = ()
    sender_domain: str = ""
    services: tuple[str, ...] = ()
    features: tuple[Feature, ...] = ()

    def permits(self, sender_domain: str) -> bool:
        """Whether it may send email from there."""
        return sender_domain == self.sender_domain or sender_domain in self.sender_domains

    def text(self, name: str) -> str:
        """A text setting; empty when it was not given."""
        value = self.values.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> float:
        value = self.values.get(name)
        return float(value) if isinstance(value, int | float) else 0.0

    def flag(self, name: str) -> bool:
        return self.values.get(name) is True

    def listed(self, name: str) -> tuple[str, ...]:
        value = self.values.get(name)
        return value if isinstance(value, tuple) else ()


class Provider(Protocol):
    """An account in use. send() answers one outcome per message, in order, and never raises for
    what a provider may answer; it must return within the account's time-out."""

    @property
    def account(self) -> Account: ...

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]: ...

    async def close(self) -> None: ...

    async def check(self) -> str:
        """Try to reach the provider without sending; what was found. Raises ProviderCheckError."""
        ...


class ProviderCheckError(Exception):
    """The account cannot be used as configured; the message says what to mend."""
