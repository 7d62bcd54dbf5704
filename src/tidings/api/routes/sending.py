"""POST /notifications/send and /notifications/bulk: the hot path, plain Starlette routes."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from tidings.api.authentication import Permission
from tidings.api.bodies import read_json
from tidings.api.parts import Parts
from tidings.api.problems import Code, FieldError, Problem, of_refusal, of_validation
from tidings.intake.drafting import Receipt, Result, Submission
from tidings.intake.request import SendRequest
from tidings.store.api_keys import ApiKey
from tidings.store.database import UNAVAILABLE

MAX_BULK = 10_000
# Items checked between two turns of the event loop, so that one bulk request does not hold up others.
_SLICE = 100


async def send(request: Request) -> Response:
    """Accept one notification."""
    parts: Parts = request.app.state.parts
    key = await parts.authentication.require(request, Permission.SEND)
    document = await read_json(request)
    if isinstance(document, dict):
        _take_header(request, document)
    try:
        submission = _submission(key, document)
    except ValidationError as error:
        raise of_validation(error) from None
    result = await parts.intake.accept(submission)
    if not isinstance(result, Receipt):
        raise of_refusal(result)
    return _json({"notification_id": str(result.notification_id)})


async def bulk(request: Request) -> Response:
    """Accept many; a result for each, in their order."""
    parts: Parts = request.app.state.parts
    key = await parts.authentication.require(request, Permission.SEND)
    document = await read_json(request)
    items = _items(document)
    if "idempotency-key" in request.headers:
        raise _wrong_key("is a field of each item here, not a header")
    results: list[dict[str, Any]] = []
    for start in range(0, len(items), parts.intake.largest_batch):
        try:
            results += await _accept_slice(parts, key, items, start)
        except UNAVAILABLE:
            if not results:
                raise
            # What is stored is stored: to answer 503 for all would make the caller send it again.
            again = Problem(Code.UNAVAILABLE, "Not stored, as far as is known; send it again.")
            results += [_item_problem(index, again) for index in range(start, len(items))]
            break
    rejected = sum(1 for result in results if "problem" in result)
    return _json({"accepted": len(results) - rejected, "rejected": rejected, "results": results})


def _take_header(request: Request, document: dict[str, Any]) -> None:
    """The key may come as header or as field. Raises Problem where the two differ."""
    header = request.headers.get("idempotency-key")
    if header is None:
        return
    if not header.isascii():
        raise _wrong_key("must be ASCII in the header; send others as the field")
    if document.get("idempotency_key") not in (None, header):
        raise _wrong_key("differs from the header Idempotency-Key")
    document["idempotency_key"] = header


def _items(document: Any) -> Sequence[Any]:
    items = document.get("notifications") if isinstance(document, dict) else None
    if not isinstance(items, list) or len(document) != 1:
        raise _invalid('The body must be {"notifications": [...]} with nothing beside it.')
    if not 1 <= len(items) <= MAX_BULK:
        raise _invalid(f"There must be 1 to {MAX_BULK} notifications, not {len(items)}.")
    return items


async def _accept_slice(
    parts: Parts, key: ApiKey, items: Sequence[Any], start: int
) -> list[dict[str, Any]]:
    """Check and store the items of one transaction; those that are not valid do not spoil the others."""
    results: dict[int, dict[str, Any]] = {}
    valid: dict[int, Submission] = {}
    for index, item in enumerate(items[start : start + parts.intake.largest_batch], start):
        try:
            valid[index] = _submission(key, item)
        except ValidationError as error:
            results[index] = _item_problem(index, of_validation(error))
        if index % _SLICE == 0:
            await asyncio.sleep(0)
    for index, accepted in zip(
        valid, await parts.intake.accept_many(list(valid.values())), strict=True
    ):
        results[index] = _item_result(index, accepted)
    return [results[index] for index in sorted(results)]


def _item_result(index: int, result: Result) -> dict[str, Any]:
    if isinstance(result, Receipt):
        return {"index": index, "notification_id": str(result.notification_id)}
    return _item_problem(index, of_refusal(result))


def _item_problem(index: int, problem: Problem) -> dict[str, Any]:
    return {"index": index, "problem": problem.document()}


def _submission(key: ApiKey, document: Any) -> Submission:
    """Raises ValidationError."""
    request = SendRequest.model_validate(document)
    fingerprint = b""
    if request.idempotency_key is not None:
        canonical = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        fingerprint = hashlib.blake2b(canonical, digest_size=16).digest()
    return Submission(key.id, key.number, request, fingerprint)


def _invalid(message: str) -> Problem:
    return Problem(
        Code.INVALID_REQUEST, message, [FieldError(path="notifications", message=message)]
    )


def _wrong_key(message: str) -> Problem:
    path = "idempotency_key"
    return Problem(
        Code.INVALID_REQUEST, f"{path}: {message}", [FieldError(path=path, message=message)]
    )


def _json(document: dict[str, Any]) -> Response:
    return Response(orjson.dumps(document), 202, media_type="application/json")
