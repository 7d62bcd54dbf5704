"""Where the links and the pixels of messages come to: /t/c/{token} leads on, /t/o/{token}.gif shows nothing."""

import base64

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tidings.domain.tracking import LONGEST_AGENT
from tidings.store.database import UNAVAILABLE
from tidings.tracking.visits import Visits
from tidings.web.languages import texts_for
from tidings.web.looks import Looks

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_HEADERS = {
    "Cache-Control": "no-store",
    # The address that is left is the key to whose it was.
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
}
_AHEAD = ("purpose", "sec-purpose", "x-purpose", "x-moz")


def visit_routes(visits: Visits, name: str) -> list[BaseRoute]:
    """name: who writes to people; stands at the head of the page for a link that does not work."""
    doors = _Doors(visits, Looks(name))
    methods = ["GET"]  # and HEAD with it
    return [
        Route("/t/c/{token}", doors.click, methods=methods, include_in_schema=False),
        Route("/t/o/{token}.gif", doors.open, methods=methods, include_in_schema=False),
    ]


class _Doors:
    def __init__(self, visits: Visits, looks: Looks) -> None:
        self._visits = visits
        self._looks = looks

    async def click(self, request: Request) -> Response:
        texts = texts_for(None, request.headers.get("accept-language", ""))
        try:
            target = await self._visits.clicked(
                request.path_params["token"],
                head=request.method == "HEAD",
                prefetch=_is_ahead(request),
                agent=_agent(request),
            )
        except UNAVAILABLE as error:
            log.warning("database.unavailable", doing="click", error=type(error).__name__)
            return self._looks.page("unavailable.html", texts, status=503)
        if target is None:
            return self._looks.page("invalid.html", texts, status=404)
        return Response(status_code=302, headers={**_HEADERS, "Location": target})

    async def open(self, request: Request) -> Response:
        """Always a picture, so that no message looks broken."""
        try:
            good = await self._visits.opened(
                request.path_params["token"],
                head=request.method == "HEAD",
                prefetch=_is_ahead(request),
                agent=_agent(request),
            )
        except UNAVAILABLE as error:
            log.warning("database.unavailable", doing="open", error=type(error).__name__)
            good = False
        return Response(_GIF, 200 if good else 404, _HEADERS, media_type="image/gif")


def _is_ahead(request: Request) -> bool:
    """Whether it says that nobody looks yet."""
    said = " ".join(request.headers.get(name, "") for name in _AHEAD).lower()
    return "prefetch" in said or "prerender" in said or "preview" in said


def _agent(request: Request) -> str:
    """As PostgreSQL can hold it."""
    return request.headers.get("user-agent", "")[:LONGEST_AGENT].replace("\x00", "")
