"""Reading request bodies: strict JSON."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
import pydantic_core
from fastapi import Request, Response
from fastapi.routing import APIRoute

from tidings.api.authentication import Require
from tidings.api.feed_access import OwnOr
from tidings.api.problems import Code, Problem


async def read_json(request: Request) -> Any:
    """The body as JSON. Raises Problem for what is not."""
    try:
        return parse(await request.body())
    except ValueError as error:
        raise Problem(Code.MALFORMED_JSON, f"The body is not valid JSON: {error}.") from None


class StrictJson(APIRoute):
    """A FastAPI route that reads its body as strictly as the plain routes do; FastAPI's own reader lets
    NaN and lone surrogates through, which could not be stored. The key is checked before the body is read:
    who may not ask learns nothing of what is wrong with the question."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        guards = [
            one.call for one in self.dependant.dependencies if isinstance(one.call, Require | OwnOr)
        ]

        async def strictly(request: Request) -> Response:
            for guard in guards:
                await guard.check(request)
            return await handle(_StrictRequest(request.scope, request.receive))

        return strictly


class _StrictRequest(Request):
    async def json(self) -> Any:
        try:
            return parse(await self.body())
        except ValueError as error:
            # The one exception that FastAPI takes for "the client's JSON is wrong".
            raise json.JSONDecodeError(str(error), "", 0) from None


def parse(body: bytes) -> Any:
    """Raises ValueError for what is not JSON, for lone surrogates, and for numbers out of range."""
    # Whole numbers stay whole, so that a later check can refuse those that could only be stored rounded.
    document = pydantic_core.from_json(body, allow_inf_nan=False)
    # A number such as 1e999 became infinity above; this parser refuses it, and takes 2 us.
    orjson.loads(body)
    return document
