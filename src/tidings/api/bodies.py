"""Reading request bodies: strict JSON."""

from typing import Any

import pydantic_core
from fastapi import Request

from tidings.api.problems import Code, Problem


async def read_json(request: Request) -> Any:
    """The body as JSON. Raises Problem for what is not."""
    try:
        # Strict: no NaN, no lone surrogates; whole numbers of any size, so that a later check can
        # refuse those that could only be stored rounded.
        return pydantic_core.from_json(await request.body(), allow_inf_nan=False)
    except ValueError as error:
        raise Problem(Code.MALFORMED_JSON, f"The body is not valid JSON: {error}.") from None
