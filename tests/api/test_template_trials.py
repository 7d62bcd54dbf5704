"""Templates tried before they are used: previews, test sends, and the data they take."""

import asyncio
import threading
from typing import Any

import pytest

from tests.api.conftest import Rows
from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code
from tidings.api.routes import shared, template_checks
from tidings.domain.channels import Channel

pytestmark = pytest.mark.anyio

NAME = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
MANY: dict[str, Any] = {
    "content": {"email": {"subject": "Hello {{ name }}", "text": "Hi"}},
    "locales": {"de": {"email": {"subject": "Hallo {{ name }}", "text": "Hallo"}}},
    "variables": NAME,
    "sample": {"name": "Ann"},
}


async def test_a_preview_uses_the_sample_and_says_what_does_not_fit(quiet: System) -> None:
    assert (await quiet.call("POST", "/templates", {"id": "tried", **MANY})).status == 201
    url = "/templates/tried/preview"
    shown = (await quiet.call("POST", url, {"recipient": {"locale": "de-AT"}})).body
    assert shown["rendered"]["email"]["subject"] == "Hallo Ann"
    assert (shown["locales"], shown["misfits"]) == ({"email": "de"}, [])
    wrong = (await quiet.call("POST", url, {"data": {"name": 5}})).body
    assert wrong["rendered"]["email"]["subject"] == "Hello 5"
    assert wrong["misfits"][0]["path"] == "data.name"
    assert wrong["misfits"][0]["message"] == "must be string"
    long = (await quiet.call("POST", url, {"data": {"name": "x" * 60}})).body
    assert [one["code"] for one in long["warnings"]] == ["subject_long"]
    missing = (await quiet.call("POST", url, {"data": {}, "recipient": {"locale": "de"}})).body
    assert missing["errors"]["email"] == {
        "reason": "undefined_variable",
        "detail": "email.subject: 'name' is undefined",
        "origin": None,
        "line": 1,
        "column": 10,
    }


async def test_a_draft_is_sent_as_a_test(system: System) -> None:
    await system.template(MANY["content"], deduplicate_seconds=3_600)
    draft = {
        "content": {"email": {"subject": "Draft for {{ name }}", "text": "Hi"}},
        "variables": NAME,
        "deduplicate_seconds": 3_600,
        "draft": True,
    }
    assert (await system.call("PUT", "/templates/note", draft)).body["version"] == 2
    body = {"version": 2, "data": {"name": "Ann"}, "recipient": {"email": "ann@example.com"}}
    for _ in range(2):  # the second is no repeat of the first
        answer = await system.call("POST", "/templates/note/test", body)
        assert (answer.status, answer.body["version"]) == (202, 2)
        status = await system.settled(answer.body["notification_id"])
        assert (status["status"], status["template_version"]) == ("delivered", 2)
    messages = (await system.call("GET", "/outbox")).body["messages"]
    assert {one["content"]["subject"] for one in messages} == {"Draft for Ann"}
    # and what is sent otherwise is still the published version
    sent = await system.send({"email": "ann@example.com"}, {"name": "Ann"})
    assert (await system.settled(sent))["template_version"] == 1


async def test_a_test_is_refused_as_a_send_is(quiet: System, rows: Rows) -> None:
    await quiet.call("POST", "/templates", {"id": "tested", **MANY, "draft": True})
    before = await rows()
    url = "/templates/tested/test"
    reader = {"recipient": {"email": "ann@example.com"}}
    wrong = await quiet.call("POST", url, {**reader, "data": {}})
    assert_problem(wrong, Code.INVALID_DATA, "data.name")
    nobody = await quiet.call("POST", url, {"recipient": {}})
    assert_problem(nobody, Code.NO_REACHABLE_CHANNEL)
    missing = await quiet.call("POST", url, {**reader, "version": 7})
    assert_problem(missing, Code.NOT_FOUND)
    assert await rows() == before
    assert (await quiet.call("POST", url, reader)).status == 202  # with the sample


async def test_the_data_that_a_version_takes(quiet: System) -> None:
    content = {"sms": {"body": "{{ name }}{% for one in items %}{{ one.price }}{% endfor %}"}}
    await quiet.template(content, "used")
    found = (await quiet.call("GET", "/templates/used/variables")).body
    assert found["declared"] is None
    assert found["derived"]["required"] == ["items", "name"]
    assert found["sample"] == {"items": [{"price": "price"}], "name": "name"}
    # what is derived can be declared as it is, and takes the data that it was derived from
    body = {"content": content, "variables": found["derived"]}
    assert (await quiet.call("PUT", "/templates/used", body)).status == 200
    declared = (await quiet.call("GET", "/templates/used/variables?version=2")).body["declared"]
    assert declared == found["derived"]
    older = (await quiet.call("GET", "/templates/used/variables?version=1")).body
    assert (older["version"], older["declared"]) == (1, None)


async def test_a_digest_is_tried_with_the_data_of_one(system: System) -> None:
    """What is declared is the data of each that is gathered."""
    content = {"email": {"subject": "{{ count }} new: {{ first.name }}", "text": "Hi"}}
    more: dict[str, Any] = {
        "variables": NAME,
        "sample": {"name": "Ann"},
        "digest": {"window": 3_600},
    }
    await system.template(content, **more)
    shown = (await system.call("POST", "/templates/note/preview", {})).body
    assert (shown["rendered"]["email"]["subject"], shown["misfits"]) == ("1 new: Ann", [])
    body = {"recipient": {"email": "ann@example.com", "user_id": "ann"}}
    sent = (await system.call("POST", "/templates/note/test", body)).body
    assert (await system.settled(sent["notification_id"]))["status"] == "delivered"
    wrong = {"content": {"sms": {"body": "{{ first.nmae }}"}}, **more}
    answer = await system.call("PUT", "/templates/note", wrong)
    assert_problem(answer, Code.INVALID_TEMPLATE, "content.sms.body")


@pytest.mark.parametrize("path", ["/templates", "/templates/tried/preview", "/partials/slow"])
async def test_others_are_answered_while_a_template_is_rendered(
    quiet: System, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Were it done on the event loop, what it waits for would never come."""
    await quiet.call("POST", "/templates", {"id": "tried", **MANY})
    others = threading.Event()
    begun = threading.Event()

    def slow(*given: Any) -> dict[Channel, Any]:
        begun.set()
        assert others.wait(20)
        return {}

    monkeypatch.setattr(template_checks, "compile_edition", slow)
    monkeypatch.setattr(shared, "check_partial", slow)
    body = {"/templates": {"id": "slow", **MANY}, "/partials/slow": {"text": "x"}}.get(path, {})
    method = "PUT" if path == "/partials/slow" else "POST"
    rendering = asyncio.create_task(quiet.call(method, path, body))
    assert await asyncio.to_thread(begun.wait, 20)
    assert (await quiet.call("GET", "/templates/tried")).status == 200
    assert not rendering.done()
    others.set()
    assert (await rendering).status in {200, 201}
