"""An email address with its display name, in the form that mail headers and envelopes take."""

import re
from dataclasses import dataclass, field

import idna

from tidings.providers.headers import ENCODED_LINE, LINE, phrase

# RFC 5321, 4.1.2; RFC 6531, 3.3 adds what is not ASCII, of which controls and surrogates stay out.
_ATEXT = r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~\-\u00a0-\u2027\u202a-\ud7ff\ue000-\U0010ffff]"
_LOCAL_PART = re.compile(
    rf"{_ATEXT}+(?:\.{_ATEXT}+)*"
    r'|"(?:[ !#-\[\]-~\u00a0-\u2027\u202a-\ud7ff\ue000-\U0010ffff]|\\[ -~])*"'
)
_DOMAIN = re.compile(
    r"(?=.{1,253}\Z)[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?"
    r"(?:\.[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?)*"
    r"|\[[!-Z^-~]{1,100}\]"
)
_NAMED = re.compile(r"\s*(?P<name>[^<>]*?)\s*<(?P<address>[^<>]+)>\s*", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


class AddressError(ValueError):
    """The text is not an email address; the message does not repeat it."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """name: the display name, or empty. address: ASCII wherever the local part is; see wire_address."""

    name: str = field(repr=False)
    address: str = field(repr=False)

    @property
    def domain(self) -> str:
        """The domain in its ASCII form."""
        domain = self.address.rpartition("@")[2]
        return domain if domain.isascii() else _to_ascii(domain)

    def field(self, name: str) -> bytes:
        """The header field of this name (From, To, Reply-To) with its line end, folded.

        It is ASCII unless the address is not (RFC 6532).
        """
        address = self.address.encode()
        used = len(name) + 2
        if not self.name:
            return b"%b: %b\r\n" % (name.encode(), address)
        shown = phrase(self.name, ENCODED_LINE - used)
        fits = used + len(shown) + len(address) + 3 <= LINE
        return b"%b: %b%b<%b>\r\n" % (name.encode(), shown, b" " if fits else b"\r\n ", address)


def parse_mailbox(text: str) -> Mailbox:
    """Read `user@example.com` or `Name <user@example.com>`; the name need not be quoted.

    Raises AddressError.
    """
    named = _NAMED.fullmatch(text)
    if named is None:
        return Mailbox("", wire_address(text.strip()))
    name = named["name"]
    if quoted := _QUOTED.fullmatch(name):
        name = re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL)
    return Mailbox(name, wire_address(named["address"].strip()))


def wire_address(address: str) -> str:
    """The address as envelopes and headers take it. Raises AddressError.

    A domain that is not ASCII is put in its ASCII form (RFC 5891), which every server takes. Where
    the local part is not ASCII there is no such form: the address stays as it is and needs SMTPUTF8
    (RFC 6531). Limits: 64 bytes before the @, 253 after it, 254 in all (RFC 5321, 4.5.3.1).
    """
    local, _, domain = address.rpartition("@")
    if not _LOCAL_PART.fullmatch(local):
        raise AddressError("not an email address: the part before the @ is not valid")
    ascii_domain = domain if domain.isascii() else _to_ascii(domain)
    if not _DOMAIN.fullmatch(ascii_domain):
        raise AddressError("not an email address: the domain is not valid")
    if len(local.encode()) > 64 or len(local.encode()) + 1 + len(ascii_domain) > 254:
        raise AddressError("not an email address: it is too long")
    return f"{local}@{ascii_domain if local.isascii() else domain}"


def _to_ascii(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        raise AddressError("not an email address: the domain is not valid") from None
