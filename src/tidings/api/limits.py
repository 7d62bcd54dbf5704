"""The size of request bodies, limited before they are read into memory."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """ASGI middleware. limits: bytes for some paths; default: for all the others."""

    def __init__(self, app: ASGIApp, default: int, limits: dict[str, int]) -> None:
        self._app = app
        self._default = default
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limits.get(scope["path"], self._default)
        declared = next(
            (value for name, value in scope["headers"] if name == b"content-length"), b""
        )
        refused = declared.isdigit() and int(declared) > limit
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            # Raised from within the route, where the problem handlers catch it.
            if refused:
                raise _too_large(limit)
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _too_large(limit)
            return message

        await self._app(scope, limited, send)


def _too_large(limit: int) -> HTTPException:
    return HTTPException(
        413, f"The body may have at most {limit} bytes.", headers={"Connection": "close"}
    )
