"""Who may look at the pages: people and programs of this machine, but no page from elsewhere in their browsers."""

import ipaddress

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_ELSEWHERE = frozenset({"cross-site", "same-site"})


class Visitors:
    """ASGI middleware. host: what the sandbox listens on.

    A page from elsewhere could have a browser send requests here (https://www.w3.org/TR/fetch-metadata/), or read
    what was sent by a name of its own that leads to this machine (DNS rebinding). Neither is answered. Who listens on
    other addresses than this machine's may be called by any name.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._local = _is_local(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_welcome(Headers(scope=scope), scope["path"]):
            refusal = PlainTextResponse("The sandbox does not answer pages from elsewhere.", 403)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_welcome(self, headers: Headers, path: str) -> bool:
        if self._local and not _is_local(_name(headers.get("host", ""))):
            return False
        if headers.get("sec-fetch-site") not in _ELSEWHERE:
            return True
        # A link that leads to the page is followed.
        return path == "/" and headers.get("sec-fetch-mode") == "navigate"


def _name(host: str) -> str:
    """Without its port."""
    return host.partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _is_local(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, 6.3
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
