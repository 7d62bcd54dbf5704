"""A body of JSON lines, read as it comes, in bounded memory."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from fastapi import Request

_WAIT = 0.25


@dataclass(frozen=True, slots=True)
class Line:
    """text: None where it was longer than allowed, and dropped."""

    number: int
    text: bytes | None = field(repr=False)


async def slices(
    request: Request,
    *,
    first: int,
    longest: int,
    most: int,
    most_bytes: int,
    wait: float | None = _WAIT,
) -> AsyncIterator[list[Line]]:
    """The lines, a few at a time: at most `most`, of about `most_bytes` together. Empty lines, too.

    first: the number of the first line. longest: bytes that a line may have. wait: seconds after which those that have
    come are handed on when nothing more comes; None for never.
    """
    splitter = _Splitter(first, longest)
    ready: list[Line] = []
    size = 0
    chunks = request.stream().__aiter__()
    coming = asyncio.ensure_future(anext(chunks, None))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=wait if ready else None)
            if not done:
                yield ready
                ready, size = [], 0
                continue
            chunk = coming.result()
            lines = splitter.end() if chunk is None else splitter.feed(chunk)
            for line in lines:
                ready.append(line)
                size += len(line.text or b"")
                if len(ready) >= most or size >= most_bytes:
                    yield ready
                    ready, size = [], 0
            if chunk is None:
                break
            coming = asyncio.ensure_future(anext(chunks, None))
        if ready:
            yield ready
    finally:
        coming.cancel()


class _Splitter:
    """Cuts chunks into lines, and drops the text of those that are too long as it comes."""

    def __init__(self, first: int, longest: int) -> None:
        self._number = first
        self._longest = longest
        self._begun = bytearray()
        self._dropping = False

    def feed(self, chunk: bytes) -> list[Line]:
        *ended, rest = chunk.split(b"\n")
        lines = [self._line(part) for part in ended]
        self._gather(rest)
        return lines

    def end(self) -> list[Line]:
        return [self._line(b"")] if self._begun or self._dropping else []

    def _gather(self, part: bytes) -> None:
        if not self._dropping:
            self._begun += part
        if len(self._begun) > self._longest:
            self._dropping = True
            self._begun.clear()

    def _line(self, last: bytes) -> Line:
        self._gather(last)
        line = Line(self._number, None if self._dropping else bytes(self._begun))
        self._number += 1
        self._begun.clear()
        self._dropping = False
        return line
