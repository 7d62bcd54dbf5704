"""HTTP to addresses that users chose: checked by the guard, and connected to only as checked."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pyreqwest.client import Client
from pyreqwest.http import Url

from tidings.domain.outcomes import Permanent, Transient
from tidings.domain.reasons import Reason
from tidings.providers.guard import Address, Guard, credentials_refused
from tidings.providers.http import (
    CONNECT_TIMEOUT,
    Answer,
    Failure,
    HttpSetupError,
    Request,
    exchange,
    new_client,
    parse_url,
)

TTL = 30.0
"""Seconds for which a host's addresses count as checked."""

STALE = 300.0
"""Seconds for which they are still used when the name cannot be looked up. That is safe: the client
connects to the address that was checked, whatever the name says by then."""

HOSTS = 500
"""Hosts whose checked addresses and open connections are kept; a client takes about 120 KB."""


@dataclass(frozen=True, slots=True)
class _Route:
    """A host's client, which connects to one checked address. failing: it did not answer there."""

    client: Client
    address: Address
    checked_at: float
    expires_at: float
    failing: bool = False


class GuardedHttp:
    """Calls public addresses and what the operator allows. Redirects are not followed.

    The client's host name resolution is pinned to the checked address, so a name that answers the check
    with one address and the connection with another (DNS rebinding) gains nothing. A pinned client
    serves one host, hence a cache of them; hosts that were not called for long give way.
    connect_timeout: seconds. trust: certificates (PEM) trusted beside those of the system.
    Raises HttpSetupError.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        connect_timeout: float = CONNECT_TIMEOUT,
        trust: Sequence[bytes] = (),
        clock: Callable[[], float] = time.monotonic,
        hosts: int = HOSTS,
    ) -> None:
        self._guard = guard
        self._connect_timeout = connect_timeout
        self._trust = tuple(trust)
        self._clock = clock
        self._hosts = hosts
        self._routes: OrderedDict[str, _Route] = OrderedDict()
        self._checks: dict[str, asyncio.Task[_Route | Transient | Permanent]] = {}
        # Also shows at start, not at the first webhook, that clients can be made on this machine.
        self._unpinned = new_client(connect_timeout=connect_timeout, trust=trust)

    async def send(self, request: Request) -> Answer | Failure:
        url = parse_url(request.url)
        if not isinstance(url, Url):
            return url
        refused = credentials_refused(url)
        if refused is not None:
            return refused
        host = url.host_str or ""
        route = self._routes.get(host)
        if route is not None and self._clock() < route.expires_at:
            self._routes.move_to_end(host)
        else:
            started = self._clock()
            checked = await self._check(host, url, request.timeout)
            if not isinstance(checked, _Route):
                return checked
            route = checked
            left = request.timeout - (self._clock() - started)
            request = replace(request, timeout=max(left, 0.001))
        answer = await exchange(route.client, request, url)
        if isinstance(answer, Transient) and self._routes.get(host) is route:
            # The next call looks the name up again, and takes another address if there is one.
            self._routes[host] = replace(route, expires_at=0.0, failing=True)
        return answer

    async def close(self) -> None:
        """Calls in flight end as unknown."""
        for check in self._checks.values():
            check.cancel()
        await asyncio.gather(*self._checks.values(), return_exceptions=True)
        for client in [self._unpinned, *(route.client for route in self._routes.values())]:
            await client.close()
        self._routes.clear()

    async def _check(self, host: str, url: Url, seconds: float) -> _Route | Transient | Permanent:
        """One look-up serves all who wait for the host; one who gives up does not end it."""
        check = self._checks.get(host)
        if check is None:
            check = asyncio.create_task(self._new_route(host, url))
            self._checks[host] = check
            check.add_done_callback(lambda _: self._checks.pop(host, None))
        done, _ = await asyncio.wait([check], timeout=seconds)
        if not done or check.cancelled():
            return Transient(Reason.CONNECTION_FAILED, detail="host lookup timed out")
        return check.result()

    async def _new_route(self, host: str, url: Url) -> _Route | Transient | Permanent:
        old = self._routes.get(host)
        route: _Route | Transient | Permanent
        checked = await self._guard.addresses(url)
        if isinstance(checked, tuple):
            route = await self._route_to(_choose(checked, old), url, old)
        elif isinstance(checked, Transient) and old is not None and self._usable(old):
            route = replace(old, expires_at=self._clock() + TTL / 10)
        else:
            route = checked
        if isinstance(route, _Route):
            self._keep(host, route)
        else:
            self._routes.pop(host, None)
        return route

    async def _route_to(self, address: Address, url: Url, old: _Route | None) -> _Route | Transient:
        if old is not None and old.address == address:
            client = old.client
        elif url.domain is None:
            client = self._unpinned  # it connects to an address in a URL as it is
        else:
            try:
                client = await asyncio.to_thread(self._pinned, url.domain, address)
            except HttpSetupError:  # one could be made at start: short of files or memory
                return Transient(Reason.CONNECTION_FAILED, detail="no HTTP client")
        now = self._clock()
        return _Route(client, address, checked_at=now, expires_at=now + TTL)

    def _usable(self, old: _Route) -> bool:
        return self._clock() < old.checked_at + STALE

    def _keep(self, host: str, route: _Route) -> None:
        self._routes[host] = route
        self._routes.move_to_end(host)
        if len(self._routes) > self._hosts:
            # Not closed: calls in flight still hold it, and end as they would. Its idle connections
            # close when the last of them lets it go.
            self._routes.popitem(last=False)

    def _pinned(self, host: str, address: Address) -> Client:
        return new_client(
            connect_timeout=self._connect_timeout, trust=self._trust, pin=(host, str(address))
        )


def _choose(addresses: tuple[Address, ...], old: _Route | None) -> Address:
    """The address in use while it works; after it failed, the one after it."""
    if old is None or old.address not in addresses:
        return addresses[0]
    step = 1 if old.failing else 0
    return addresses[(addresses.index(old.address) + step) % len(addresses)]
