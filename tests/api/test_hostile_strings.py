"""Hostile strings as names, subjects, bodies and keys: they arrive as they are, or are refused clearly."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markupsafe import escape

from tests.api.hostile import HANDWRITTEN, strings
from tests.api.problem import assert_problem, assert_problem_document
from tests.support.system import System
from tidings.api.problems import Code

pytestmark = pytest.mark.anyio

CONTENT = {
    "email": {
        "subject": "For {{ name }} about {{ topic }}.",
        "text": "Dear {{ name }},\n{{ topic }}\n",
        "html": '<p title="{{ topic }}">{{ name }}</p>',
    },
    "webhook": {},
    "in_app": {"title": "{{ topic }}", "body": "{{ name }}"},
}
CHANNELS = ("email", "webhook", "in_app")


@pytest.fixture(scope="module")
async def told(busy: System) -> System:
    await busy.template(CONTENT, "hostile")
    return busy


def items(texts: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "template_id": "hostile",
            "recipient": {
                "user_id": "hostile",
                "email": "ann@example.com",
                "webhook_url": "https://example.com/",
            },
            "data": {"name": text, "topic": text[::-1], text or "empty": [text, {text: text}]},
            "metadata": {"text": text[:1_000]},
        }
        for text in texts
    ]


async def arrived(system: System, texts: Sequence[str]) -> None:
    """Send all and compare what was kept with what was said."""
    answer = await system.call("POST", "/notifications/bulk", {"notifications": items(texts)})
    assert answer.body["accepted"] == len(texts), answer.body
    kept: dict[str, Any] = {}
    statuses = [
        await system.settled(result["notification_id"]) for result in answer.body["results"]
    ]
    wanted = {one["delivery_id"] for status in statuses for one in status["deliveries"]}
    cursor: str | None = ""
    while wanted - kept.keys() and cursor is not None:
        page = (await system.call("GET", f"/outbox?limit=200{cursor}")).body
        kept |= {message["delivery_id"]: message["content"] for message in page["messages"]}
        feed = (await system.call("GET", f"/users/hostile/inbox?limit=200{cursor}")).body
        kept |= {entry["id"]: entry for entry in feed["entries"]}
        following = page["next_cursor"] or feed["next_cursor"]
        cursor = f"&cursor={following}" if following else None
    for text, status, item in zip(texts, statuses, items(texts), strict=True):
        email, webhook, in_app = (
            kept[next(d["delivery_id"] for d in status["deliveries"] if d["channel"] == channel)]
            for channel in CHANNELS
        )
        _compare(text, text[::-1], email, in_app)
        assert webhook["payload"] == item["data"]


def _compare(name: str, topic: str, email: dict[str, Any], in_app: dict[str, Any]) -> None:
    assert email["text"] == f"Dear {name},\n{topic}"
    assert email["html"] == f'<p title="{escape(topic)}">{escape(name)}</p>'
    assert email["subject"] == " ".join(f"For {name} about {topic}.".split())
    assert len(email["subject"].splitlines()) == 1
    assert in_app["body"] == name
    assert in_app["title"] == " ".join(topic.split())


async def test_handwritten(told: System) -> None:
    for start in range(0, len(HANDWRITTEN), 60):
        await arrived(told, HANDWRITTEN[start : start + 60])


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(texts=st.lists(strings, min_size=10, max_size=20))
async def test_made_by_hypothesis(told: System, texts: list[str]) -> None:
    await arrived(told, texts)


NAMED = ("recipient.user_id", "correlation_id", "collapse_key", "idempotency_key")


def _as_user_id(text: str) -> str:
    """What no path can hold is refused there, test_user_ids.py."""
    return f"{text}|" if text in {".", ".."} else text.replace("/", "|")


async def test_as_names_and_keys(told: System) -> None:
    """A name without control characters is kept as it is; every other one is refused, and says where."""
    texts = sorted({text[:300] for text in HANDWRITTEN})
    body = [
        {
            "template_id": "hostile",
            "recipient": {"user_id": _as_user_id(text)},
            "data": {"name": "n", "topic": "t"},
            "correlation_id": text,
            "collapse_key": text,
            "idempotency_key": text,
            "channel_preferences": ["in_app"],
        }
        for text in texts
    ]
    answer = await told.call("POST", "/notifications/bulk", {"notifications": body})
    for text, result in zip(texts, answer.body["results"], strict=True):
        control = any(ord(character) < 32 or character == "\x7f" for character in text)
        if control or not 1 <= len(text) <= 255:
            for path in NAMED:
                assert_problem_document(result["problem"], Code.INVALID_REQUEST, path)
        else:
            status = await told.settled(result["notification_id"])
            assert (status["user_id"], status["correlation_id"]) == (_as_user_id(text), text)
            assert status["status"] == "delivered"


async def test_as_addresses_and_templates(told: System) -> None:
    texts = sorted({text[:300] for text in HANDWRITTEN})
    for name, code in (("email", Code.INVALID_REQUEST), ("phone", Code.INVALID_REQUEST)):
        body = [{"template_id": "hostile", "recipient": {name: text}} for text in texts]
        answer = await told.call("POST", "/notifications/bulk", {"notifications": body})
        for result in answer.body["results"]:
            assert_problem_document(result["problem"], code, f"recipient.{name}")
    body = [{"template_id": text, "recipient": {"user_id": "u"}} for text in texts]
    answer = await told.call("POST", "/notifications/bulk", {"notifications": body})
    for result in answer.body["results"]:
        assert result["problem"]["code"] in {"invalid_request", "unknown_template"}


@pytest.mark.parametrize(
    "raw",
    [
        rb"\ud800",
        rb"\udfff",
        rb"\ud83d",
        rb"a\ud83d b",
        rb"\udc00\ud800",
        b"\xed\xa0\x80",
        b"\xc0\x80",
    ],
)
async def test_halves_of_characters_are_refused(told: System, raw: bytes) -> None:
    body = b'{"template_id":"hostile","recipient":{"user_id":"u"},"data":{"name":"%b"}}' % raw
    answer = await told.call("POST", "/notifications/send", raw=body)
    assert_problem(answer, Code.MALFORMED_JSON)


async def test_it_lives_and_works_after_all_that(told: System) -> None:
    assert (await told.call("GET", "/health/ready")).status == 200
    await arrived(told, ["Ann"])
