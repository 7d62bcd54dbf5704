"""POST /notifications/bulk as JSON lines: any number of notifications in bounded memory, gone on with after
a crash without doubling.

The answer is a stream of JSON lines, too, and comes while the request is still being sent: first the batch and
the line it goes on from, then a line for every slice that is stored, and one for each line that is refused.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import orjson
import structlog
import uuid_utils.compat as uuids
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from tidings.api.parts import Parts
from tidings.api.problems import Code, FieldError, Problem, of_refusal
from tidings.api.routes.line_checks import CheckedLines, LineChecker
from tidings.api.routes.lines import slices
from tidings.api.routes.sending import wrong_key
from tidings.api.routes.stream_rehearsal import rehearse_stream
from tidings.api.routes.targets import named_batch
from tidings.api.sizes import largest_notification
from tidings.api.streamed import StreamedAnswer
from tidings.intake.drafting import Receipt
from tidings.intake.filling import BatchClosedError, IntoStream
from tidings.store import batches
from tidings.store.api_keys import ApiKey
from tidings.store.batches import BatchRow, NewBatch
from tidings.store.database import UNAVAILABLE

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_SLICE_BYTES = 2 * 2**20

Answers = list[dict[str, Any]]


async def stream(request: Request, parts: Parts, key: ApiKey) -> Response:
    """Raises Problem before the answer begins; what goes wrong later is its last line.

    Query: batch_id, an open batch to add to; from_line, the number of the body's first line; ids, whether
    to answer with the id of each notification; seal, whether nothing is added to the batch afterwards; dry_run, whether
    nothing of it is to be stored.
    """
    if _flag(request, "dry_run", default=False):
        return await rehearse_stream(request, parts, key)
    first = _from_line(request)
    named = await named_batch(request, parts, key)
    batch = named or await _batch_of_its_own(request, parts, key)
    if first > batch.lines + 1:
        message = f"the batch goes on with line {batch.lines + 1}"
        raise _wrong("from_line", message)
    seals = _flag(request, "seal", default=named is None)
    run = _Run(parts, key, batch, first, ids=_flag(request, "ids", default=False), seals=seals)
    return StreamedAnswer(run.answers(request))


async def _batch_of_its_own(request: Request, parts: Parts, key: ApiKey) -> BatchRow:
    given = request.headers.get("idempotency-key")
    if given is not None and not (
        1 <= len(given) <= 255 and given.isascii() and given.isprintable()
    ):
        raise wrong_key("must be 1 to 255 printable ASCII characters")
    return await batches.open_by_key(parts.pool, NewBatch(uuids.uuid7(), key.id, key=given))


class _Run:
    """One stream, from its first line to its last."""

    def __init__(
        self, parts: Parts, key: ApiKey, batch: BatchRow, first: int, *, ids: bool, seals: bool
    ) -> None:
        self._parts = parts
        self._key = key
        self._batch = batch
        self._first = first
        self._ids = ids
        self._seals = seals
        self._lines = batch.lines
        self._accepted = 0
        self._refused = 0
        self._checker = LineChecker(key, batch.id, parts.settings, first=first, done=batch.lines)

    async def answers(self, request: Request) -> AsyncIterator[bytes]:
        yield _dump([{"batch_id": str(self._batch.id), "lines": self._lines}])
        try:
            async for stored in self._store_all(request):
                yield _dump(stored)
            if self._seals:
                await batches.seal(self._parts.pool, self._batch.id)
            yield _dump([{**self._progress(), "done": True, "sealed": self._seals}])
        except ClientDisconnect:
            log.info("stream.abandoned", batch_id=str(self._batch.id), lines=self._lines)
        except Problem as problem:
            yield self._broken_off(problem)
        except BatchClosedError:
            yield self._broken_off(await self._why_closed())
        except UNAVAILABLE as error:
            log.warning("database.unavailable", doing="stream", error=type(error).__name__)
            again = "Send the rest again: the batch tells from which line."
            yield self._broken_off(Problem(Code.UNAVAILABLE, again))

    async def _store_all(self, request: Request) -> AsyncIterator[Answers]:
        """While a slice is being stored, the next is read and checked."""
        storing: asyncio.Task[Answers] | None = None
        try:
            async for lines in slices(
                request,
                first=self._first,
                longest=largest_notification(self._parts.settings),
                most=self._parts.intake.largest_batch,
                most_bytes=_SLICE_BYTES,
            ):
                checked = await self._checker.check(lines)
                if storing is not None:
                    yield await storing
                    storing = None
                if checked.last > self._lines:
                    storing = asyncio.create_task(self._store(checked))
            if storing is not None:
                yield await storing
                storing = None
        finally:
            if storing is not None:
                # The caller is gone. What is on its way into the database may get there, or not.
                await asyncio.gather(storing, return_exceptions=True)

    async def _store(self, checked: CheckedLines) -> Answers:
        wrong = Counter(problem.code.code for problem in checked.problems.values())
        into = IntoStream(self._batch.id, self._lines, checked.last, wrong)
        results = await self._parts.intake.accept_many(list(checked.valid.values()), into)
        self._lines = checked.last
        answers = [_refused(number, problem) for number, problem in checked.problems.items()]
        for number, result in zip(checked.valid, results, strict=True):
            if not isinstance(result, Receipt):
                answers.append(_refused(number, of_refusal(result)))
                continue
            self._accepted += 1
            if self._ids:
                answers.append({"line": number, "notification_id": str(result.notification_id)})
        self._refused += len(answers) - (
            sum(1 for one in answers if "notification_id" in one) if self._ids else 0
        )
        return [*sorted(answers, key=lambda one: one["line"]), self._progress()]

    def _progress(self) -> dict[str, Any]:
        return {"lines": self._lines, "accepted": self._accepted, "refused": self._refused}

    async def _why_closed(self) -> Problem:
        row = await batches.find(self._parts.pool, self._batch.id)
        if row is not None and row.open:
            return Problem(Code.STREAM_CONFLICT, f"It goes on with line {row.lines + 1}.")
        return Problem(Code.BATCH_NOT_OPEN, "The batch is sealed or cancelled.")

    def _broken_off(self, problem: Problem) -> bytes:
        return _dump([{**self._progress(), "problem": problem.document()}])


def _refused(number: int, problem: Problem) -> dict[str, Any]:
    return {"line": number, "problem": problem.document()}


def _dump(documents: Answers) -> bytes:
    return b"".join(orjson.dumps(one) + b"\n" for one in documents)


def _from_line(request: Request) -> int:
    given = request.query_params.get("from_line", "1")
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:18]) <= 10**15):
        raise _wrong("from_line", "must be a whole number from 1 on")
    return int(given)


def _flag(request: Request, name: str, *, default: bool) -> bool:
    given = request.query_params.get(name)
    if given not in (None, "true", "false"):
        raise _wrong(name, "must be true or false")
    return default if given is None else given == "true"


def _wrong(path: str, message: str) -> Problem:
    return Problem(
        Code.INVALID_REQUEST, f"{path}: {message}", [FieldError(path=path, message=message)]
    )
