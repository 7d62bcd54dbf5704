"""CORS: pages of other origins may use the routes of users' feeds, and no others."""

import re
from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_FEEDS = re.compile(r"/users/[^/]+/inbox(/.*)?")


class CrossOrigin:
    """ASGI middleware. origins: that are allowed; without any, browsers keep all pages of other origins out."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._app = app
        self._feeds: ASGIApp = app
        if origins:
            self._feeds = CORSMiddleware(
                app,
                allow_origins=origins,
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type", "Last-Event-ID"],
                expose_headers=["Retry-After"],
                max_age=7200,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        of_feeds = scope["type"] == "http" and _FEEDS.fullmatch(scope["path"])
        await (self._feeds if of_feeds else self._app)(scope, receive, send)
