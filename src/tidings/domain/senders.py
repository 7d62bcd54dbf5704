"""Who an email is from, as far as it depends on it which account may send it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import idna

from tidings.domain.channels import Channel
from tidings.domain.locales import fallbacks
from tidings.domain.templates import Edition


@dataclass(frozen=True, slots=True)
class Sender:
    """text: an address, with or without a display name."""

    text: str = field(repr=False)
    domain: str


Senders = Mapping[str, Sender]
"""Of a template's version: by language tag, the default's as an empty one."""


def senders_of(edition: Edition) -> Senders:
    """Empty for a version that leaves it to the accounts."""
    written = {"": edition.content, **edition.locales}
    found: dict[str, Sender] = {}
    for tag, content in written.items():
        text = content.get(Channel.EMAIL, {}).get("from")
        if isinstance(text, str):
            found[tag] = Sender(text, domain_of(text))
    return found


def sender_for(senders: Senders, locale: str | None) -> Sender | None:
    """A language without one has the default's."""
    tags = (*fallbacks(locale), "")
    return next((senders[tag] for tag in tags if tag in senders), None)


def domain_of(text: str) -> str:
    """Of an address, in the one form in which domains are compared; empty where it has none."""
    _, at, domain = text.strip().removesuffix(">").rpartition("@")
    return ascii_domain(domain.strip()) if at else ""


def ascii_domain(domain: str) -> str:
    """In lower case, and in ASCII where there is such a form (RFC 5891)."""
    try:
        return idna.encode(domain, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return domain.lower()
