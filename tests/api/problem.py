"""What every problem of the API looks like."""

from tests.support.system import Answer
from tidings.api.problems import Code


def assert_problem(answer: Answer, code: Code, path: str | None = None) -> None:
    """RFC 9457 problem details with this code; path: the offending field, which must be named."""
    assert answer.status == code.status, answer.body
    assert answer.headers("content-type") == "application/problem+json"
    assert_problem_document(answer.body, code, path)


def assert_problem_document(document: object, code: Code, path: str | None = None) -> None:
    assert isinstance(document, dict)
    assert {**document, "detail": "", "errors": []} == {
        "type": f"urn:tidings:problem:{code.code}",
        "title": code.title,
        "status": code.status,
        "code": code.code,
        "detail": "",
        "errors": [],
    }
    assert document["detail"]
    if path is not None:
        errors = document.get("errors", [])
        assert any(
            error["path"] == path or error["path"].startswith(f"{path}.") for error in errors
        ), errors
        assert all(error["message"] for error in errors)
