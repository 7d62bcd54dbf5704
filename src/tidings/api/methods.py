"""The methods that a path has, for the Allow header of a 405 (RFC 9110, 15.5.6)."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.routing import compile_path

Document = Mapping[str, Any]


def methods_of(document: Callable[[], Document]) -> Callable[[str], str]:
    """A function from a path to the value of Allow; empty for a path that is not documented.

    document: gives the OpenAPI document. The router itself would name the methods of one route only,
    where two share a path.
    """

    def allowed(path: str) -> str:
        found = {
            method.upper()
            for template, operations in document()["paths"].items()
            if compile_path(template)[0].fullmatch(path)
            for method in operations
        }
        return ", ".join(sorted(found))

    return allowed
