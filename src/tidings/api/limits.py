"""The size of request bodies, limited before they are read into memory."""

from collections.abc import Collection, Mapping

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A client that is still sending when the connection is closed may never see the answer. So what is
# refused is read and dropped first, up to so many bytes.
_DROPPED = 64 * 2**20


class BodyLimit:
    """ASGI middleware. limits: bytes for some paths, and for all below those that end with a slash; default: for
    the others. streams: paths that read
    their body as it comes, when it is of one of these types, and limit its lines."""

    def __init__(
        self,
        app: ASGIApp,
        default: int,
        limits: dict[str, int],
        streams: Mapping[str, Collection[bytes]],
    ) -> None:
        self._app = app
        self._default = default
        self._limits = limits
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._streamed(scope):
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        declared = _header(scope, b"content-length")
        refused = declared.isdigit() and int(declared) > limit
        # Such a client waits for our word before it sends, so there is nothing to drop.
        waits = _header(scope, b"expect").lower() == b"100-continue"
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            # Raised from within the route, where the problem handlers catch it.
            if refused:
                if not waits:
                    await _drop(receive)
                raise _too_large(limit)
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                if message.get("more_body", False):
                    await _drop(receive)
                raise _too_large(limit)
            return message

        await self._app(scope, limited, send)

    def _limit(self, path: str) -> int:
        if (found := self._limits.get(path)) is not None:
            return found
        first, _, _ = path[1:].partition("/")
        return self._limits.get(f"/{first}/", self._default)

    def _streamed(self, scope: Scope) -> bool:
        kinds = self._streams.get(scope["path"], ())
        return media_type(_header(scope, b"content-type")) in kinds


def media_type(header: bytes) -> bytes:
    """The type that a Content-Type names, without its parameters."""
    return header.partition(b";")[0].strip().lower()


def _header(scope: Scope, wanted: bytes) -> bytes:
    return next((value for name, value in scope["headers"] if name == wanted), b"")


async def _drop(receive: Receive) -> None:
    dropped = 0
    while dropped < _DROPPED:
        message = await receive()
        dropped += len(message.get("body", b""))
        if not message.get("more_body", False):
            return


def _too_large(limit: int) -> HTTPException:
    return HTTPException(
        413, f"The body may have at most {limit} bytes.", headers={"Connection": "close"}
    )
