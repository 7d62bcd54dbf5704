"""What is found when a template is saved: what would fail later, and what a channel makes of it."""

from typing import Any

import pytest

from tests.api.conftest import Rows
from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code

pytestmark = pytest.mark.anyio

NAME = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
OPTIONAL = {"type": "object", "properties": {"name": {"type": "string"}}}


async def save(system: System, content: dict[str, Any], **more: Any) -> Any:
    """Under any name; the warnings of it."""
    body = {"content": content, **more}
    answer = await system.call("PUT", "/templates/checked", body)
    if answer.status == 404:
        answer = await system.call("POST", "/templates", {"id": "checked", **body})
    return answer


TWO = {
    "type": "object",
    "required": ["name", "n"],
    "properties": {"name": {"type": "string"}, "n": {"type": "number"}},
}
WHEN = {"type": "object", "required": ["at"], "properties": {"at": {"type": "string"}}}
FLAG = {
    "type": "object",
    "required": ["paid", "state"],
    "properties": {"paid": {"type": "boolean"}, "state": {"enum": ["a", "b", "c"]}},
}
ANY = {"type": "object", "required": ["a"], "properties": {"a": {}}}

Place = tuple[str, int | None, int | None]
FAILING: list[tuple[dict[str, Any], dict[str, Any], Place]] = [
    # what the contract does not require is missing one day
    ({"sms": {"body": "a\nDear {{ name }}"}}, {"variables": OPTIONAL}, ("content.sms.body", 2, 9)),
    (
        {"email": {"subject": "{{ nmae }}", "text": "t"}},
        {"variables": NAME},
        ("content.email.subject", 1, 4),
    ),
    (
        {"chat": {"body": "{{ name }}{{ order.total }}"}},
        {"variables": {**NAME, "required": ["name", "order"]}},
        ("content.chat.body", 1, 20),
    ),
    ({"sms": {"body": "{{ a }}\n{{ b }}"}}, {"sample": {"a": 1}}, ("content.sms.body", 2, 4)),
    (
        {"sms": {"body": "{{ price | money('EUR') }}"}},
        {"sample": {"price": "dear"}},
        ("content.sms.body", 1, 12),
    ),
    (
        {"sms": {"body": "{{ name }}"}},
        {"variables": NAME, "locales": {"de": {"sms": {"body": "\n\nHallo {{ nmae }}"}}}},
        ("locales.de.sms.body", 3, 10),
    ),
    (
        {"sms": {"body": "{% for one in rows %}\n  {{ one.nmae }}{% endfor %}"}},
        {"sample": {"rows": [{"name": "a"}]}, "engine": "liquid"},
        ("content.sms.body", 2, 6),
    ),
    (
        {"email": {"subject": "s", "markdown": "*Hi*\n\n{{ one.nmae }}"}},
        {"sample": {"one": {"name": "a"}}, "engine": "liquid"},
        ("content.email.markdown", 3, 8),
    ),
    # a value of the kind that is declared does not fit
    ({"sms": {"body": "a\n{{ name + n }}"}}, {"variables": TWO}, ("content.sms.body", 2, 1)),
    (
        {"chat": {"body": "{% if n > name %}x{% endif %}"}},
        {"variables": TWO, "engine": "liquid"},
        ("content.chat.body", 1, 9),
    ),
    (
        {"sms": {"body": "{% for one in n %}{{ one }}{% endfor %}"}},
        {"variables": TWO},
        ("content.sms.body", 1, 1),
    ),
    (
        {"sms": {"body": "{{ n }} {{ n | listed }}"}},
        {"variables": TWO, "engine": "liquid"},
        ("content.sms.body", 1, 16),
    ),
    # in a branch that other data takes
    (
        {"sms": {"body": "{% if paid %}x{% else %}{{ nmae }}{% endif %}"}},
        {"variables": FLAG},
        ("content.sms.body", 1, 28),
    ),
    (
        {"sms": {"body": "{% if state == 'c' %}{{ nmae }}{% endif %}"}},
        {"variables": FLAG, "engine": "liquid"},
        ("content.sms.body", 1, 25),
    ),
    (
        {
            "sms": {
                "body": "{% for i in range(99999) %}{% for j in range(99999) %}{{ n }}{% endfor %}{% endfor %}"
            }
        },
        {"variables": TWO},
        ("content.sms.body", 1, 1),
    ),
    (
        {"email": {"subject": "s", "text": "t", "reply_to": "nobody"}},
        {},
        ("content.email.reply_to", None, None),
    ),
    (
        {"email": {"subject": "s", "text": "t", "reply_to": "{{ a }}"}},
        {"sample": {"a": "nobody"}},
        ("content.email.reply_to", None, None),
    ),
    (
        {"email": {"subject": "x" * 999, "text": "{{ name }}"}},
        {"variables": NAME},
        ("content.email.subject", None, None),
    ),
    ({"push": {"title": "t", "body": "x" * 5_000}}, {}, ("content.push.body", None, None)),
    ({"sms": {"body": "x" * 2_000}}, {}, ("content.sms.body", None, None)),
    (
        {"email": {"subject": "{{ a }}", "text": "t"}},
        {"sample": {"a": "x" * 999}},
        ("content.email.subject", None, None),
    ),
]


@pytest.mark.parametrize(("content", "more", "place"), FAILING)
async def test_what_would_fail_later_is_refused(
    quiet: System, rows: Rows, content: dict[str, Any], more: dict[str, Any], place: Place
) -> None:
    before = await rows()
    answer = await save(quiet, content, **more)
    path = place[0]
    assert_problem(answer, Code.INVALID_TEMPLATE, path)
    (error,) = answer.body["errors"]
    assert (error["path"], error.get("line"), error.get("column")) == place
    assert error["channel"] == path.split(".")[-2]
    assert error.get("locale") == (path.split(".")[1] if path.startswith("locales") else None)
    assert await rows() == before


@pytest.mark.parametrize(
    "text",
    [
        "{{ name | default('you') }}",
        "{% if name is defined %}{{ name }}{% endif %}",
        "{{ 'x' if name is undefined else name }}",
    ],
)
async def test_what_allows_for_a_missing_variable_is_saved(quiet: System, text: str) -> None:
    answer = await save(quiet, {"sms": {"body": text}}, variables=OPTIONAL)
    assert (answer.status in {200, 201}, answer.body["warnings"]) == (True, [])


MAY_NOT = ("may_not_render", "content.sms.body")
WARNED: list[tuple[dict[str, Any], dict[str, Any], list[tuple[str, str]]]] = [
    (
        {"email": {"subject": "x" * 61, "text": "t"}},
        {},
        [("subject_long", "content.email.subject")],
    ),
    ({"sms": {"body": "x" * 161}}, {}, [("sms_parts", "content.sms.body")]),
    (
        {"sms": {"body": "x" * 70 + "ş"}},
        {},
        [("sms_parts", "content.sms.body"), ("sms_alphabet", "content.sms.body")],
    ),
    (
        {"push": {"title": "t" * 51, "body": "b" * 151}},
        {},
        [("push_title_long", "content.push.title"), ("push_body_long", "content.push.body")],
    ),
    (
        {"in_app": {"title": "t" * 101, "body": "b"}},
        {},
        [("in_app_title_long", "content.in_app.title")],
    ),
    ({"chat": {"body": "b" * 2_001}}, {}, [("chat_long", "content.chat.body")]),
    (
        {"email": {"subject": "s", "html": "x" * 110_000}},
        {},
        [("html_large", "content.email.html")],
    ),
    (
        {"sms": {"body": "hi"}},
        {"locales": {"tr": {"sms": {"body": "ş" * 71}}}},
        [("sms_parts", "locales.tr.sms.body"), ("sms_alphabet", "locales.tr.sms.body")],
    ),
    (
        {"sms": {"body": "{{ text }}"}},
        {"sample": {"text": "x" * 161}},
        [("sms_parts", "content.sms.body")],
    ),
    # an amount is made up where one is needed
    ({"sms": {"body": "{{ a | money('EUR') }}"}}, {}, []),
    ({"sms": {"body": "{{ a | money: 'EUR' }}"}}, {"engine": "liquid"}, []),
    # made-up texts are no dates, and what is declared as anything may be a number
    ({"sms": {"body": "{{ at | date }}"}}, {"variables": WHEN}, [MAY_NOT]),
    (
        {"sms": {"body": "{{ at | date }}"}},
        {"variables": WHEN, "sample": {"at": "2030-01-31"}},
        [MAY_NOT],
    ),
    ({"sms": {"body": "{{ a + 1 }}"}}, {"variables": ANY}, [MAY_NOT]),
    (
        {"email": {"subject": "s", "text": "t", "reply_to": "{{ name }}"}},
        {"variables": NAME},
        [],
    ),
    # nothing is declared: made-up data need not be like the real
    ({"sms": {"body": "{{ a[b] }}"}}, {}, [MAY_NOT]),
]


@pytest.mark.parametrize(("content", "more", "expected"), WARNED)
async def test_what_a_channel_makes_of_it_is_said(
    quiet: System, content: dict[str, Any], more: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    answer = await save(quiet, content, **more)
    assert answer.status in {200, 201}, answer.body
    warnings = answer.body["warnings"]
    assert [(one["code"], one["path"]) for one in warnings] == expected
    for one in warnings:
        assert one["message"]
        assert one["channel"] == one["path"].split(".")[-2]
        assert one["locale"] == ("tr" if one["path"].startswith("locales") else None)


async def test_it_is_told_with_which_data_and_at_which_filter_it_fails(quiet: System) -> None:
    answer = await save(quiet, {"sms": {"body": "{{ at | date }}"}}, variables=WHEN)
    [warning] = answer.body["warnings"]
    assert warning["message"] == (
        "it did not render with data that has all that `variables` tells of: the filter 'date' does not take this value"
        " (ValueError). That may be for its values"
    )
    assert (warning["line"], warning["column"]) == (1, 9)
    items = {"type": "object", "required": ["a"], "properties": {"a": {"type": "array"}}}
    answer = await save(quiet, {"sms": {"body": "{{ a[0] }}"}}, variables=items)
    assert "only what `variables` requires" in answer.body["errors"][0]["message"]
