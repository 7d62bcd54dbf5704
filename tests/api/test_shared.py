"""What templates share: put in when a template is stored, kept with its version, renewed when asked for."""

from typing import Any

import pytest

from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code

pytestmark = pytest.mark.anyio

LAYOUT = """<!doctype html><html><head><style>.name { color: {{ brand.color }} }</style></head>
<body><h1 class="name">{{ brand.name }}</h1>
{{ content }}
{% include "footer" %}</body></html>"""


async def share(system: System, *, footer: str = "<p>Bye, {{ name }}</p>") -> None:
    for path, body in (
        ("/partials/footer", {"text": footer}),
        ("/layouts/main", {"html": LAYOUT}),
        ("/brand", {"values": {"name": "Shop & Co", "color": "#123456"}}),
    ):
        answer = await system.call("PUT", path, body)
        assert answer.status == 200, answer.body


async def make(system: System, template_id: str = "hello", **email: str) -> dict[str, Any]:
    source = {
        "subject": "Hi {{ name }}",
        "layout": "main",
        "markdown": "**Hello** {{ name }}",
        **email,
    }
    answer = await system.call(
        "POST", "/templates", {"id": template_id, "content": {"email": source}}
    )
    assert answer.status == 201, answer.body
    created: dict[str, Any] = answer.body
    return created


async def preview(system: System, **data: Any) -> dict[str, Any]:
    answer = await system.call(
        "POST", "/templates/hello/preview", {"data": {"name": "<b>Ada</b>", **data}}
    )
    assert answer.body["errors"] == {}
    rendered: dict[str, Any] = answer.body["rendered"]["email"]
    return rendered


async def test_a_body_goes_into_its_layout_with_partials_and_the_brand(system: System) -> None:
    await share(system)
    created = await make(system)
    assert created["shared"] == {"layout/main": 1, "partial/footer": 1, "brand/brand": 1}
    email = await preview(system)
    assert "Shop &amp; Co</h1>" in email["html"]
    assert "color: #123456" in email["html"].partition("<body")[2]
    assert "<strong>Hello</strong> &lt;b&gt;Ada&lt;/b&gt;" in email["html"]
    assert "<p>Bye, &lt;b&gt;Ada&lt;/b&gt;</p>" in email["html"]
    for words in ("Shop & Co", "Hello <b>Ada</b>", "Bye, <b>Ada</b>"):
        assert words in email["text"]


async def test_a_version_keeps_what_it_was_stored_with_until_it_is_refreshed(
    system: System,
) -> None:
    await share(system)
    await make(system)
    await share(system, footer="<p>See you, {{ name }}</p>")
    assert "Bye" in (await preview(system))["html"]
    outdated = await system.call("GET", "/outdated-templates")
    assert outdated.body == {"templates": [{"template_id": "hello", "parts": ["partial/footer"]}]}

    refreshed = await system.call("POST", "/templates/hello/refresh")
    assert (refreshed.body["version"], refreshed.body["shared"]["partial/footer"]) == (2, 2)
    assert "See you" in (await preview(system))["html"]
    assert (await system.call("GET", "/outdated-templates")).body == {"templates": []}
    again = await system.call("POST", "/templates/hello/refresh")
    assert again.body["version"] == 2


async def test_what_is_sent_is_what_the_version_was_stored_with(system: System) -> None:
    await share(system)
    await make(system)
    recipient = {"email": "ada@example.com"}
    notification_id = await system.send(recipient, {"name": "Ada"}, template_id="hello")
    await system.settled(notification_id)
    [email] = (await system.call("GET", "/outbox")).body["messages"]
    assert "Shop &amp; Co" in str(email)


@pytest.mark.parametrize(
    ("source", "path", "line"),
    [
        ({"layout": "none"}, "content.email.layout", 1),
        ({"markdown": "a\n\n{% include 'none' %}"}, "content.email.markdown", 3),
        ({"markdown": "{{ brand.nothing }}"}, "brand.nothing", None),
    ],
)
async def test_what_is_missing_is_told(
    system: System, source: dict[str, str], path: str, line: int | None
) -> None:
    await share(system)
    email = {"subject": "s", "layout": "main", "markdown": "a", **source}
    answer = await system.call("POST", "/templates", {"id": "hello", "content": {"email": email}})
    assert_problem(answer, Code.INVALID_TEMPLATE, path)
    [error] = answer.body["errors"][:1]
    assert error["path"] == path
    if line is not None:
        assert error["line"] == line


async def test_a_partial_that_includes_itself(system: System) -> None:
    await share(system, footer="{% include 'footer' %}")
    answer = await system.call(
        "POST",
        "/templates",
        {"id": "hello", "content": {"sms": {"body": "{% include 'footer' %}"}}},
    )
    assert_problem(answer, Code.INVALID_TEMPLATE)
    assert "deep" in answer.body["detail"]


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/layouts/main", {"html": "<p>no place</p>"}, "html"),
        ("/layouts/main", {"html": "{{ content }}{{ content }}"}, "html"),
        ("/layouts/main", {"html": "<p>\n{% if %}{{ content }}"}, "html"),
        ("/layouts/main", {"mjml": "<mjml><mj-body>{{ content }}</mjml>"}, "mjml"),
        ("/partials/footer", {"text": "{{ oops"}, "text"),
    ],
)
async def test_mistakes_in_what_is_shared(
    system: System, path: str, body: dict[str, str], where: str
) -> None:
    assert_problem(await system.call("PUT", path, body), Code.INVALID_TEMPLATE, where)


async def test_layouts_are_listed_read_and_removed(system: System) -> None:
    await share(system)
    await make(system)
    [listed] = (await system.call("GET", "/layouts")).body["layouts"]
    assert listed == (await system.call("GET", "/layouts/main")).body
    assert (listed["id"], listed["version"], listed["html"], listed["mjml"]) == (
        "main",
        1,
        LAYOUT,
        None,
    )
    assert (await system.call("DELETE", "/layouts/main")).status == 204
    assert_problem(await system.call("GET", "/layouts/main"), Code.NOT_FOUND)
    assert_problem(await system.call("DELETE", "/layouts/main"), Code.NOT_FOUND)
    assert (await system.call("GET", "/layouts")).body["layouts"] == []
    assert "Shop" in (await preview(system))["html"]
    again = await system.call("PUT", "/layouts/main", {"html": LAYOUT})
    assert again.body["version"] == 3


async def test_a_layout_of_mjml(system: System) -> None:
    mjml = "<mjml><mj-body><mj-section><mj-column>{{ content }}</mj-column></mj-section></mj-body></mjml>"
    await system.call("PUT", "/layouts/main", {"mjml": mjml})
    await make(system)
    html = (await preview(system))["html"]
    assert "<strong>Hello</strong>" in html
    assert "<mj-" not in html
    assert "fonts.googleapis" not in html


async def test_data_of_that_name_goes_before_the_brand(system: System) -> None:
    await share(system)
    await make(system)
    assert "Other" in (await preview(system, brand={"name": "Other", "color": "red"}))["html"]


@pytest.mark.parametrize("engine", ["jinja", "liquid"])
async def test_a_mistake_in_what_is_shared_is_told_at_its_own_place(
    system: System, engine: str
) -> None:
    other = {"jinja": "upcase", "liquid": "upper"}[engine]
    await share(system, footer=f"<p>Bye</p>\n  {{{{ name | {other} }}}}")
    email = {"subject": "s", "layout": "main", "markdown": "a"}
    body = {
        "id": "hello",
        "engine": engine,
        "content": {"email": {"subject": "s", "text": "t"}},
        "locales": {"de": {"email": email}},
    }
    answer = await system.call("POST", "/templates", body)
    assert_problem(answer, Code.INVALID_TEMPLATE, "partials.footer.text")
    [error] = answer.body["errors"]
    told = error["path"], error["channel"], error["locale"], error["line"], error["column"]
    assert told == ("partials.footer.text", "email", "de", 2, 13)
