"""What goes wrong, as RFC 9457 problem details with stable codes."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidings.intake.refusals import Refusal, RefusalCode
from tidings.metrics import Metrics
from tidings.store.database import UNAVAILABLE

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Code(Enum):
    """Every problem that the API answers with: its code, status and title. Documented in
    docs/reference/problems.md."""

    MALFORMED_JSON = "malformed_json", 400, "The body is not JSON"
    INVALID_REQUEST = "invalid_request", 400, "The request is not valid"
    UNKNOWN_TEMPLATE = "unknown_template", 400, "There is no such template"
    INVALID_TEMPLATE = "invalid_template", 400, "The template has a mistake"
    NO_REACHABLE_CHANNEL = "no_reachable_channel", 400, "The recipient cannot be reached"
    ALREADY_EXPIRED = "already_expired", 400, "The notification has already expired"
    TOO_MANY_DELIVERIES = "too_many_deliveries", 400, "The notification has too many addresses"
    INVALID_DATA = "invalid_data", 400, "The data does not fit the template"
    COPIES_NOT_SUPPORTED = "copies_not_supported", 400, "No account can send to cc and bcc"
    ATTACHMENTS_NOT_SUPPORTED = "attachments_not_supported", 400, "No account can send files"
    UNAUTHORIZED = "unauthorized", 401, "No valid API key"
    TOKEN_EXPIRED = "token_expired", 401, "The user's token has expired"
    CALLBACK_REFUSED = "callback_refused", 403, "The callback is not the vendor's"
    FORBIDDEN = "forbidden", 403, "The API key's role does not allow this"
    NOT_FOUND = "not_found", 404, "Not found"
    METHOD_NOT_ALLOWED = "method_not_allowed", 405, "Method not allowed"
    IDEMPOTENCY_CONFLICT = (
        "idempotency_conflict",
        409,
        "The idempotency key was used for something else",
    )
    TEMPLATE_EXISTS = "template_exists", 409, "A template with this id exists"
    NOT_CANCELLABLE = "not_cancellable", 409, "Nothing is left to cancel"
    BATCH_NOT_OPEN = "batch_not_open", 409, "The batch takes no more"
    BATCH_CANCELLED = "batch_cancelled", 409, "The batch was cancelled"
    ATTRIBUTE_IN_USE = "attribute_in_use", 409, "A segment chooses by this attribute"
    NOT_REPLAYABLE = "not_replayable", 409, "The dead letter is not replayed"
    TOO_MANY_SUBSCRIPTIONS = "too_many_subscriptions", 409, "There are too many subscriptions"
    SUBSCRIPTION_DISABLED = "subscription_disabled", 409, "The subscription is disabled"
    SUBSCRIPTION_UNREADABLE = (
        "subscription_unreadable",
        409,
        "What is stored of the subscription cannot be read",
    )
    DIGEST_CLOSED = "digest_closed", 409, "The digest gathers no more"
    STREAM_CONFLICT = "stream_conflict", 409, "Another stream fills this batch"
    BODY_TOO_LARGE = "body_too_large", 413, "The body is too large"
    ATTACHMENTS_TOO_LARGE = "attachments_too_large", 413, "The files are too large together"
    TOO_MANY_STREAMS = "too_many_streams", 429, "The user has too many open streams"
    RECIPIENT_UNREADABLE = (
        "recipient_unreadable",
        500,
        "What is stored of the recipient cannot be read",
    )
    INTERNAL_ERROR = "internal_error", 500, "Something went wrong here"
    NO_ROOM = "no_room", 503, "This process takes no more streams"
    UNAVAILABLE = "unavailable", 503, "The database cannot be reached"

    def __init__(self, code: str, status: int, title: str) -> None:
        self.code = code
        self.status = status
        self.title = title


class FieldError(BaseModel):
    """What is wrong with one field; path is dotted, e.g. recipient.email. In a template, where it is:
    line and column count from 1."""

    path: str
    message: str
    channel: str | None = None
    locale: str | None = None
    line: int | None = None
    column: int | None = None


class ProblemDetails(BaseModel):
    """RFC 9457 problem details. code is stable; detail is for people."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldError] | None = None


class Problem(Exception):
    """Raised by routes, answered by the handlers below."""

    def __init__(
        self,
        code: Code,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = headers

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "type": f"urn:tidings:problem:{self.code.code}",
            "title": self.code.title,
            "status": self.code.status,
            "code": self.code.code,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = [error.model_dump(exclude_none=True) for error in self.errors]
        return document

    def response(self) -> Response:
        return Response(
            orjson.dumps(self.document()),
            self.code.status,
            headers=self.headers,
            media_type="application/problem+json",
        )


_BY_STATUS = {404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED, 413: Code.BODY_TOO_LARGE}
_REFUSALS = {refusal: Code[refusal.name] for refusal in RefusalCode}


def of_refusal(refusal: Refusal, within: str = "") -> Problem:
    """within: what comes before the refused request's own paths, where it is part of another."""
    named = refusal.further or ([(refusal.path, refusal.detail)] if refusal.path else [])
    errors = [FieldError(path=f"{within}{path}", message=message) for path, message in named]
    return Problem(_REFUSALS[refusal.code], refusal.detail, errors)


def of_validation(error: ValidationError | RequestValidationError) -> Problem:
    """Never shows the value: it may be an address or someone's data."""
    errors = [
        FieldError(path=_path(one["loc"]), message=str(one["msg"]).removeprefix("Value error, "))
        for one in error.errors()
    ]
    detail = "; ".join(f"{one.path or 'body'}: {one.message}" for one in errors[:5])
    return Problem(Code.INVALID_REQUEST, detail, errors[:50])


def _of_body(request: Request, error: RequestValidationError) -> Problem | None:
    """The problem of a body that is no JSON at all; None where it is and something in it is wrong."""
    for one in error.errors():
        if one["type"] == "json_invalid":
            why = one["ctx"]["error"]
            return Problem(Code.MALFORMED_JSON, f"The body is not valid JSON: {why}.")
        if tuple(one["loc"]) == ("body",) and one["type"] == "missing":
            return Problem(Code.MALFORMED_JSON, "The body is empty; it must be a JSON object.")
        if tuple(one["loc"]) == ("body",) and not _says_json(request):
            return Problem(Code.MALFORMED_JSON, "Send the header `Content-Type: application/json`.")
    return None


def _says_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind.startswith("application/") and kind.endswith(("/json", "+json"))


def _path(location: Sequence[str | int]) -> str:
    parts = [str(part) for part in location]
    if parts and parts[0] in {"body", "query", "path", "header"}:
        parts = parts[1:]
    return ".".join(parts)


def answering(metrics: Metrics) -> Callable[[Problem], Response]:
    """From a problem to its answer, which is counted."""

    def answer(problem: Problem) -> Response:
        metrics.refused.labels(problem.code.code).inc()
        return problem.response()

    return answer


def install(app: FastAPI, metrics: Metrics, methods: Callable[[str], str]) -> None:
    """Answer every error as a problem. methods: those of a path, as in the header Allow."""
    answer = answering(metrics)

    @app.exception_handler(Problem)
    async def _problem(_: Request, problem: Problem) -> Response:
        return answer(problem)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        return answer(_of_body(request, error) or of_validation(error))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        code = _BY_STATUS.get(error.status_code, Code.INVALID_REQUEST)
        headers = error.headers
        if code is Code.METHOD_NOT_ALLOWED and (allowed := methods(request.url.path)):
            headers = {"Allow": allowed}
        return answer(Problem(code, str(error.detail), headers=headers))

    async def _unavailable(_: Request, error: Exception) -> Response:
        log.warning("database.unavailable", doing="request", error=type(error).__name__)
        return answer(
            Problem(Code.UNAVAILABLE, "Try again in a moment.", headers={"Retry-After": "1"})
        )

    for kind in UNAVAILABLE:
        app.add_exception_handler(kind, _unavailable)

    app.add_middleware(LastResort, answer=answer)


class LastResort:
    """ASGI middleware around all: what nobody handled is logged without its text and answered.

    Starlette's own last resort raises the error again after its answer, and the server then logs the
    text of it, which may hold what was in the request.
    """

    def __init__(self, app: ASGIApp, answer: Callable[[Problem], Response]) -> None:
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            log.info("request.abandoned")
        except Exception as error:  # noqa: BLE001 - the last place where a request's error can be met
            response = last_answer(error, self._answer)
            if not started:
                await response(scope, receive, send)


def last_answer(error: Exception, answer: Callable[[Problem], Response]) -> Response:
    """To an error that nobody handled: it is logged, without its text."""
    frames = traceback.format_tb(error.__traceback__)
    log.error("request.failed", error=type(error).__name__, frames="".join(frames))
    return answer(Problem(Code.INTERNAL_ERROR, "The error was logged."))
