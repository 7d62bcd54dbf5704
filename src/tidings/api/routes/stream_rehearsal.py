"""A dry run of a stream of JSON lines, in bounded memory."""

from collections.abc import AsyncIterator

from fastapi import Request
from starlette.responses import Response

from tidings.api.parts import Parts
from tidings.api.rehearsing import Rehearsed, StreamRehearsal
from tidings.api.routes.line_checks import CheckedLines, LineChecker
from tidings.api.routes.lines import slices
from tidings.api.sizes import largest_notification
from tidings.store.api_keys import ApiKey

_LINES = 10_000
_BYTES = 32 * 2**20


async def rehearse_stream(request: Request, parts: Parts, key: ApiKey) -> Response:
    """What would become of the lines, as one line, when all have come. Up to 10,000 of them are decided together, each after
    those before it; what a line does to one behind these, as its double for instance, is not seen. The first may
    hold defaults, as in a stream that is sent. Raises Problem."""
    found = Rehearsed(parts, key)
    lines = 0
    async for checked in _checked(request, parts, key):
        lines += len(checked.valid) + len(checked.problems)
        for problem in checked.problems.values():
            found.refuse(problem)
        found.add(await parts.intake.rehearse(list(checked.valid.values())))
    rehearsal = StreamRehearsal(**await found.view(), lines=lines)
    return Response(rehearsal.model_dump_json() + "\n", 200, media_type="application/x-ndjson")


async def _checked(request: Request, parts: Parts, key: ApiKey) -> AsyncIterator[CheckedLines]:
    """As many at a time as a transaction takes."""
    longest = largest_notification(parts.settings)
    checker = LineChecker(key, None, parts.settings, first=1, done=0)
    async for some in slices(
        request, first=1, longest=longest, most=_LINES, most_bytes=_BYTES, wait=None
    ):
        yield await checker.check(some)
