"""What any engine promises: strict, sandboxed, escaping, and silent about the data. What is one engine's alone is in
test_jinja.py and test_liquid.py."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markupsafe import escape

from tidings.domain.reasons import Reason
from tidings.domain.templates import EngineName
from tidings.rendering.context import context_of
from tidings.rendering.engine import Field, RenderingError, TemplateSourceError
from tidings.rendering.engines import ENGINES

texts = st.text(st.characters(codec="utf-8"))
RECIPIENT = {"user_id": "u", "locale": "en", "timezone": "UTC"}
BOTH: tuple[EngineName, ...] = ("jinja", "liquid")
each_engine = pytest.mark.parametrize("engine", ENGINES)


def field(engine: EngineName, source: str, *, html: bool = False) -> Field:
    return ENGINES[engine].field("email.text", source, html=html)


def render(
    engine: EngineName, source: str, data: dict[str, Any] | None = None, *, html: bool = False
) -> str:
    return field(engine, source, html=html).render(context_of(data or {}, RECIPIENT))


def failure(engine: EngineName, source: str, data: dict[str, Any] | None = None) -> RenderingError:
    with pytest.raises(RenderingError) as caught:
        render(engine, source, data)
    return caught.value


def test_these_are_all_engines() -> None:
    assert set(ENGINES) == set(BOTH)


@each_engine
@given(name=texts)
def test_text_survives(engine: EngineName, name: str) -> None:
    assert render(engine, "Dear {{ name }}!", {"name": name}) == f"Dear {name}!"


@each_engine
@given(name=texts)
def test_html_is_escaped(engine: EngineName, name: str) -> None:
    rendered = render(engine, "<b>{{ name }}</b>", {"name": name}, html=True)
    assert rendered == f"<b>{escape(name)}</b>"
    assert not set(rendered[3:-4]) & set("<>\"'")


@each_engine
@given(name=texts)
def test_html_is_escaped_after_filters_and_in_loops(engine: EngineName, name: str) -> None:
    upper = {"jinja": "upper", "liquid": "upcase"}[engine]
    source = f"{{% for one in names %}}<i>{{{{ one | {upper} }}}}</i>{{% endfor %}}"
    rendered = render(engine, source, {"names": [name, name]}, html=True)
    assert rendered == f"<i>{escape(name.upper())}</i>" * 2


@each_engine
@given(name=texts)
def test_data_is_never_read_as_a_template(engine: EngineName, name: str) -> None:
    for value in (name, "{{ 7*7 }}", "{{ 7 | times: 7 }}", "{% raw %}", "{{ self }}", "{# #}"):
        assert render(engine, "{{ name }}", {"name": value}) == value


@each_engine
@given(name=texts)
@example(name="Ann\r\nBcc: x@example.com\u2028\x85\x0b\x0c\x1cY")
def test_one_line(engine: EngineName, name: str) -> None:
    subject = ENGINES[engine].field("email.subject", "Hi\n {{ name }} !\r\n")
    line = subject.line(context_of({"name": name}, RECIPIENT))
    assert len(line.splitlines()) == 1
    assert line == " ".join(f"Hi {name} !".split())


@each_engine
def test_names_that_are_also_methods(engine: EngineName) -> None:
    order = {"items": ["a", "b"], "keys": "k", "values": 1, "get": "g"}
    source = "{{ order.items | join: '' }} {{ order.keys }} {{ order.values }} {{ order.get }}"
    source = source if engine == "liquid" else source.replace("join: ''", "join")
    assert render(engine, source, {"order": order}) == "ab k 1 g"
    assert render(engine, "{% for i in data.items %}{{ i }}{% endfor %}", order) == "ab"


@each_engine
def test_what_a_template_sees(engine: EngineName) -> None:
    data = {"name": "Ann", "data": "mine", "recipient": "mine too"}
    assert render(engine, "{{ name }}", data) == "Ann"
    assert render(engine, "{{ data.name }} {{ data.data }}", data) == "Ann mine"
    seen = render(engine, "{{ recipient.user_id }} {{ data.recipient }}", data)
    assert seen == "u mine too"
    assert render(engine, "{{ data['order id'] }}", {"order id": 7}) == "7"


MISSING: list[tuple[EngineName, str, str]] = [
    *((engine, "{{ user_name }}", "'user_name' is undefined") for engine in BOTH),
    *((engine, "{% for a in b %}{{ missing }}{% endfor %}", "'missing' is undefined") for engine in BOTH),
    *((engine, "{{ missing | date }}", "'missing' is undefined") for engine in BOTH),
    *((engine, "{{ missing | relative }}", "'missing' is undefined") for engine in BOTH),
    *((engine, "{% for a in missing %}{% endfor %}", "'missing' is undefined") for engine in BOTH),
    ("jinja", "{{ order.id }}", "'dict object' has no attribute 'id'"),
    ("liquid", "{{ order.id }}", "order.id is undefined"),
    ("jinja", "{{ order['number'] }}", "'dict object' has no attribute 'number'"),
    ("liquid", "{{ order['number'] }}", "order.number is undefined"),
    ("jinja", "{{ order.lines[3] }}", "list object has no element 3"),
    ("liquid", "{{ order.lines[3] }}", "a list has no element at this place"),
    ("jinja", "{{ name.first }}", "'str object' has no attribute 'first'"),
    ("jinja", "{{ order.a.b }}", "'dict object' has no attribute 'a'"),
    ("liquid", "{{ order.a.b }}", "order.a is undefined"),
    ("jinja", "{% if missing %}x{% endif %}", "'missing' is undefined"),
    ("jinja", "{{ missing + 1 }}", "'missing' is undefined"),
    ("liquid", "{{ missing | plus: 1 }}", "'missing' is undefined"),
    ("jinja", "{{ missing | upper }}", "'missing' is undefined"),
    ("liquid", "{{ missing | upcase }}", "'missing' is undefined"),
    ("jinja", "{{ missing | money('EUR') }}", "'missing' is undefined"),
    ("liquid", "{{ missing | money: 'EUR' }}", "'missing' is undefined"),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "source", "named"), MISSING)
def test_an_undefined_variable_is_named(engine: EngineName, source: str, named: str) -> None:
    error = failure(engine, source, {"order": {"lines": []}, "name": "Ann", "b": [1]})
    assert error.reason is Reason.UNDEFINED_VARIABLE
    assert error.detail == f"email.text: {named}"
    assert error.line == 1


@each_engine
def test_a_name_out_of_the_data_is_not_shown(engine: EngineName) -> None:
    data = {"prices": {}, "rows": [], "city": "secret@example.com", "number": 4_711}
    for source in ("{{ prices[city] }}", "{{ prices[city].x }}", "{{ rows[number] }}"):
        error = failure(engine, source, data)
        assert error.reason is Reason.UNDEFINED_VARIABLE
        assert "secret" not in error.detail
        assert "4711" not in error.detail


ALLOWED: list[tuple[EngineName, str, str]] = [
    ("jinja", "{{ nickname | default('you') }}", "you"),
    ("liquid", "{{ nickname | default: 'you' }}", "you"),
    ("jinja", "{% if nickname is defined %}x{% else %}y{% endif %}", "y"),
    ("liquid", "{% if nickname %}x{% else %}y{% endif %}", "y"),
    ("liquid", "{% unless nickname %}x{% endunless %}", "x"),
]


@pytest.mark.parametrize(("engine", "source", "expected"), ALLOWED)
def test_undefined_can_be_allowed_for(engine: EngineName, source: str, expected: str) -> None:
    assert render(engine, source) == expected


@pytest.mark.parametrize(
    ("engine", "statement"),
    [
        *(("jinja", one) for one in ("include 'a'", "extends 'a'", "import 'a' as b", "from 'a' import b")),
        *(("liquid", one) for one in ("include 'a'", "render 'a'", "include name")),
    ],
)  # fmt: skip
def test_other_templates_are_refused(engine: EngineName, statement: str) -> None:
    with pytest.raises(TemplateSourceError, match="cannot use other templates") as caught:
        ENGINES[engine].field("sms.body", f"a\nb\n{{% {statement} %}}")
    assert (caught.value.path, caught.value.line) == ("sms.body", 3)


WRONG: list[tuple[EngineName, str]] = [
    *((engine, source) for engine in BOTH for source in ("{{", "{% for %}", "{% if x %}", "{% nosuch %}", "{% endif %}", "{{ x | nofilter }}")),
    *(("jinja", source) for source in (
        "{{ 1 + }}",
        "{{ x is notest }}",
        "{% block a %}{% endblock %}{% block a %}{% endblock %}",
        "{% for a in b %}" * 30 + "{% endfor %}" * 30,
        "{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}",
        "{{ " + "-" * 20_000 + "1 }}",
        "{{ 10 ** 5000 }}",
        "{% if 0 %}{{ 1 | nofilter }}{% endif %}",
        "{{ 1 / 0 }}",
        "{{ 'x' * 10 ** 9 }}",
        "{% for i in range(100000) %}0123456789{% endfor %}!",
    )),
    *(("liquid", source) for source in (
        "{{ x | }}",
        "{{ x y }}",
        "{% if false %}{{ 1 | nofilter }}{% endif %}",
        "{{ 1 | divided_by: 0 }}",
        "{% for i in (1..100000) %}0123456789{% endfor %}!",
        "{% for a in b %}" * 2_000 + "{% endfor %}" * 2_000,
        "{{ x | append: " + "x[" * 2_000 + "1" + "]" * 2_000 + " }}",
    )),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "source"), WRONG, ids=lambda one: one[:30])
def test_what_does_not_compile(engine: EngineName, source: str) -> None:
    with pytest.raises(TemplateSourceError) as caught:
        ENGINES[engine].field("email.html", source, html=True)
    assert caught.value.line >= 1
    assert caught.value.message


FAILING: list[tuple[EngineName, str, str]] = [
    ("jinja", "{{ name + number }}", "TypeError"),
    ("liquid", "{% if name > number %}{% endif %}", "LiquidTypeError"),
    ("jinja", "{{ 1 / zero }}", "ZeroDivisionError"),
    ("liquid", "{{ 1 | divided_by: zero }}", "the filter 'divided_by' does not take this value (FilterArgumentError)"),
    ("jinja", "{{ name | money('EUR') }}", "the filter 'money' does not take this value (ValueError)"),
    ("liquid", "{{ name | money: 'EUR' }}", "the filter 'money' does not take this value (ValueError)"),
    ("jinja", "{{ name | date(name) }}", "the filter 'date' does not take this value (ValueError)"),
    ("liquid", "{{ name | date: name }}", "the filter 'date' does not take this value (ValueError)"),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "source", "said"), FAILING)
def test_a_failure_says_only_what_kind_it_is(engine: EngineName, source: str, said: str) -> None:
    error = failure(engine, f"\n{source}", {"name": "secret", "number": 1, "zero": 0})
    assert (error.reason, error.detail) == (Reason.RENDERING_FAILED, f"email.text: {said}")
    assert error.line == 2


@each_engine
def test_text_without_braces_is_left_alone(engine: EngineName) -> None:
    assert render(engine, "100 % <b> $x \\n\n!") == "100 % <b> $x \\n\n!"


@each_engine
@given(source=st.text(st.sampled_from("{}%#- \n'\"a|().[]1:,=<"), max_size=30))
def test_any_source_compiles_or_says_where_not(engine: EngineName, source: str) -> None:
    result: TemplateSourceError | RenderingError | str
    try:
        made = ENGINES[engine].field("sms.body", source)
        result = made.render(context_of({"a": "b"}, RECIPIENT))
    except (TemplateSourceError, RenderingError) as error:
        result = error
    if isinstance(result, TemplateSourceError):
        assert result.path == "sms.body"
        assert 1 <= result.line <= source.count("\n") + 1
        assert result.column >= 1
    elif isinstance(result, RenderingError):
        assert result.detail.startswith("sms.body: ")


DIFFERENT: list[tuple[str, str, str, str]] = [
    ("{% if e %}T{% else %}F{% endif %}", "F", "{% if e %}T{% else %}F{% endif %}", "T"),
    ("{% if z %}T{% else %}F{% endif %}", "F", "{% if z %}T{% else %}F{% endif %}", "T"),
    ("{{ n }}|{{ t }}", "None|True", "{{ n }}|{{ t }}", "|true"),
    ("{{ e | default('d') }}", "", "{{ e | default: 'd' }}", "d"),
    ("{{ e | default('d', true) }}", "d", "{{ f | default: 'd' }}", "d"),
    ("{{ n | default('d') }}", "None", "{{ n | default: 'd' }}", "d"),
    ("{{ z + 1 }}", "1", "{{ x | plus: 1 }}", "1"),
    ("{% for i in o %}{{ i }}{% endfor %}", "ab", "{% for i in o %}{{ i[0] }}={{ i[1] }};{% endfor %}", "a=1;b=2;"),
    ("{% set q = 0 %}{% for i in [1] %}{% set q = i %}{% endfor %}{{ q }}", "0", "{% for i in (1..2) %}{% assign q = i %}{% endfor %}{{ q }}", "2"),
    ("a{# b #}", "a", "a{% comment %}b{% endcomment %}", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("jinja", "so", "liquid", "otherwise"), DIFFERENT)
def test_where_they_differ(jinja: str, so: str, liquid: str, otherwise: str) -> None:
    """As docs/reference/templates.md has it."""
    data = {"e": "", "z": 0, "f": False, "n": None, "t": True, "o": {"a": 1, "b": 2}, "x": "x"}
    assert (render("jinja", jinja, data), render("liquid", liquid, data)) == (so, otherwise)
