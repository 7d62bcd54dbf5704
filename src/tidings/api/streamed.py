"""Answers of JSON lines that are sent as they come about."""

from collections.abc import AsyncIterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class StreamedAnswer(Response):
    """Sends each part as it comes, while the request's body is still being read; Starlette's own streaming
    answer may take what comes of the body for itself."""

    media_type = "application/x-ndjson"

    def __init__(self, parts: AsyncIterator[bytes], *, status: int = 202) -> None:
        super().__init__(status_code=status)
        self._parts = parts
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = self.raw_headers
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        async for part in self._parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
