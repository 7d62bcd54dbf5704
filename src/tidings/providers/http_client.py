"""The HTTP client that providers share."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from pyreqwest.client import Client
from pyreqwest.http import Url

from tidings.domain.outcomes import Transient
from tidings.domain.reasons import Reason
from tidings.providers import multiplexed
from tidings.providers.dialling import (
    CONNECT_TIMEOUT,
    IDLE,
    Dialler,
    Origin,
    SpeaksHttp2,
    origin_of,
    tls_context,
)
from tidings.providers.http import Answer, Failure, Request, parse_url


class HttpClient:
    """Calls servers that the operator configured: no outbound guard. Redirects are not followed.

    HTTP/2 where a server offers it, many calls over one connection; else HTTP/1.1, with connections that are kept.
    connect_timeout: seconds. trust: certificates (PEM) trusted beside those of the system.
    Raises HttpSetupError.
    """

    def __init__(
        self, *, connect_timeout: float = CONNECT_TIMEOUT, trust: Sequence[bytes] = ()
    ) -> None:
        self._connect_timeout = connect_timeout
        self._trust = tuple(trust)
        self._dialler = Dialler(
            tls_context(trust, protocols=("h2", "http/1.1")), connect_timeout=connect_timeout
        )
        self._multiplexed: dict[Origin, Client] = {}
        self._known: set[Origin] = set()
        self._asking: dict[Origin, asyncio.Lock] = {}
        self._trusting: list[HttpClient] = []

    def trusting(self, certificates: Sequence[bytes]) -> "HttpClient":
        """One that also trusts these certificates (PEM), and is closed with this one. Raises HttpSetupError."""
        made = HttpClient(
            connect_timeout=self._connect_timeout, trust=(*self._trust, *certificates)
        )
        self._trusting.append(made)
        return made

    async def send(self, request: Request) -> Answer | Failure:
        url = parse_url(request.url)
        if not isinstance(url, Url):
            return url
        origin = origin_of(url)
        if origin.scheme == "http" or origin in self._known:
            return await self._send(origin, request, url)
        return await self._ask(origin, request, url)

    async def close(self) -> None:
        """Calls in flight end as unknown."""
        self._dialler.close()
        for client in self._multiplexed.values():
            await client.close()
        for other in self._trusting:
            await other.close()

    async def _ask(self, origin: Origin, request: Request, url: Url) -> Answer | Failure:
        """The first call tells what the server speaks; the others wait for it, not to open a connection each, and then go side
        by side. Waiting is part of their time: a server that cannot be reached keeps each no longer than that."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + request.timeout
        turn = self._asking.setdefault(origin, asyncio.Lock())
        try:
            async with asyncio.timeout_at(ends):
                await turn.acquire()
        except TimeoutError:
            return Transient(Reason.CONNECTION_FAILED, detail="time-out while connecting")
        try:
            request = replace(request, timeout=max(ends - loop.time(), 0.001))
            if origin not in self._known:
                answer = await self._send(origin, request, url)
                if isinstance(answer, Answer):
                    self._known.add(origin)
                return answer
        finally:
            turn.release()
        return await self._send(origin, request, url)

    async def _send(self, origin: Origin, request: Request, url: Url) -> Answer | Failure:
        client = self._multiplexed.get(origin)
        if client is None:
            answer = await self._dialler.send(origin, request, url)
            if not isinstance(answer, SpeaksHttp2):
                return answer
            client = self._client(origin)
        return await multiplexed.exchange(client, request, url)

    def _client(self, origin: Origin) -> Client:
        """One for each server, as a server that stops to offer HTTP/2 would concern no other."""
        if origin not in self._multiplexed:
            self._multiplexed[origin] = multiplexed.new_client(
                connect_timeout=self._connect_timeout, idle=IDLE, trust=self._trust
            )
        return self._multiplexed[origin]
