"""What /notifications/send refuses, field by field: the documented problem, and nothing stored."""

import copy
from typing import Any

import orjson
import pytest

from tests.api.conftest import Rows
from tests.api.problem import assert_problem, assert_problem_document
from tests.support.system import System
from tidings.api.problems import Code
from tidings.intake.request import EmailOptions, Recipient, SendRequest

pytestmark = pytest.mark.anyio

GOOD: dict[str, Any] = {
    "template_id": "note",
    "recipient": {"email": "ann@example.com", "user_id": "ann"},
    "data": {"name": "Ann"},
}
LONG = "a" * 5_000
# Wrong in every field that holds one word or name.
NO_NAME: tuple[Any, ...] = (1, 1.5, True, [], {}, ["a"], "", "a" * 256, "a\x00b", "a\nb", "\x7f")
NO_WORD: tuple[Any, ...] = (1, True, [], {}, "", "HIGH ", "none", "a\x00", LONG)
NO_OBJECT: tuple[Any, ...] = (1, "", "{}", True, [], [{}])
NO_TIME: tuple[Any, ...] = (
    *(1700000000, 1700000000.5, -1, True, [], {}, "", "now", "1700000000", "9999999999999", LONG),
    *("2030-01-01", "2030-01-01T00:00:00", "2030-01-01 00:00:00Z", "2030-01-01T00:00Z"),
    *("2030-01-01T00:00:00+0200", "2030-13-01T00:00:00Z", "2030-02-30T00:00:00Z"),
    *("2030-01-01T24:00:00Z", "2030-01-01T00:00:00+24:00", "2030-01-01T00:00:00Z\n"),
    *("1999-12-31T23:59:59Z", "2201-01-01T00:00:00Z", "٢٠٣٠-01-01T00:00:00Z", "P1D", "\x00"),
)

WRONG: dict[str, tuple[Any, ...]] = {
    "template_id": (
        *(None, *NO_NAME),
        *("../etc/passwd", "a b", "ünïcode", "-a", "a/b", "{{ 7*7 }}"),
    ),
    "recipient": (None, *NO_OBJECT),
    "recipient.user_id": (*NO_NAME, "a/b", "/", "a/", ".", ".."),
    "recipient.email": (
        *(
            1,
            True,
            [],
            {},
            "",
            "ann",
            "@example.com",
            "ann@",
            "ann@@example.com",
            "a b@example.com",
        ),
        *("ann@example..com", "ann@example.com\x00", "ann@exam\nple.com", "Ann <ann@example.com>"),
        *("ann@example.com, bob@example.com", LONG + "@example.com", "ann@-example.com"),
        "ann@example.com\r\nBcc: bob@example.com",
    ),
    "email": (1, "", [], "a@example.com"),
    "email.reply_to": (1, [], {}, "", "ann", "Ann <ann@example.com>", "a@b.com, c@d.com", LONG),
    "email.cc": (*(1, "ann@example.com", {}, [f"a{number}@example.com" for number in range(21)]),),
    "email.bcc": (*(None, "ann@example.com", {}, ["ann@example.com"] * 21),),
    "email.attachments": (
        *(1, "invoice.pdf", {}, ["invoice.pdf"], [{}], [{"filename": "a", "content": ""}]),
        [{"filename": "a", "content": "YQ=="}] * 21,
    ),
    "recipient.phone": (
        *(1, 15551234567, True, [], {}, "", "5551234567", "+0123456789", "+1555", "+1" * 20),
        *("+1 555 123 4567", "+15551234567\n", "+१५५५१२३४५६७", "+15551234567\x00", LONG),
    ),
    "recipient.push_tokens": (
        *(1, "token", {}, [1], [None], [""], ["a" * 4_097], ["a\x00"], ["a\n"]),
        *(["a"] * 101,),
    ),
    "recipient.webhook_url": (
        *(1, [], {}, "", "example.com", "ftp://example.com", "javascript:alert(1)", "file:///etc"),
        *("https://", "https://exa mple.com", "https://example.com\n", "https://a\x00", LONG),
        f"https://example.com/{LONG}",
    ),
    "recipient.chat_url": (1, [], {}, "", "a\nb", "a\x00b", LONG),
    "recipient.locale": (1, [], {}, "", "x", "en_", "e n", "en-" + "a" * 9, "en" + "-abcd" * 20),
    "recipient.upsert": (1, "true", [], {}, None),
    "recipient.timezone": (1, [], {}, "", "Europe Berlin", "a" * 65, "Europe/Berlin\x00"),
    "channel_preferences": (
        *(1, "email", {}, [], [1], [None], ["fax"], ["email\x00"], ["EMAIL"], [["email"]]),
        *(["email"] * 7, {"email": True}),
    ),
    "data": NO_OBJECT,
    "priority": NO_WORD,
    "correlation_id": NO_NAME,
    "routing": NO_WORD,
    "send_at": NO_TIME,
    "expires_at": NO_TIME,
    "send_at_local": (
        *(1, True, [], {}, "", "soon", "2026-12-01", "09:00", "2026-12-01T25:00"),
        *("2026-12-01T09:00:00Z", "2026-12-01T09:00+01:00", "1999-01-01T09:00", "2201-01-01T09:00"),
    ),
    "collapse_key": NO_NAME,
    "digest_key": NO_NAME,
    "idempotency_key": NO_NAME,
    "on_unknown": NO_WORD,
    "metadata": (
        *(1, "", [], {"a": 1}, {"a": None}, {"a": {}}, {"a": ["b"]}, {"": "a"}, {"a\x00": "b"}),
        *({"a" * 256: "b"}, {"a": "b" * 1_001}, {str(n): "" for n in range(51)}),
    ),
}
# As bytes, since no JSON library writes them.
MALFORMED: tuple[bytes, ...] = (
    *(b"", b" ", b"{", b"}", b'{"a":}', b"{'a': 1}", b'{"a": 1,}', b"{} {}", b"nul", b"\x00"),
    *(b"\xff\xfe", b"\xef\xbb\xbf{}", b'"\xff"', b'"\xed\xa0\x80"', b'"\t"', b"01", b"<xml/>"),
    *(b"NaN", b"Infinity", b"-Infinity", b'{"a": NaN}', b'{"data": {"a": 1e999}}'),
    *(b'{"data": {"a": -1e999}}', b'"\\ud800"', b'{"data": {"a": "\\udc00"}}', b'{"\\ud83d": 1}'),
    *(b"[" * 100_000, b'{"a":' * 40_000, b"1" * 5_000 + b".0", b"x" * 4_000),
)
UNKEEPABLE: tuple[bytes, ...] = (
    *(b"18446744073709551616", b"-9223372036854775809", b"[[123456789012345678901234567890]]"),
    *(b"[" * 100 + b"]" * 100, b'{"a":' * 100 + b"1" + b"}" * 100),
)


def changed(path: str, value: Any) -> dict[str, Any]:
    body = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    inner = body
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[last] = value
    return body


def test_every_field_has_wrong_values() -> None:
    fields = {*SendRequest.model_fields} | {f"recipient.{name}" for name in Recipient.model_fields}
    fields |= {f"email.{name}" for name in EmailOptions.model_fields}
    assert fields == WRONG.keys()


@pytest.mark.parametrize("path", WRONG)
async def test_wrong_value(quiet: System, rows: Rows, path: str) -> None:
    before = await rows()
    for value in WRONG[path]:
        raw = orjson.dumps(changed(path, value))
        answer = await quiet.call("POST", "/notifications/send", raw=raw)
        assert_problem(answer, Code.INVALID_REQUEST, path)
    assert await rows() == before


@pytest.mark.parametrize("path", WRONG)
async def test_wrong_value_in_bulk_is_that_items_problem(
    quiet: System, rows: Rows, path: str
) -> None:
    before = await rows()
    body = {"notifications": [changed(path, value) for value in WRONG[path]]}
    answer = await quiet.call("POST", "/notifications/bulk", body)
    assert answer.status == 202
    assert [item["index"] for item in answer.body["results"]] == [*range(len(WRONG[path]))]
    for item in answer.body["results"]:
        assert_problem_document(item["problem"], Code.INVALID_REQUEST, path)
    assert await rows() == before


@pytest.mark.parametrize("path", ["surprise", "recipient.surprise", "recipient.user", "Data"])
async def test_unknown_field(quiet: System, rows: Rows, path: str) -> None:
    before = await rows()
    answer = await quiet.call("POST", "/notifications/send", changed(path, "x"))
    assert_problem(answer, Code.INVALID_REQUEST, path)
    assert await rows() == before


@pytest.mark.parametrize("body", [None, True, 1, 1.5, "text", [], [GOOD]], ids=repr)
async def test_body_that_is_no_object(quiet: System, rows: Rows, body: Any) -> None:
    before = await rows()
    for path in ("/notifications/send", "/notifications/bulk"):
        answer = await quiet.call("POST", path, raw=orjson.dumps(body))
        assert_problem(answer, Code.INVALID_REQUEST)
    assert await rows() == before


@pytest.mark.parametrize("raw", MALFORMED, ids=lambda raw: repr(raw[:30]))
async def test_malformed_json(quiet: System, rows: Rows, raw: bytes) -> None:
    before = await rows()
    for path in ("/notifications/send", "/notifications/bulk"):
        assert_problem(await quiet.call("POST", path, raw=raw), Code.MALFORMED_JSON)
    assert await rows() == before


@pytest.mark.parametrize("value", UNKEEPABLE, ids=lambda raw: repr(raw[:30]))
async def test_data_that_could_only_be_kept_changed(
    quiet: System, rows: Rows, value: bytes
) -> None:
    before = await rows()
    raw = b'{"template_id":"note","recipient":{"user_id":"ann"},"data":{"x":%b}}' % value
    for body in (raw, raw[:-1] + b',"idempotency_key":"k"}'):
        answer = await quiet.call("POST", "/notifications/send", raw=body)
        assert_problem(answer, Code.INVALID_REQUEST, "data")
    assert await rows() == before


@pytest.mark.parametrize("missing", ["template_id", "recipient"])
async def test_missing_field(quiet: System, rows: Rows, missing: str) -> None:
    before = await rows()
    body = {name: value for name, value in GOOD.items() if name != missing}
    answer = await quiet.call("POST", "/notifications/send", body)
    assert_problem(answer, Code.INVALID_REQUEST, missing)
    assert await rows() == before


async def test_several_mistakes_are_all_named(quiet: System) -> None:
    body = {**GOOD, "priority": "urgent", "recipient": {"email": "x", "phone": "y"}}
    answer = await quiet.call("POST", "/notifications/send", body)
    for path in ("priority", "recipient.email", "recipient.phone"):
        assert_problem(answer, Code.INVALID_REQUEST, path)


async def test_what_was_wrong_is_not_repeated(quiet: System) -> None:
    """An address or somebody's data must not come back in a message that ends up in a log."""
    for path in ("recipient.email", "recipient.phone", "recipient.webhook_url", "data", "metadata"):
        answer = await quiet.call("POST", "/notifications/send", changed(path, "private-thing"))
        assert_problem(answer, Code.INVALID_REQUEST, path)
        assert "private-thing" not in str(answer.body)


async def test_unknown_template(quiet: System, rows: Rows) -> None:
    before = await rows()
    answer = await quiet.call("POST", "/notifications/send", {**GOOD, "template_id": "nope"})
    assert_problem(answer, Code.UNKNOWN_TEMPLATE, "template_id")
    assert await rows() == before


@pytest.mark.parametrize(
    ("recipient", "channels"),
    [
        ({}, None),
        ({"locale": "en"}, None),
        ({}, ["email"]),
        ({"email": "ann@example.com"}, ["sms", "push"]),
        ({"user_id": "ann"}, ["email"]),
        ({"push_tokens": []}, ["push"]),
    ],
)
async def test_no_reachable_channel(
    quiet: System, rows: Rows, recipient: dict[str, Any], channels: list[str] | None
) -> None:
    before = await rows()
    body = {**GOOD, "recipient": recipient, "channel_preferences": channels}
    answer = await quiet.call("POST", "/notifications/send", body)
    assert_problem(answer, Code.NO_REACHABLE_CHANNEL, "recipient")
    assert await rows() == before


async def test_already_expired(quiet: System, rows: Rows) -> None:
    before = await rows()
    body = {**GOOD, "expires_at": "2020-01-01T00:00:00Z"}
    answer = await quiet.call("POST", "/notifications/send", body)
    assert_problem(answer, Code.ALREADY_EXPIRED, "expires_at")
    assert await rows() == before


async def test_expiry_before_the_time_to_send(quiet: System, rows: Rows) -> None:
    before = await rows()
    times = {"send_at": "2100-01-02T00:00:00Z", "expires_at": "2100-01-01T00:00:00Z"}
    answer = await quiet.call("POST", "/notifications/send", {**GOOD, **times})
    assert_problem(answer, Code.INVALID_REQUEST)
    assert await rows() == before
