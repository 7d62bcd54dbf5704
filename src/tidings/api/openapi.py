"""The OpenAPI document of the hot routes, which FastAPI does not see."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field, StrictBool
from pydantic.json_schema import models_json_schema

from tidings.api.problems import ProblemDetails
from tidings.api.rehearsing import BulkRehearsal, SendRehearsal
from tidings.api.responses import problems
from tidings.api.routes.bulk import MAX_BULK
from tidings.intake.request import SendRequest, Wire

_SECURITY: list[dict[str, list[str]]] = [{"API key": []}]
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body give the same notification.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}
_BATCH = {
    "name": "batch_id",
    "in": "query",
    "required": False,
    "description": "An open batch to add to; without it, the request makes one.",
    "schema": {"type": "string", "format": "uuid"},
}
EXAMPLE = {
    "template_id": "welcome_email",
    "recipient": {
        "email": "john.doe@example.com",
        "phone": "+15551234567",
        "user_id": "user-abc-123",
    },
    "channel_preferences": ["email", "push"],
    "data": {
        "user_name": "John Doe",
        "app_name": "My Awesome App",
        "login_link": "https://myapp.com/login",
    },
    "priority": "high",
    "correlation_id": "order-12345",
}


class Accepted(BaseModel):
    notification_id: UUID


class SendBody(SendRequest):
    """One notification to one recipient. dry_run: nothing is stored or sent; the answer, with 200, tells what would
    be."""

    dry_run: StrictBool = False


class BulkRequest(Wire):
    """dry_run: as of a single one, for all of them."""

    notifications: list[SendRequest] = Field(min_length=1, max_length=MAX_BULK)
    dry_run: StrictBool = False


class BulkItem(BaseModel):
    """notification_id, or the problem of this item."""

    index: int
    notification_id: UUID | None = None
    problem: ProblemDetails | None = None


class BulkResult(BaseModel):
    """batch_id: null where nothing was accepted."""

    batch_id: UUID | None
    accepted: int
    rejected: int
    results: list[BulkItem]


def describe_sending(document: dict[str, Any]) -> dict[str, Any]:
    """Add the two routes and the models they speak of."""
    models = (
        SendBody,
        BulkRequest,
        Accepted,
        BulkResult,
        SendRehearsal,
        BulkRehearsal,
        ProblemDetails,
    )
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    document.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
    for path in document["paths"].values():
        for operation in path.values():
            # The first sentence of a route's docstring says more than the name of its function.
            if description := operation.get("description"):
                operation["summary"] = description.partition(". ")[0].rstrip(".")
    document["paths"] = {
        "/notifications/send": {
            "post": _operation(
                "Accept one notification",
                "send",
                SendBody,
                (Accepted, SendRehearsal),
                EXAMPLE,
                [_KEY],
            )
        },
        "/notifications/bulk": {
            "post": _operation(
                "Accept up to 10,000 notifications, with a result for each; as JSON lines, any number",
                "bulk",
                BulkRequest,
                (BulkResult, BulkRehearsal),
                {"notifications": [EXAMPLE]},
                [_BATCH],
                404,
            )
        },
        **document["paths"],
    }
    return document


def _operation(
    summary: str,
    name: str,
    request: type[BaseModel],
    answers: tuple[type[BaseModel], type[BaseModel]],
    example: dict[str, Any],
    parameters: list[dict[str, Any]],
    *statuses: int,
) -> dict[str, Any]:
    answer, rehearsal = answers
    refused = {
        str(status): described for status, described in problems(409, 413, *statuses).items()
    }
    return {
        "tags": ["notifications"],
        "summary": summary,
        "operationId": name,
        "security": _SECURITY,
        "parameters": parameters,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _ref(request), "example": example}},
        },
        "responses": {
            "200": {
                "description": "A dry run: nothing was stored.",
                "content": {"application/json": {"schema": _ref(rehearsal)}},
            },
            "202": {
                "description": "Accepted: stored, and never lost.",
                "content": {"application/json": {"schema": _ref(answer)}},
            },
            **refused,
        },
    }


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
