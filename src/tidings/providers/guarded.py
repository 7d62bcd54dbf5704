"""HTTP to addresses that users chose: checked by the guard, and connected to only as checked."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pyreqwest.http import Url

from tidings.domain.outcomes import Permanent, Transient
from tidings.domain.reasons import Reason
from tidings.providers.dialling import CONNECT_TIMEOUT, Dialler, SpeaksHttp2, origin_of, tls_context
from tidings.providers.guard import Address, Guard, credentials_refused
from tidings.providers.http import Answer, Failure, Request, parse_url

TTL = 30.0
"""Seconds for which a host's addresses count as checked."""

STALE = 300.0
"""Seconds for which they are still used when the name cannot be looked up. That is safe: the client
connects to the address that was checked, whatever the name says by then."""

HOSTS = 500
"""Hosts whose checked addresses are kept."""


@dataclass(frozen=True, slots=True)
class _Route:
    """A host's checked address, also as text. failing: it did not answer there."""

    address: Address
    text: str
    checked_at: float
    expires_at: float
    failing: bool = False


class GuardedHttp:
    """Calls public addresses and what the operator allows. Redirects are not followed.

    What is connected to is the checked address, never the name, so one that answers the check with one address and
    the connection with another (DNS rebinding) gains nothing. Hosts that were not called for long give way.
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
        # Also shows at start, not at the first webhook, that this machine has certificates.
        self._dialler = Dialler(tls_context(trust), connect_timeout=connect_timeout)
        self._clock = clock
        self._hosts = hosts
        self._routes: OrderedDict[str, _Route] = OrderedDict()
        self._checks: dict[str, asyncio.Task[_Route | Transient | Permanent]] = {}

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
        answer = await self._dialler.send(origin_of(url, route.text), request, url)
        if isinstance(answer, SpeaksHttp2):  # which was not offered
            return Transient(Reason.TLS_FAILED)
        if isinstance(answer, Transient) and self._routes.get(host) is route:
            # The next call looks the name up again, and takes another address if there is one.
            self._routes[host] = replace(route, expires_at=0.0, failing=True)
        return answer

    async def close(self) -> None:
        """Calls in flight end as unknown."""
        for check in self._checks.values():
            check.cancel()
        await asyncio.gather(*self._checks.values(), return_exceptions=True)
        self._dialler.close()
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
            now = self._clock()
            address = _choose(checked, old)
            route = _Route(address, str(address), checked_at=now, expires_at=now + TTL)
        elif isinstance(checked, Transient) and old is not None and self._usable(old):
            route = replace(old, expires_at=self._clock() + TTL / 10)
        else:
            route = checked
        if isinstance(route, _Route):
            self._keep(host, route)
        else:
            self._routes.pop(host, None)
        return route

    def _usable(self, old: _Route) -> bool:
        return self._clock() < old.checked_at + STALE

    def _keep(self, host: str, route: _Route) -> None:
        self._routes[host] = route
        self._routes.move_to_end(host)
        if len(self._routes) > self._hosts:
            self._routes.popitem(last=False)


def _choose(addresses: tuple[Address, ...], old: _Route | None) -> Address:
    """The address in use while it works; after it failed, the one after it."""
    if old is None or old.address not in addresses:
        return addresses[0]
    step = 1 if old.failing else 0
    return addresses[(addresses.index(old.address) + step) % len(addresses)]
