"""POST /notifications/send: the hot path, a plain Starlette route."""

import hashlib
from typing import Any
from uuid import UUID

import orjson
from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from tidings.api.authentication import Permission
from tidings.api.bodies import read_json
from tidings.api.parts import Parts
from tidings.api.problems import Code, FieldError, Problem, of_refusal, of_validation
from tidings.api.rehearsing import Rehearsal, Rehearsed, SendRehearsal, take_dry_run
from tidings.api.sizes import check_size
from tidings.api.verdicts import verdict_of
from tidings.intake.drafting import Draft, Receipt, Submission
from tidings.intake.refusals import Refusal
from tidings.intake.request import SendRequest
from tidings.store.api_keys import ApiKey


async def send(request: Request) -> Response:
    """Accept one notification."""
    parts: Parts = request.app.state.parts
    key = await parts.authentication.require(request, Permission.SEND)
    document = await read_json(request)
    dry_run = False
    if isinstance(document, dict):
        _take_header(request, document)
        dry_run = take_dry_run(document)
    try:
        submission = submission_of(key, document)
    except ValidationError as error:
        raise of_validation(error) from None
    size = len(await request.body())
    if size > parts.settings.max_body or submission.request.email is not None:
        check_size(submission.request.email, size, parts.settings)
    if dry_run:
        return await _rehearsed(parts, key, submission)
    result = await parts.intake.accept(submission)
    if not isinstance(result, Receipt):
        raise of_refusal(result)
    return accepted({"notification_id": str(result.notification_id)})


async def _rehearsed(parts: Parts, key: ApiKey, submission: Submission) -> Response:
    """Raises Problem where the send would."""
    rehearsed = Rehearsed(parts, key)
    [result] = await parts.intake.rehearse([submission])
    if isinstance(result, Refusal):
        raise of_refusal(result)
    rehearsed.add([result])
    deliveries = result.deliveries if isinstance(result, Draft) else ()
    return answered(
        SendRehearsal(**await rehearsed.view(), deliveries=[verdict_of(one) for one in deliveries])
    )


def _take_header(request: Request, document: dict[str, Any]) -> None:
    """The key may come as header or as field. Raises Problem where the two differ."""
    header = request.headers.get("idempotency-key")
    if header is None:
        return
    if not header.isascii():
        raise wrong_key("must be ASCII in the header; send others as the field")
    if document.get("idempotency_key") not in (None, header):
        raise wrong_key("differs from the header Idempotency-Key")
    document["idempotency_key"] = header


def submission_of(key: ApiKey, document: Any, batch_id: UUID | None = None) -> Submission:
    """Raises ValidationError."""
    request = SendRequest.model_validate(document)
    fingerprint = b""
    if request.idempotency_key is not None:
        canonical = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        fingerprint = hashlib.blake2b(canonical, digest_size=16).digest()
    return Submission(key.id, key.number, request, fingerprint, batch_id)


def wrong_key(message: str) -> Problem:
    path = "idempotency_key"
    return Problem(
        Code.INVALID_REQUEST, f"{path}: {message}", [FieldError(path=path, message=message)]
    )


def answered(rehearsal: Rehearsal) -> Response:
    """Nothing was accepted."""
    body = rehearsal.model_dump_json(exclude_none=False)
    return Response(body, 200, media_type="application/json")


def accepted(document: dict[str, Any]) -> Response:
    return Response(orjson.dumps(document), 202, media_type="application/json")
