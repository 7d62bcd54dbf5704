"""The problems that a route may answer with, for the OpenAPI document."""

from typing import Any

from tidings.api.problems import ProblemDetails

# Every route can refuse the request, the key, its role or the moment.
_ALWAYS = (400, 401, 403, 500, 503)
_TEXT = {
    400: "The request is not valid.",
    401: "No valid API key.",
    403: "The key's role does not allow this.",
    404: "Not found.",
    405: "Method not allowed.",
    409: "It conflicts with what is there.",
    413: "The body is too large.",
    429: "Too many at a time; try again later.",
    500: "Something went wrong here; it was logged.",
    503: "The database cannot be reached; try again.",
}
_CONTENT = {
    "application/problem+json": {
        "schema": {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}
    }
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These, and those that every route has."""
    return {
        status: {"description": _TEXT[status], "content": _CONTENT}
        for status in sorted({*_ALWAYS, *statuses})
    }
