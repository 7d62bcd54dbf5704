"""Liquid: as strict, as safe and as silent about the data as Jinja2, with the same formats and bodies."""

import contextlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markupsafe import escape

from tidings.domain.channels import Channel
from tidings.domain.messages import EmailContent
from tidings.domain.reasons import Reason
from tidings.domain.shared import Shared, SharedVersion
from tidings.domain.templates import Edition
from tidings.rendering.bodies import check_layout, check_partial
from tidings.rendering.compiled import compile_edition
from tidings.rendering.context import context_of
from tidings.rendering.deriving import derived
from tidings.rendering.engine import RenderingError, TemplateSourceError
from tidings.rendering.liquid import LiquidField

texts = st.text(st.characters(codec="utf-8"))


def reader(locale: str = "en") -> dict[str, Any]:
    return {"user_id": "u", "locale": locale, "timezone": "Europe/Berlin"}


def render(
    source: str, data: dict[str, Any] | None = None, *, html: bool = False, locale: str = "en"
) -> str:
    field = LiquidField("email.text", source, html=html)
    return field.render(context_of(data or {}, reader(locale)))


def failure(source: str, data: dict[str, Any] | None = None) -> RenderingError:
    with pytest.raises(RenderingError) as caught:
        render(source, data)
    return caught.value


def mistake(source: str) -> TemplateSourceError:
    with pytest.raises(TemplateSourceError) as caught:
        LiquidField("sms.body", source)
    return caught.value


def edition(content: dict[str, Any], shared: Shared | None = None) -> Edition:
    return Edition(
        name="n",
        category="c",
        on_unknown="resend",
        content={Channel(channel): source for channel, source in content.items()},
        engine="liquid",
        shared=shared or Shared(),
    )


def email(source: dict[str, Any], data: dict[str, Any], shared: Shared | None = None) -> Any:
    rendered = compile_edition("t", edition({"email": source}, shared))[Channel.EMAIL]
    content = rendered(context_of(data, reader()))
    assert isinstance(content, EmailContent)
    return content


@given(texts)
def test_text_survives(name: str) -> None:
    assert render("Dear {{ name }}!", {"name": name}) == f"Dear {name}!"


@given(texts)
def test_html_is_escaped(name: str) -> None:
    for source in ("<b>{{ name }}</b>", "<b>{% capture x %}{{ name }}{% endcapture %}{{ x }}</b>"):
        rendered = render(source, {"name": name}, html=True)
        assert rendered == f"<b>{escape(name)}</b>"


@pytest.mark.parametrize(
    ("source", "data", "expected"),
    [
        ("{% for one in lines %}{{ forloop.index }}{{ one.n }}{% endfor %}", {"lines": [{"n": "a"}]}, "1a"),
        ("{% if there %}yes{% else %}no{% endif %}", {}, "no"),
        ("{{ missing | default: 'friend' }}", {}, "friend"),
        ("{% if user.name == 'Ann' %}yes{% endif %}", {"user": {}}, ""),
        ("{{ partial }}{{ range }}", {"partial": "p", "range": 3}, "p3"),
        ("{{ data.size }}|{{ recipient.locale }}", {"a": 1}, "1|en"),
        ("a\n", {}, "a"),
        ("{% raw %}{# {{ x }}{% endraw %}", {}, "{# {{ x }}"),
        ("{% assign n = 2 | plus: 100000 %}{{ n }}", {}, "100002"),
        ("{% case n %}{% when 1, 2 %}few{% else %}many{% endcase %}", {"n": 2}, "few"),
        ("{{ unsubscribe_url }}{{ brand.name | default: '-' }}", {}, "-"),
        ("{{ s | upcase | append: '!' | replace: 'A', 'B' }}", {"s": "aha"}, "BHB!"),
    ],
)  # fmt: skip
def test_it_is_liquid(source: str, data: dict[str, Any], expected: str) -> None:
    assert render(source, data) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ 1234.5 | number }} {{ 9.5 | money: 'EUR' }}", "1.234,5 9,50\xa0€"),
        ("{{ '2030-01-31T09:30:00Z' | date: 'long' }}", "31. Januar 2030"),
        ("{{ '2030-01-31T09:30:00Z' | time }}", "10:30"),
        ("{{ '2030-01-31T23:30:00Z' | date: '%d.%m.%Y %H' }}", "01.02.2030 00"),
        ("{{ 1 | plural: '# Dinge', one: '# Ding' }}", "1 Ding"),
        ("{{ names | listed }}", "Ann, Bob und Cem"),
    ],
)
def test_the_formats_are_those_of_the_reader(source: str, expected: str) -> None:
    assert render(source, {"names": ["Ann", "Bob", "Cem"]}, locale="de") == expected


@pytest.mark.parametrize(
    ("source", "data", "named"),
    [
        ("x {{ name }}", {}, "'name' is undefined"),
        ("x {{ user.name }}", {"user": {}}, "user.name is undefined"),
        ("{{ name | upcase }}", {}, "'name' is undefined"),
        ("{{ price | money: 'EUR' }}", {}, "'price' is undefined"),
        ("{{ now }}", {}, "'now' is undefined"),
        ("{{ range }}", {}, "'range' is undefined"),
        ("{{ x.__class__ }}", {"x": "a"}, "x.__class__ is undefined"),
        ("{{ x[3].name }}", {"x": []}, "a list has no element at this place"),
    ],
)
def test_what_is_missing_is_named(source: str, data: dict[str, Any], named: str) -> None:
    error = failure(source, data)
    assert (error.reason, error.line) == (Reason.UNDEFINED_VARIABLE, 1)
    assert error.detail == f"email.text: {named}"


def test_a_name_out_of_the_data_is_not_shown() -> None:
    error = failure("\n{{ prices[city] }}", {"prices": {}, "city": "Secretville"})
    assert "Secretville" not in error.detail
    assert error.line == 2
    assert (
        "Secretville" not in failure("{{ x | divided_by: y }}", {"x": 1, "y": "Secretville"}).detail
    )


@pytest.mark.parametrize(
    ("source", "line", "column", "said"),
    [
        ("a\n  {% if %}", 2, 6, "missing expression"),
        ("{{ x | nothing }}", 1, 8, "No filter named 'nothing'."),
        ("{% if x %}{{ y | nothing }}{% endif %}", 1, 18, "No filter named 'nothing'."),
        ("\n{% include 'x' %}", 2, 4, "a template cannot use other templates (include, render)"),
        ("{% render 'x' %}", 1, 4, "a template cannot use other templates (include, render)"),
        ("x {# no #}", 1, 3, "Liquid has no comments"),
        ("{{ x }}{% break %}", 1, 11, "there is no loop around it"),
        ("{% if x %}{% continue %}{% endif %}", 1, 14, "there is no loop around it"),
    ],
)
def test_mistakes_are_told_when_it_is_saved(source: str, line: int, column: int, said: str) -> None:
    error = mistake(source)
    assert (error.path, error.line, error.column) == ("sms.body", line, column)
    assert said in error.message


def test_blocks_are_closed() -> None:
    assert mistake("{% for x in y %}").line == 1
    assert mistake("{% endfor %}").line == 1


programs = st.lists(
    st.sampled_from(
        [
            *("{% if x %}", "{% endif %}", "{% for y in x %}", "{% endfor %}", "{{ y }}", "{{ x.a }}"),
            *("{% assign x = y | split: 'a' %}", "{% capture x %}", "{% endcapture %}", "{% else %}"),
            *("{{ x | first | size }}", "{% cycle 'a', 'b' %}", "{% break %}", "{% raw %}", "text <b>"),
            *("{% case x %}", "{% when 'a' %}", "{% endcase %}", "{% increment x %}", "{% liquid echo x %}"),
            *("{{", "}}", "{%", "%}", "{{ x | date: y }}", "{{ x | sort: 'a' | map: 'b' | join: y }}"),
        ]
    ),
    max_size=8,
).map("".join)  # fmt: skip


@given(programs, st.dictionaries(st.sampled_from(["x", "y"]), st.one_of(texts, st.integers())))
@example("{{ x | date: y }}", {"x": "a", "y": "%-999d"})
def test_whatever_is_written_fails_only_in_our_ways(source: str, data: dict[str, Any]) -> None:
    with contextlib.suppress(TemplateSourceError, RenderingError):
        assert isinstance(render(source, data), str)


def test_bodies_are_converted_around_its_tags() -> None:
    source = {
        "subject": "{{ lines.size }} for {{ name }}",
        "markdown": "# Hello {{ name }}\n\n{% for one in lines %}\n- *{{ one.name }}*\n{% endfor %}\n",
    }
    made = email(source, {"name": "**<Ann>**", "lines": [{"name": "a"}, {"name": "b"}]})
    assert made.subject == "2 for **<Ann>**"
    assert "<h1>Hello **&lt;Ann&gt;**</h1>" in made.html
    assert made.html.count("<li><em>") == 2
    assert made.text == "Hello **<Ann>**\n\n- a\n- b\n"


def test_mjml_and_layouts_and_partials() -> None:
    layout = SharedVersion("layout", "main", 1, {"mjml": _MJML})
    partial = SharedVersion("partial", "bye", 1, {"text": "Bye, {{ name | upcase }}"})
    shared = Shared(layouts={"main": layout}, partials={"bye": partial})
    source = {"subject": "s", "layout": "main", "markdown": "Hi\n\n{% include 'bye' %}"}
    made = email(source, {"name": "Ann"}, shared)
    assert "Bye, ANN" in made.html
    assert "<table" in made.html
    assert "Bye, ANN" in made.text


_MJML = (
    "<mjml><mj-body><mj-section><mj-column>{{ content }}</mj-column></mj-section></mj-body></mjml>"
)


def test_what_is_shared_may_be_in_either_engine() -> None:
    check_partial("{{ name | upcase }}{% unless x %}y{% endunless %}")
    check_partial("{{ name | upper }}{% set x = 1 %}")
    check_layout({"html": "<html><body>{{ content }}{{ brand.name | upcase }}</body></html>"})
    with pytest.raises(TemplateSourceError, match="No filter named 'nothing'"):
        check_partial("{{ name | nothing }}")


def test_the_data_is_derived() -> None:
    source = (
        "{{ name }} {{ order.total | money: 'EUR' }} {{ order.at | date: 'long' }}"
        "{% for line in order.lines %}{{ line.title }}{% if line.note %}{{ line.note }}{% endif %}{% endfor %}"
        "{{ nick | default: name }}{% if vip %}{{ vip.level | plus: 1 }}{% endif %}"
        "{% assign first = order.lines | first %}{{ first.sku }}"
    )
    schema: Any = derived(edition({"sms": {"body": source}}))
    assert schema["required"] == ["name", "order"]
    order = schema["properties"]["order"]
    assert order["required"] == ["at", "lines", "total"]
    lines = order["properties"]["lines"]
    assert lines["type"] == "array"
    assert lines["items"]["required"] == ["sku", "title"]
    assert lines["items"]["properties"].keys() == {"title", "note", "sku"}
    assert order["properties"]["total"]["type"] == ["number", "string"]
    assert schema["properties"].keys() == {"name", "order", "nick", "vip"}
