"""Partials and layouts are put in where an engine sees a tag, and a mistake in one is told at its own place."""

from collections.abc import Mapping
from types import MappingProxyType

import pytest

from tidings.domain.channels import Channel
from tidings.domain.messages import EmailContent, SmsContent
from tidings.domain.reasons import Reason
from tidings.domain.shared import SharedVersion, shared_of
from tidings.domain.templates import Edition, EngineName
from tidings.rendering.assembling import included
from tidings.rendering.bodies import check_layout
from tidings.rendering.compiled import compile_edition
from tidings.rendering.context import context_of
from tidings.rendering.engine import RenderingError, TemplateSourceError
from tidings.rendering.engines import ENGINES
from tidings.rendering.locating import place_of

READER = {"user_id": "u", "locale": "en", "timezone": None}


def edition(
    engine: EngineName,
    source: Mapping[str, str],
    *,
    channel: Channel = Channel.EMAIL,
    layout: Mapping[str, str] | None = None,
    partials: Mapping[str, str] = MappingProxyType({}),
) -> Edition:
    parts = [SharedVersion("partial", name, 1, {"text": text}) for name, text in partials.items()]
    if layout is not None:
        parts.append(SharedVersion("layout", "main", 1, layout))
        source = {**source, "layout": "main"}
    if channel is Channel.EMAIL:
        source = {"subject": "s", **source}
    return Edition(
        name="t",
        category="c",
        on_unknown="resend",
        content={channel: source},
        shared=shared_of(parts),
        engine=engine,
    )


def sms(engine: EngineName, body: str, **partials: str) -> str:
    made = edition(engine, {"body": body}, channel=Channel.SMS, partials=partials)
    content = compile_edition("t", made)[Channel.SMS](context_of({"n": 1}, READER))
    assert isinstance(content, SmsContent)
    return content.body


SAME = [
    "{% raw %}{% include 'a' %}{% endraw %}",
    "{%- raw -%}{% include 'a' %}{%- endraw -%}",
]
COMMENTS: list[tuple[EngineName, str]] = [
    ("jinja", "{# {% include 'a' %} {{ content }} #}"),
    ("liquid", "{% comment %}{% include 'a' %} {{ content }}{% endcomment %}"),
    ("liquid", "{%- comment -%}{% include 'none' %}{%- endcomment -%}"),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("source", SAME)
def test_what_is_passed_on_as_it_is_includes_nothing(engine: EngineName, source: str) -> None:
    assert sms(engine, f"x{source}{{% include 'a' %}}", a="A") == "x{% include 'a' %}A"
    assert included(source) == set()


@pytest.mark.parametrize(("engine", "source"), COMMENTS)
def test_a_comment_includes_nothing(engine: EngineName, source: str) -> None:
    assert sms(engine, f"x{source}{{% include 'a' %}}", a="A") == "xA"
    assert included(source) == set()


def test_a_text_of_the_template_includes_nothing() -> None:
    assert sms("jinja", """{{ "{% include 'a' %}" }}""", a="A") == "{% include 'a' %}"


@pytest.mark.parametrize(("engine", "source"), COMMENTS)
def test_a_body_goes_where_its_layout_has_a_tag(engine: EngineName, source: str) -> None:
    layout = {"html": f"<html><body>{source}<main>{{{{ content }}}}</main></body></html>"}
    check_layout(layout)
    made = edition(engine, {"html": "<p>{{ n }}</p>"}, layout=layout, partials={"a": "A"})
    content = compile_edition("t", made)[Channel.EMAIL](context_of({"n": 1}, READER))
    assert isinstance(content, EmailContent)
    assert content.html is not None
    assert "<main><p>1</p></main>" in content.html


@pytest.mark.parametrize(
    ("engine", "source"),
    [
        ("jinja", "{{ [missing]|string }}"),
        ("jinja", "{{ [missing] }}"),
        ("jinja", "{{ {'a': missing} }}"),
        ("jinja", "{{ '%r' % missing }}"),
        ("jinja", "{{ [missing]|pprint }}"),
        ("liquid", "{{ missing | plus: 1 }}"),
        ("liquid", "{{ n | plus: missing }}"),
        ("liquid", "{{ n | money: missing }}"),
    ],
)
def test_what_is_missing_is_never_written(engine: EngineName, source: str) -> None:
    field = ENGINES[engine].field("sms.body", source)
    with pytest.raises(RenderingError, match=r"missing'? is undefined") as caught:
        field.render(context_of({"n": 1}, READER))
    assert caught.value.reason is Reason.UNDEFINED_VARIABLE


HTML = {"html": "<html><body>\n{{ content }}\n{% include 'foot' %}</body></html>"}
MJML = {
    "mjml": "<mjml><mj-body><mj-section><mj-column>\n {{ content }}\n"
    "{% include 'foot' %}</mj-column></mj-section></mj-body></mjml>"
}
IN_MJML = "<mj-text>foot</mj-text>"
Place = tuple[str | None, int, int]


def mistake(made: Edition) -> Place:
    with pytest.raises(TemplateSourceError) as caught:
        compile_edition("t", made)
    return caught.value.origin, caught.value.line, caught.value.column


def named(column: int) -> int:
    """Where both engines tell a filter that is not there, of which the tag begins at this column."""
    return column + len("{{ n | ")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("body", "partials", "found"),
    [
        ("a\n{% include 'p' %}\n {{ n | nothing }}", {"p": "1\n2\n3"}, (None, 3, 2)),
        ("a{% include 'p' %}b {{ n | nothing }}", {"p": "1\n2"}, (None, 1, 21)),
        ("a\n{% include 'p' %}", {"p": "1\n  {{ n | nothing }}"}, ("partials.p.text", 2, 3)),
        ("a {% include 'p' %}", {"p": "{{ n | nothing }}"}, ("partials.p.text", 1, 1)),
        (
            "a\n{% include 'p' %}",
            {"p": "x\n{% include 'q' %}", "q": "\n\n {{ n | nothing }}"},
            ("partials.q.text", 3, 2),
        ),
    ],
)
def test_a_mistake_is_told_where_it_was_written(
    engine: EngineName, body: str, partials: dict[str, str], found: Place
) -> None:
    expected = (found[0], found[1], named(found[2]))
    assert (
        mistake(edition(engine, {"body": body}, channel=Channel.SMS, partials=partials)) == expected
    )
    assert mistake(edition(engine, {"text": body}, partials=partials)) == expected
    assert mistake(edition(engine, {"markdown": body}, partials=partials)) == expected
    assert (
        mistake(edition(engine, {"html": body}, layout=HTML, partials={"foot": "f", **partials}))
        == expected
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("kind", "layout"),
    [("html", HTML), ("markdown", HTML), ("html", MJML), ("markdown", MJML), ("mjml", MJML)],
    ids=["html-html", "markdown-html", "html-mjml", "markdown-mjml", "mjml-mjml"],
)
def test_a_mistake_of_a_layout_is_told_at_its_own_place(
    engine: EngineName, kind: str, layout: dict[str, str]
) -> None:
    [(name, text)] = layout.items()
    body = {kind: "<mj-text>{{ n }}</mj-text>" if kind == "mjml" else "{{ n }}"}
    foot = IN_MJML if name == "mjml" else "foot"
    wrong = {name: text.replace("</mj-column>", "</mj-column>\n {{ n | nothing }}")}
    wrong = wrong if wrong != layout else {name: text + "\n {{ n | nothing }}"}
    assert mistake(edition(engine, body, layout=wrong, partials={"foot": foot})) == (
        f"layouts.main.{name}",
        4,
        named(2),
    )
    deep = mistake(
        edition(engine, body, layout=layout, partials={"foot": foot + "\n\n  {{ n | nothing }}"})
    )
    assert deep == ("partials.foot.text", 3, named(3))


@pytest.mark.parametrize("engine", ENGINES)
def test_mistakes_of_mjml_are_told_where_they_were_written(engine: EngineName) -> None:
    def found(body: str, layout: str = MJML["mjml"], foot: str = IN_MJML) -> Place:
        return mistake(
            edition(engine, {"mjml": body}, layout={"mjml": layout}, partials={"foot": foot})
        )

    right = "<mj-text>{{ n }}</mj-text>"
    assert found(right + "\n  <mj-foo />") == (None, 2, 3)
    assert found("<mj-foo />") == (None, 1, 1)
    assert found(right, foot="x\n <mj-foo />") == ("partials.foot.text", 2, 2)
    assert found(right, "<mj-foo />" + MJML["mjml"]) == ("layouts.main.mjml", 1, 1)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_partial_that_is_missing_is_told_where_it_is_named(engine: EngineName) -> None:
    inner = mistake(
        edition(engine, {"text": "{% include 'p' %}"}, partials={"p": "\n {% include 'none' %}"})
    )
    assert inner == ("partials.p.text", 2, 2)
    layout = {"html": "{{ content }}\n{% include 'none' %}"}
    assert mistake(edition(engine, {"html": "x"}, layout=layout)) == ("layouts.main.html", 2, 1)


def failing(made: Edition, channel: Channel = Channel.EMAIL) -> Place | None:
    render = compile_edition("t", made)[channel]
    with pytest.raises(RenderingError) as caught:
        render(context_of({"n": 1}, READER))
    return place_of(made, None, caught.value)


@pytest.mark.parametrize(
    ("body", "partials", "found"),
    [
        ("a\n{% include 'p' %}\n {{ n }} {{ gone }}", {"p": "1\n2\n3"}, (None, 3, 13)),
        ("a {% include 'p' %}", {"p": "1\n  {{ gone }}"}, ("partials.p.text", 2, 6)),
        ("{% include 'p' %}", {"p": "{% include 'q' %}", "q": "{{ gone }}"}, ("partials.q.text", 1, 4)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("engine", ENGINES)
def test_what_does_not_render_is_told_where_it_was_written(
    engine: EngineName, body: str, partials: dict[str, str], found: Place
) -> None:
    texted = edition(engine, {"body": body}, channel=Channel.SMS, partials=partials)
    assert failing(texted, Channel.SMS) == found
    layout, all_parts = HTML, {"foot": "f", **partials}
    for kind in ("text", "markdown", "html"):
        assert failing(edition(engine, {kind: body}, partials=partials)) == found
    for kind in ("markdown", "html"):
        made = edition(engine, {kind: body}, layout=layout, partials=all_parts)
        assert failing(made) == found


@pytest.mark.parametrize("layout", [HTML, MJML], ids=["html", "mjml"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_layout_that_does_not_render_is_told_at_its_own_place(
    engine: EngineName, layout: dict[str, str]
) -> None:
    [(name, text)] = layout.items()
    body = {"markdown": "Hi {{ n }}"}
    foot = IN_MJML if name == "mjml" else "<p>foot</p>"
    wrong = {name: text.replace("{{ content }}", "{{ content }}<!-- -->{{ gone }}")}
    in_layout = failing(edition(engine, body, layout=wrong, partials={"foot": foot}))
    assert in_layout is not None
    assert in_layout[:2] == (f"layouts.main.{name}", 2)
    deep = {"foot": foot.replace("foot", "\n {{ gone }}")}
    assert failing(edition(engine, body, layout=layout, partials=deep)) == (
        "partials.foot.text",
        2,
        5,
    )
