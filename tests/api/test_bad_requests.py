"""What the API refuses besides the fields of a send: bodies, ids, queries, methods, paths, sizes."""

import json
from typing import Any

import pytest

from tests.api.conftest import CONTENT, Rows
from tests.api.problem import assert_problem
from tests.api.raw import exchange, request_bytes
from tests.support.system import System
from tidings.api.problems import Code
from tidings.api.sizes import largest_notification
from tidings.store.api_keys import Role

pytestmark = pytest.mark.anyio

# Every route with a body, and one that it takes.
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/notifications/send"): {"template_id": "note", "recipient": {"user_id": "ann"}},
    ("POST", "/notifications/bulk"): {"notifications": []},
    ("POST", "/templates"): {"id": "fresh", "content": CONTENT},
    ("PUT", "/templates/note"): {"content": CONTENT},
    ("POST", "/templates/note/preview"): {"data": {}},
    ("PUT", "/users/ann/preferences"): {"channels": {}},
}
NO_JSON = (
    *(b"", b"{", b"nul", b"\xff", b'{"a": NaN}', b'{"a": 1e999}', b'{"a": "\\ud800"}'),
    *(b'{"\\udfff": 1}', b'{"a": Infinity}', b"[" * 5_000),
)
HIGHEST = "ffffffff-ffff-ffff-ffff-ffffffffffff"
UNKNOWN_IDS = (HIGHEST, "00000000-0000-0000-0000-000000000000")
NO_IDS = ("1", "x", "0" * 31, "0" * 33, "%00", "%F0%9F%93%A8", "null", "-1", "'%20OR%20''='")


@pytest.mark.parametrize(("method", "path"), BODIES)
async def test_body_that_is_no_json(quiet: System, rows: Rows, method: str, path: str) -> None:
    before = await rows()
    for raw in NO_JSON:
        assert_problem(await quiet.call(method, path, raw=raw), Code.MALFORMED_JSON)
    assert await rows() == before


@pytest.mark.parametrize(("method", "path"), BODIES)
async def test_body_that_is_no_object(quiet: System, rows: Rows, method: str, path: str) -> None:
    before = await rows()
    for raw in (b"null", b"[]", b"1", b'"x"', b"true"):
        assert_problem(await quiet.call(method, path, raw=raw), Code.INVALID_REQUEST)
    assert await rows() == before


@pytest.mark.parametrize(("method", "path"), BODIES)
async def test_unknown_field(quiet: System, rows: Rows, method: str, path: str) -> None:
    before = await rows()
    answer = await quiet.call(method, path, {**BODIES[method, path], "surprise": 1})
    assert_problem(answer, Code.INVALID_REQUEST, None if "bulk" in path else "surprise")
    assert await rows() == before


@pytest.mark.parametrize(("method", "path"), BODIES)
async def test_body_of_a_megabyte(quiet: System, rows: Rows, method: str, path: str) -> None:
    before = await rows()
    api = quiet.settings.api
    size = api.max_bulk_body if "bulk" in path else 2**20
    if path == "/notifications/send":  # which may bring files
        size = largest_notification(api)
    answer = await quiet.call(method, path, raw=b" " * (size + 1))
    assert_problem(answer, Code.BODY_TOO_LARGE)
    assert await rows() == before


LARGE = 16 * 2**20  # more than the sockets' buffers take
CHUNKS = b"".join(b"100000\r\n%b\r\n" % (b" " * 2**20) for _ in range(16)) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("body", "header"),
    [(b" " * LARGE, f"Content-Length: {LARGE}"), (CHUNKS, "Transfer-Encoding: chunked")],
    ids=["declared", "chunked"],
)
async def test_a_large_body_is_read_before_it_is_refused(
    quiet: System, rows: Rows, body: bytes, header: str
) -> None:
    """A client that is cut off while it sends would never see the answer."""
    before = await rows()
    key = quiet.keys[Role.ADMIN]
    answer = await exchange(
        quiet, request_bytes("POST", "/notifications/send", key, body, (header,))
    )
    assert answer.status == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert await rows() == before


async def test_large_body_that_waits_for_leave_to_be_sent(quiet: System) -> None:
    answer = await exchange(
        quiet,
        request_bytes(
            "POST",
            "/notifications/send",
            quiet.keys[Role.ADMIN],
            headers=(f"Content-Length: {2**30}", "Expect: 100-continue"),
        ),
    )
    assert answer.status == 413


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "application"])
async def test_body_that_says_it_is_no_json(quiet: System, rows: Rows, kind: str) -> None:
    before = await rows()
    body = b'{"channels": {"email": true}}'
    head = (
        "PUT /users/ann/preferences HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Authorization: Bearer {quiet.keys[Role.ADMIN]}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    answer = await exchange(quiet, head.encode() + body)
    problem = json.loads(answer.body)
    assert (answer.status, problem["code"]) == (400, "malformed_json")
    assert "Content-Type: application/json" in problem["detail"]
    assert await rows() == before


@pytest.mark.parametrize("unknown", UNKNOWN_IDS)
async def test_unknown_id(quiet: System, rows: Rows, unknown: str) -> None:
    before = await rows()
    for method, path in (
        ("GET", f"/notifications/{unknown}/status"),
        ("POST", f"/notifications/{unknown}/cancel"),
        ("POST", f"/users/ann/inbox/{unknown}/read"),
        ("GET", "/templates/nope"),
        ("GET", "/templates/note?version=2"),
        ("POST", "/templates/nope/preview"),
        ("PUT", "/templates/nope"),
    ):
        body = {"PUT": {"content": CONTENT}, "POST": {}}.get(method)
        assert_problem(await quiet.call(method, path, body), Code.NOT_FOUND)
    assert await rows() == before


@pytest.mark.parametrize("no_id", NO_IDS)
async def test_malformed_id(quiet: System, rows: Rows, no_id: str) -> None:
    before = await rows()
    for method, path, field in (
        ("GET", f"/notifications/{no_id}/status", "notification_id"),
        ("POST", f"/notifications/{no_id}/cancel", "notification_id"),
        ("POST", f"/users/ann/inbox/{no_id}/read", "entry_id"),
        ("GET", f"/notifications?cursor={no_id}", "cursor"),
        ("GET", f"/outbox?cursor={no_id}", "cursor"),
        ("GET", f"/users/ann/inbox?cursor={no_id}", "cursor"),
    ):
        assert_problem(await quiet.call(method, path), Code.INVALID_REQUEST, field)
    assert await rows() == before


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *((f"limit={value}", "limit") for value in ("0", "-1", "201", "x", "", "1e3", "9" * 30)),
        *((f"status={value}", "status") for value in ("", "x", "SENT", "%00")),
        *((f"channel={value}", "channel") for value in ("", "fax", "email%00")),
        *((f"template_id={value}", "template_id") for value in ("", "a%20b", "%00", "a" * 256)),
        *((f"correlation_id={value}", "correlation_id") for value in ("", "%00", "a" * 256)),
        *((f"user_id={value}", "user_id") for value in ("", "%0A", "a" * 256)),
        *((f"recipient={value}", "recipient") for value in ("", "%00", "a" * 4_097)),
        *(
            (f"{name}={value}", name)
            for name in ("since", "until")
            for value in ("", "x", "1700000000", "2030-01-01", "2030-01-01T00:00:00")
        ),
    ],
)
async def test_wrong_query(quiet: System, query: str, field: str) -> None:
    answer = await quiet.call("GET", f"/notifications?{query}")
    assert_problem(answer, Code.INVALID_REQUEST, field)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999-23:59"])
async def test_times_at_the_edge_are_taken(quiet: System, moment: str) -> None:
    for name in ("since", "until"):
        answer = await quiet.call("GET", f"/notifications?{name}={moment}")
        assert answer.status == 200, answer.body


@pytest.mark.parametrize("user_id", ["%00", "a%0Ab", "%7F", "a" * 256])
async def test_wrong_user_id(quiet: System, rows: Rows, user_id: str) -> None:
    before = await rows()
    for method, path in (
        ("GET", f"/users/{user_id}/preferences"),
        ("PUT", f"/users/{user_id}/preferences"),
        ("GET", f"/users/{user_id}/inbox"),
        ("POST", f"/users/{user_id}/inbox/read"),
    ):
        body = {"channels": {"email": True}} if method == "PUT" else None
        assert_problem(await quiet.call(method, path, body), Code.INVALID_REQUEST, "user_id")
    assert await rows() == before


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_method_not_allowed(quiet: System, method: str) -> None:
    answer = await quiet.call(method, "/notifications/send")
    assert_problem(answer, Code.METHOD_NOT_ALLOWED)
    assert answer.headers("allow") == "POST"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/templates", "GET, POST"),
        ("/templates/note", "GET, PUT"),
        ("/users/a%20b/devices", "GET, POST"),
        ("/notifications/x/cancel", "POST"),
        ("/openapi.json", "GET, HEAD"),
    ],
)
async def test_allow_names_every_method(quiet: System, path: str, allowed: str) -> None:
    answer = await quiet.call("PATCH", path)
    assert_problem(answer, Code.METHOD_NOT_ALLOWED)
    assert sorted((answer.headers("allow") or "").split(", ")) == allowed.split(", ")


async def test_head_has_no_body(quiet: System) -> None:
    key = quiet.keys[Role.ADMIN]
    answer = await exchange(quiet, request_bytes("HEAD", "/notifications", key))
    assert answer.status == 405
    assert answer.body == b""


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nope",
        "/notifications/",
        "/notifications/send/",
        "/users/ann/nope",
        "/%00",
        "/templates/a/b",
    ],
)
async def test_unknown_path(quiet: System, path: str) -> None:
    for method in ("GET", "POST"):
        assert_problem(await quiet.call(method, path, role=None), Code.NOT_FOUND)


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"\r\n" * 3 + b"G@T / \r\n\r\n",
    ],
)
async def test_what_is_no_http_harms_nothing(quiet: System, request_line: bytes) -> None:
    assert (await exchange(quiet, request_line)).status == 400
    assert (await quiet.call("GET", "/health/live")).status == 200


PREFERENCES: dict[str, list[Any]] = {
    "channels": [
        *(None, 1, [], "email", {"email": 1}, {"email": "yes"}),
        *({"email": None}, {"fax": True}, {"email\x00": True}),
    ],
    "categories": [
        *(None, 1, [], {"a": True}, {"a b": {}}, {"\x00": {}}, {"": {}}),
        *({"a": {"fax": True}}, {"a" * 101: {}}, {str(number): {} for number in range(501)}),
    ],
}


@pytest.mark.parametrize("field", PREFERENCES)
async def test_wrong_preferences(quiet: System, rows: Rows, field: str) -> None:
    before = await rows()
    for value in PREFERENCES[field]:
        answer = await quiet.call("PUT", "/users/ann/preferences", {field: value})
        assert_problem(answer, Code.INVALID_REQUEST, field)
    assert await rows() == before


TEMPLATES: dict[str, list[Any]] = {
    "id": [None, 1, "", "a b", "../x", "a\x00", "a" * 256, "ü"],
    "name": [1, "", "a\x00", "a\n", "a" * 256],
    "category": [None, 1, "", "a b", "a" * 101, "a\x00"],
    "on_unknown": [None, 1, "", "maybe"],
    "content": [None, 1, [], {}, {"fax": {}}, {"email": None}],
    "content.email": [{}, 1, [], {"subject": "s"}, {"text": "t"}],
    "content.email.subject": [None, 1, "", "a\x00", "a" * 2_001],
    "content.email.text": [1, "", "a\x00", "a" * 200_001],
    "content.email.extra": ["x"],
    "content.webhook.payload": [
        *("a\x00", {"a\x00": 1}, [["\x00"]], 2**64, {"a": [-(2**63) - 1]}),
    ],
}


@pytest.mark.parametrize("path", TEMPLATES)
async def test_wrong_template(quiet: System, rows: Rows, path: str) -> None:
    before = await rows()
    for value in TEMPLATES[path]:
        answer = await quiet.call("POST", "/templates", raw=_template(path, value))
        assert_problem(answer, Code.INVALID_REQUEST, path)
    assert await rows() == before


def _template(path: str, value: Any) -> bytes:
    """A good template with one member changed; orjson would refuse integers over 64 bits."""
    body: dict[str, Any] = {
        "id": "fresh",
        "content": {"email": {"subject": "s", "text": "t"}, "webhook": {}},
    }
    *parents, last = path.split(".")
    inner = body
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return json.dumps(body).encode()
