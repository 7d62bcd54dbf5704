"""The outbound guard: which addresses Tidings may call when users choose them.

Without it, whoever may register a webhook could make Tidings call what only its own network can reach
(server-side request forgery, https://owasp.org/www-community/attacks/Server_Side_Request_Forgery).
Allowed is what is reachable from everywhere: the public unicast space, less what IANA's special-purpose
registries take out of it (https://www.iana.org/assignments/iana-ipv4-special-registry and
iana-ipv6-special-registry). What the operator lists in `outbound.allow` is allowed beside that.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import cast

from pyreqwest.http import Url

from tidings.domain.outcomes import Permanent, Transient
from tidings.domain.reasons import Reason
from tidings.settings import SettingsError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Lookup = Callable[[str], Awaitable[Sequence[Address]]]

# IPv4: what is not public unicast.
_FORBIDDEN_4 = tuple(
    (IPv4Network(network), word)
    for network, word in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared"),  # carrier-grade NAT, RFC 6598; metadata of some clouds
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud"),  # Azure's platform answers there, in every machine
        ("169.254.0.0/16", "link-local"),  # RFC 3927; metadata of most clouds
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "reserved"),  # 6to4 relays, RFC 7526
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmark"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),  # with 255.255.255.255
    )
)

# IPv6: only 2000::/3 is public unicast. Inside it: Teredo and the other protocol assignments (2001::/23),
# 6to4 and documentation. The words for what is outside are for people; the rule is "not in 2000::/3".
_PUBLIC_6 = IPv6Network("2000::/3")
_FORBIDDEN_6 = tuple(
    (IPv6Network(network), word)
    for network, word in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")

_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
_NOT_IN_A_HOST = re.compile(r"[/:@?#\\%\s]")


def plain(address: Address) -> Address:
    """The IPv4 address inside an IPv6 form that leads to it: mapped (RFC 4291) or NAT64 (RFC 6052)."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(address.packed[-4:])
    return address


def forbidden(address: Address) -> str | None:
    """What kind of address this is when it is not public; None when it is."""
    address = plain(address)
    table: Iterable[tuple[Network, str]]
    if isinstance(address, IPv4Address):
        table, otherwise = _FORBIDDEN_4, None
    else:
        table, otherwise = _FORBIDDEN_6, None if address in _PUBLIC_6 else "reserved"
    return next((word for network, word in table if address in network), otherwise)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the operator allows although it is not public."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    def takes(self, host: str, address: Address) -> bool:
        """host: as in the URL, or empty for an address."""
        if host.rstrip(".") in self.hosts:
            return True
        forms = {address, plain(address)}
        return any(form in network for network in self.networks for form in forms)


def read_allowed(entries: Iterable[str]) -> Allowed:
    """Read `outbound.allow`: networks, addresses and host names. Raises SettingsError for the first wrong."""
    networks: list[Network] = []
    hosts: set[str] = set()
    for entry in entries:
        text = entry.strip().lower().rstrip(".")
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError:
            host = _host_name(text)
            if host is None:
                raise SettingsError(
                    f"outbound.allow: got {entry!r}; allowed are networks (10.1.0.0/16, with no bits "
                    "beyond the prefix), addresses and host names"
                ) from None
            hosts.add(host)
    return Allowed(tuple(networks), frozenset(hosts))


def _host_name(text: str) -> str | None:
    """The name as the URL parser writes it; None for what it does not take for a name."""
    if _NOT_IN_A_HOST.search(text):
        return None
    try:
        host = Url(f"http://{text}/").domain
    except ValueError:
        return None
    return host if host is not None and _HOST_NAME.fullmatch(host) else None


class Guard:
    """Judges hosts. lookup: finds a name's addresses, and raises OSError when it cannot.

    lookup_timeout: seconds for one name.
    """

    def __init__(
        self, allowed: Allowed, *, lookup: Lookup | None = None, lookup_timeout: float = 3.0
    ) -> None:
        self._allowed = allowed
        self._lookup = lookup or system_lookup
        self._lookup_timeout = lookup_timeout

    async def addresses(self, url: Url) -> tuple[Address, ...] | Transient | Permanent:
        """The addresses that a call of this URL may connect to, best first, or why there are none.

        One forbidden address among several forbids the name: a public name with a private address is
        a mistake or an attack, and which address would be used is chance.
        """
        host = url.domain
        if host is None:
            host, found = "", [_literal(url)]
        else:
            try:
                async with asyncio.timeout(self._lookup_timeout):
                    found = list(dict.fromkeys(await self._lookup(host)))
            except TimeoutError:
                return Transient(Reason.CONNECTION_FAILED, detail="host lookup timed out")
            except (OSError, UnicodeError):
                return Transient(Reason.CONNECTION_FAILED, detail="host not found")
        return self._judge(host, found)

    def _judge(
        self, host: str, found: Sequence[Address]
    ) -> tuple[Address, ...] | Transient | Permanent:
        for address in found:
            word = forbidden(address)
            if word is not None and not self._allowed.takes(host, address):
                return Permanent(Reason.ADDRESS_FORBIDDEN, detail=f"{word} address")
        if not found:
            return Transient(Reason.CONNECTION_FAILED, detail="host not found")
        return tuple(found)


def credentials_refused(url: Url) -> Permanent | None:
    """A URL with a user name or password is refused: it would be stored and shown as an address."""
    if url.username or url.password is not None:
        return Permanent(Reason.ADDRESS_INVALID, detail="URL with credentials")
    return None


def _literal(url: Url) -> Address:
    # The URL parser has turned decimal, octal, hexadecimal and short forms into the usual one.
    return ipaddress.ip_address((url.host_str or "").strip("[]"))


async def system_lookup(host: str) -> list[Address]:
    """A name's addresses as the system finds them, in its order (RFC 6724). Raises OSError."""
    # As bytes: for text, asyncio applies an IDNA codec that refuses names which the URL parser takes.
    found = await asyncio.get_running_loop().getaddrinfo(
        host.encode("ascii"), None, type=socket.SOCK_STREAM
    )
    # Without an IPv6 scope ("fe80::1%eth0"): only link-local addresses have one.
    return [ipaddress.ip_address(cast("str", info[4][0]).partition("%")[0]) for info in found]
