"""Calls with a token that is renewed: put into each request, and made anew once where it is refused."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from tidings.domain.outcomes import Transient
from tidings.domain.reasons import Reason
from tidings.providers.http import Answer, Failure, Http, Request


class Tokens(Protocol):
    """Where tokens come from."""

    async def token(self, seconds: float, refused: str | None = None) -> str | Transient:
        """One that can be used now; why there is none after so many seconds. refused: not this one; the same all
        the same where there is no newer one yet."""
        ...


class BearingHttp:
    """Http with an `authorization: bearer …`. expired: an answer by which the server did nothing but refuse the token,
    so that the request is made again with a new one, once. scheme: as the server writes it."""

    def __init__(
        self,
        http: Http,
        tokens: Tokens,
        expired: Callable[[Answer], bool],
        scheme: str = "Bearer",
    ) -> None:
        self._http = http
        self._tokens = tokens
        self._expired = expired
        self._scheme = scheme

    async def send(self, request: Request) -> Answer | Failure:
        clock = asyncio.get_running_loop().time
        ends = clock() + request.timeout
        token = await self._tokens.token(request.timeout)
        if isinstance(token, Transient):
            return token
        answer = await self._http.send(self._bearing(request, token, ends - clock()))
        if not isinstance(answer, Answer) or not self._expired(answer):
            return answer
        newer = await self._tokens.token(ends - clock(), refused=token)
        if isinstance(newer, Transient):
            return newer
        if newer == token:
            return answer
        return await self._http.send(self._bearing(request, newer, ends - clock()))

    async def close(self) -> None:
        """Nothing of its own to close."""

    def _bearing(self, request: Request, token: str, left: float) -> Request:
        headers = {**request.headers, "authorization": f"{self._scheme} {token}"}
        return replace(request, headers=headers, timeout=max(left, 0.001))


NO_TIME = Transient(Reason.PROVIDER_UNAVAILABLE, detail="no token in time")
