"""POST /callbacks/{provider}/{account}: what vendors report. The vendor's signature is the key to this door."""

import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from tidings.api.problems import Code, Problem
from tidings.domain.callbacks import RawCallback, Refused
from tidings.store.database import UNAVAILABLE
from tidings.tracking.receiving import CannotFollowError, Receiver

PREFIX = "/callbacks/"


def callback_routes(receiver: Receiver, public_url: str | None) -> list[BaseRoute]:
    """public_url: where vendors reach the API, which signatures of some cover; without it, what the request says."""
    endpoint = _receiving(receiver, public_url)
    methods = ["GET", "POST"]
    return [
        Route(
            "/callbacks/{provider}/{account}", endpoint, methods=methods, include_in_schema=False
        ),
        Route("/callbacks/{provider}", endpoint, methods=methods, include_in_schema=False),
    ]


def _receiving(
    receiver: Receiver, public_url: str | None
) -> Callable[[Request], Awaitable[Response]]:
    async def receive(request: Request) -> Response:
        """Answered once it is stored. Raises Problem."""
        named = request.path_params
        source = receiver.source(named["provider"], named.get("account"))
        if source is None:
            raise Problem(Code.NOT_FOUND, "No account whose vendor calls back is there.")
        raw = RawCallback(
            method=request.method,
            url=_url(request, public_url),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.body(),
            received_at=time.time(),
        )
        try:
            verdict = await receiver.receive(source, raw)
        except (CannotFollowError, *UNAVAILABLE):
            raise Problem(Code.UNAVAILABLE, "Not taken; send it again.") from None
        if isinstance(verdict, Refused):
            raise Problem(Code.CALLBACK_REFUSED, "The callback could not be verified.")
        return PlainTextResponse("ok")

    return receive


def _url(request: Request, public_url: str | None) -> str:
    if public_url is None:
        return str(request.url)
    query = f"?{request.url.query}" if request.url.query else ""
    path = request.scope.get("raw_path", b"").decode("ascii", "replace") or request.url.path
    return f"{public_url}{path}{query}"
