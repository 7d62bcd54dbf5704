"""POST /notifications/bulk: many in one request, and a batch that they make or add to."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
import structlog
import uuid_utils.compat as uuids
from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from tidings.api.authentication import Permission
from tidings.api.bodies import parse
from tidings.api.limits import media_type
from tidings.api.parts import Parts
from tidings.api.problems import Code, FieldError, Problem, of_refusal, of_validation
from tidings.api.rehearsing import BulkRehearsal, Rehearsed, take_dry_run
from tidings.api.routes.sending import accepted, answered, submission_of, wrong_key
from tidings.api.routes.streaming import stream
from tidings.api.routes.targets import named_batch
from tidings.api.sizes import check_size, largest_notification
from tidings.api.verdicts import verdict_of
from tidings.intake.drafting import Draft, Receipt, Result, Submission
from tidings.intake.filling import BatchClosedError, IntoNew, IntoOpen
from tidings.store import batches, notifications
from tidings.store.api_keys import ApiKey
from tidings.store.batches import NewBatch
from tidings.store.database import UNAVAILABLE

log: structlog.stdlib.BoundLogger = structlog.get_logger()

NDJSON = b"application/x-ndjson"
MAX_BULK = 10_000
# Items checked between two turns of the event loop, so that one bulk request does not hold up others.
_SLICE = 100


async def bulk(request: Request) -> Response:
    """Accept many; a result for each, in their order. As JSON, or streamed as JSON lines."""
    parts: Parts = request.app.state.parts
    key = await parts.authentication.require(request, Permission.SEND)
    if media_type(request.headers.get("content-type", "").encode("latin-1")) == NDJSON:
        return await stream(request, parts, key)
    body = await request.body()
    document = _parsed(body)
    dry_run = isinstance(document, dict) and take_dry_run(document)
    items = _items(document)
    if "idempotency-key" in request.headers:
        raise wrong_key("is a field of each item here, not a header")
    # What is small as a whole has no item that is too large.
    large = len(body) > parts.settings.max_body
    filling = await _Fill.of(request, parts, key, len(items))
    if dry_run:
        return await filling.rehearsed(items, large=large)
    results = await filling.accept_all(items, large=large)
    rejected = sum(1 for result in results if "problem" in result)
    batch_id = await filling.end(results)
    return accepted(
        {
            "batch_id": batch_id and str(batch_id),
            "accepted": len(results) - rejected,
            "rejected": rejected,
            "results": results,
        }
    )


class _Fill:
    """One request's notifications on their way into a batch: its own, or one that is open."""

    def __init__(
        self, parts: Parts, key: ApiKey, batch_id: UUID, *, own: bool, whole: bool
    ) -> None:
        self._parts = parts
        self._key = key
        self._batch_id = batch_id
        self._own = own
        self._whole = whole
        self._made = not own

    @classmethod
    async def of(cls, request: Request, parts: Parts, key: ApiKey, count: int) -> "_Fill":
        """Raises Problem for a batch that is not open, or not this key's."""
        named = await named_batch(request, parts, key)
        whole = count <= parts.intake.largest_batch
        if named is None:
            return cls(parts, key, uuids.uuid7(), own=True, whole=whole)
        if not named.open:
            raise Problem(Code.BATCH_NOT_OPEN, "The batch is sealed or cancelled.")
        return cls(parts, key, named.id, own=False, whole=whole)

    async def accept_all(self, items: Sequence[Any], *, large: bool) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = []
        for start in range(0, len(items), self._parts.intake.largest_batch):
            try:
                results += await self._accept_slice(items, start, large=large)
            except BatchClosedError:
                closed = Problem(Code.BATCH_NOT_OPEN, "The batch was sealed or cancelled.")
                results += [_item_problem(index, closed) for index in range(start, len(items))]
                break
            except UNAVAILABLE:
                if not results:
                    raise
                # What is stored is stored: to answer 503 for all would make the caller send it again.
                again = Problem(Code.UNAVAILABLE, "Not stored, as far as is known; send it again.")
                results += [_item_problem(index, again) for index in range(start, len(items))]
                break
        return results

    async def rehearsed(self, items: Sequence[Any], *, large: bool) -> Response:
        """What would become of them, of each after those before it."""
        rehearsed = Rehearsed(self._parts, self._key)
        valid, wrong = await self._valid(items, 0, large=large)
        found = await self._parts.intake.rehearse(list(valid.values()))
        rehearsed.add(found)
        for problem in wrong.values():
            rehearsed.refuse(problem)
        results = {index: _rehearsed(index, one) for index, one in zip(valid, found, strict=True)}
        results |= {index: _item_problem(index, problem) for index, problem in wrong.items()}
        in_order = [results[index] for index in sorted(results)]
        view = await rehearsed.view()
        return answered(BulkRehearsal.model_validate({**view, "results": in_order}))

    async def end(self, results: Sequence[dict[str, Any]]) -> UUID | None:
        """Seal a batch of its own. Its id; that of an earlier request, where all of this one repeats it."""
        if self._made:
            if self._own and not self._whole:
                await self._seal()
            return self._batch_id
        repeated = next((one["notification_id"] for one in results if "problem" not in one), None)
        if repeated is None:
            return None
        return await notifications.batch_of(self._parts.pool, UUID(repeated))

    async def _seal(self) -> None:
        try:
            await batches.seal(self._parts.pool, self._batch_id)
        except UNAVAILABLE as error:
            # What is stored is stored; whoever follows the batch can seal it.
            log.warning("batch.not_sealed", error=type(error).__name__)

    async def _accept_slice(
        self, items: Sequence[Any], start: int, *, large: bool
    ) -> list[dict[str, Any]]:
        """Check and store the items of one transaction; those that are not valid do not spoil the others."""
        own = items[start : start + self._parts.intake.largest_batch]
        valid, wrong = await self._valid(own, start, large=large)
        results = {index: _item_problem(index, problem) for index, problem in wrong.items()}
        stored = await self._store(list(valid.values()))
        for index, result in zip(valid, stored, strict=True):
            results[index] = _item_result(index, result)
        return [results[index] for index in sorted(results)]

    async def _valid(
        self, items: Sequence[Any], start: int, *, large: bool
    ) -> tuple[dict[int, Submission], dict[int, Problem]]:
        """By their index, which counts from `start`: those that are valid, and what is wrong with the others."""
        valid: dict[int, Submission] = {}
        wrong: dict[int, Problem] = {}
        for index, item in enumerate(items, start):
            try:
                valid[index] = self._checked(item, large=large)
            except ValidationError as error:
                wrong[index] = of_validation(error)
            except Problem as problem:
                wrong[index] = problem
            if index % _SLICE == 0:
                await asyncio.sleep(0)
        return valid, wrong

    def _checked(self, item: Any, *, large: bool) -> Submission:
        """large: it may be larger than allowed. Raises ValidationError, Problem."""
        settings = self._parts.settings
        size = len(orjson.dumps(item)) if large else 0
        if size > (most := largest_notification(settings)):
            raise Problem(Code.BODY_TOO_LARGE, f"An item may have at most {most} bytes.")
        submission = submission_of(self._key, item, self._batch_id)
        if size > settings.max_body or submission.request.email is not None:
            check_size(submission.request.email, size, settings, "An item")
        return submission

    async def _store(self, submissions: Sequence[Submission]) -> list[Result]:
        if not submissions:
            return []
        if self._made and self._own:
            return await self._parts.intake.accept_many(submissions)
        if not self._own:
            return await self._parts.intake.accept_many(submissions, IntoOpen(self._batch_id))
        new = NewBatch(self._batch_id, self._key.id, sealed=self._whole)
        stored = await self._parts.intake.accept_many(submissions, IntoNew(new))
        self._made = any(isinstance(one, Receipt) and not one.repeated for one in stored)
        return stored


def _parsed(body: bytes) -> Any:
    try:
        return parse(body)
    except ValueError as error:
        raise Problem(Code.MALFORMED_JSON, f"The body is not valid JSON: {error}.") from None


def _items(document: Any) -> Sequence[Any]:
    items = document.get("notifications") if isinstance(document, dict) else None
    if not isinstance(items, list) or len(document) != 1:
        raise _invalid('The body must be {"notifications": [...]} with nothing beside it.')
    if not 1 <= len(items) <= MAX_BULK:
        raise _invalid(f"There must be 1 to {MAX_BULK} notifications, not {len(items)}.")
    return items


def _item_result(index: int, result: Result) -> dict[str, Any]:
    if isinstance(result, Receipt):
        return {"index": index, "notification_id": str(result.notification_id)}
    return _item_problem(index, of_refusal(result))


def _rehearsed(index: int, result: Draft | Result) -> dict[str, Any]:
    if isinstance(result, Draft):
        return {"index": index, "deliveries": [verdict_of(one) for one in result.deliveries]}
    return _item_result(index, result)


def _item_problem(index: int, problem: Problem) -> dict[str, Any]:
    return {"index": index, "problem": problem.document()}


def _invalid(message: str) -> Problem:
    return Problem(
        Code.INVALID_REQUEST, message, [FieldError(path="notifications", message=message)]
    )
