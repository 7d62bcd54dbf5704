"""What a save would say, asked before anything is stored."""

from typing import Any

import pytest

from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code

pytestmark = pytest.mark.anyio

EMAIL = {"subject": "Hi {{ name }}", "layout": "main", "markdown": "Hello {{ name }}"}
LAYOUT = {"html": "<html><body>{{ content }}{% include 'words' %}{{ brand.name }}</body></html>"}
SHARED: dict[str, Any] = {
    "layouts": {"main": LAYOUT},
    "partials": {"words": {"text": "Bye, {{ name }}"}},
    "brand": {"name": "Shop"},
}


def template(**content: Any) -> dict[str, Any]:
    return {"id": "hello", "content": content, "sample": {"name": "Ann"}}


async def test_nothing_of_what_is_checked_is_stored(system: System) -> None:
    body = {"template": template(email=EMAIL, sms={"body": "x" * 161}), **SHARED}
    proof = await system.call("POST", "/template-checks", body)
    assert proof.status == 200, proof.body
    assert [one["path"] for one in proof.body["warnings"]] == ["content.sms.body"]
    for path in ("/templates/hello", "/layouts/main", "/partials/words"):
        assert (await system.call("GET", path)).status == 404
    assert (await system.call("GET", "/brand")).body["version"] == 0


async def test_what_is_not_given_is_the_servers(system: System) -> None:
    await system.call("PUT", "/partials/words", {"text": "{{ other }}"})
    await system.call("PUT", "/brand", {"values": SHARED["brand"]})
    body = {"template": template(email=EMAIL), "layouts": SHARED["layouts"]}
    refused = await system.call("POST", "/template-checks", body)
    assert_problem(refused, Code.INVALID_TEMPLATE)
    assert "'other' is undefined" in refused.body["detail"]
    body["partials"] = SHARED["partials"]
    assert (await system.call("POST", "/template-checks", body)).status == 200


@pytest.mark.parametrize(
    ("body", "path", "line"),
    [
        ({"layouts": {"main": {"html": "<p>"}}}, "layouts.main.html", 1),
        ({"partials": {"a": {"text": "b\n{% if %}"}}}, "partials.a.text", 2),
        ({"template": template(sms={"body": "a\n{{ x"})}, "content.sms.body", 2),
        ({"template": template(email=EMAIL)}, "content.email.layout", 1),
    ],
)
async def test_mistakes_have_their_place(
    system: System, body: dict[str, Any], path: str, line: int
) -> None:
    answer = await system.call("POST", "/template-checks", body)
    assert_problem(answer, Code.INVALID_TEMPLATE, path)
    assert answer.body["errors"][0]["line"] == line


async def test_what_is_no_template_is_refused(system: System) -> None:
    answer = await system.call("POST", "/template-checks", {"layouts": {"main": {}}})
    assert answer.status == 400
    assert answer.body["errors"][0]["path"].startswith("layouts.main")
