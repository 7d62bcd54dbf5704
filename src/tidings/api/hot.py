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
    methods right. around: the middleware that they need. last_answer: to an error that has no handler.
    """

    def __init__(
        self,
        app: FastAPI,
        endpoints: Mapping[str, Endpoint],
        around: Callable[[ASGIApp], ASGIApp],
        last_answer: Callable[[Exception], Response],
    ) -> None:
        self._app = app
        self._endpoints = endpoints
        self._call_within = around(self._call)
        self._last_answer = last_answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["method"] == "POST"
            and scope["path"] in self._endpoints
        ):
            scope["app"] = self._app
            await self._call_within(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answered(Request(scope, receive, send))
        await response(scope, receive, send)

    async def answer(self, request: Request) -> Response:
        """The answer to a request for one of these paths that is here whole, within its limit. Raises nothing."""
        request.scope["app"] = self._app
        try:
            return await self._answered(request)
        except Exception as error:  # noqa: BLE001 - the last place where it can be met
            return self._last_answer(error)

    async def _answered(self, request: Request) -> Response:
        try:
            return await self._endpoints[request.scope["path"]](request)
        except Exception as error:  # noqa: BLE001 - what has no handler is raised again
            return await self._response_to(request, error)

    async def _response_to(self, request: Request, error: Exception) -> Response:
        """As Starlette finds it: the handler of the nearest class; all of ours are coroutines. Raises what has none."""
        for kind in type(error).__mro__:
            if (handler := self._app.exception_handlers.get(kind)) is not None:
                return await cast("Awaitable[Response]", handler(request, error))
        raise error
