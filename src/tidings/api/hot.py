"""Routes that are called so often that the framework around them would cost more than they do themselves."""

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Endpoint = Callable[[Request], Awaitable[Response]]


class HotRoutes:
    """ASGI: answers these paths to POST itself, with the app's own handlers of errors, and hands on all else.

    endpoints: plain Starlette endpoints by path; they are the app's routes too, which keeps its answers to other
    methods right. around: the middleware that they need.
    """

    def __init__(
        self,
        app: FastAPI,
        endpoints: Mapping[str, Endpoint],
        around: Callable[[ASGIApp], ASGIApp],
    ) -> None:
        self._app = app
        self._endpoints = endpoints
        self._answer = around(self._call)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["method"] == "POST"
            and scope["path"] in self._endpoints
        ):
            scope["app"] = self._app
            await self._answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        try:
            response = await self._endpoints[scope["path"]](request)
        except Exception as error:  # noqa: BLE001 - what has no handler is raised again
            response = await self._response_to(request, error)
        await response(scope, receive, send)

    async def _response_to(self, request: Request, error: Exception) -> Response:
        """As Starlette finds it: the handler of the nearest class; all of ours are coroutines. Raises what has none."""
        for kind in type(error).__mro__:
            if (handler := self._app.exception_handlers.get(kind)) is not None:
                return await cast("Awaitable[Response]", handler(request, error))
        raise error
