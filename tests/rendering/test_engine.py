"""The template engine: strict, sandboxed, escaping, and silent about the data."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from tidings.domain.reasons import Reason
from tidings.rendering.allowance import MAX_OUTPUT
from tidings.rendering.context import context_of
from tidings.rendering.engine import RenderingError, TemplateSourceError
from tidings.rendering.jinja import JinjaField as Field

texts = st.text(st.characters(codec="utf-8"))
RECIPIENT = {"user_id": "u", "locale": "en", "timezone": "UTC"}


def render(source: str, data: dict[str, Any] | None = None, *, html: bool = False) -> str:
    return Field("email.text", source, html=html).render(context_of(data or {}, RECIPIENT))


def failure(source: str, data: dict[str, Any] | None = None) -> RenderingError:
    with pytest.raises(RenderingError) as caught:
        render(source, data)
    return caught.value


@given(texts)
def test_text_survives(name: str) -> None:
    assert render("Dear {{ name }}!", {"name": name}) == f"Dear {name}!"


@given(texts)
def test_html_is_escaped(name: str) -> None:
    rendered = render("<b>{{ name }}</b>", {"name": name}, html=True)
    assert rendered == f"<b>{escape(name)}</b>"
    inside = rendered[3:-4]
    assert not set(inside) & set("<>\"'")


@given(texts)
def test_data_is_never_read_as_a_template(name: str) -> None:
    for value in (name, "{{ 7*7 }}", "{% raw %}", "{{ self }}", "{# #}"):
        assert render("{{ name }}", {"name": value}) == value


@given(texts)
def test_one_line(name: str) -> None:
    line = Field("email.subject", "Hi {{ name }} !").line(context_of({"name": name}, RECIPIENT))
    assert len(line.splitlines()) == 1
    assert line == " ".join(f"Hi {name} !".split())


def test_a_subject_with_line_breaks_stays_one_line() -> None:
    field = Field("email.subject", "Hi\n{{ name }}\r\n")
    context = context_of({"name": "Ann\r\nBcc: x@example.com\u2028\x85\x0b\x0c\x1cY"}, RECIPIENT)
    assert field.line(context) == "Hi Ann Bcc: x@example.com Y"


def test_names_that_are_also_methods() -> None:
    order = {"items": ["a", "b"], "keys": "k", "values": 1, "get": "g", "copy": None}
    source = "{{ order.items|join }} {{ order.keys }} {{ order.values }} {{ order.get }} {{ order.copy }}"
    assert render(source, {"order": order}) == "ab k 1 g None"
    assert render("{{ items|join }} {{ data['items'] }}", order) == "ab ['a', 'b']"
    assert render("{% for i in data.items %}{{ i }}{% endfor %}", order) == "ab"


def test_methods_where_the_data_has_no_such_key() -> None:
    source = "{% for k, v in order.items() %}{{ k }}={{ v }};{% endfor %}"
    assert render(source, {"order": {"a": 1, "b": 2}}) == "a=1;b=2;"


def test_what_a_template_sees() -> None:
    data = {"name": "Ann", "data": "mine", "recipient": "mine too"}
    assert render("{{ name }}", data) == "Ann"
    assert render("{{ data.name }} {{ data.data }}", data) == "Ann mine"
    assert render("{{ recipient.user_id }} {{ data.recipient }}", data) == "u mine too"
    assert render("{{ data['order id'] }}", {"order id": 7}) == "7"


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("{{ user_name }}", "'user_name' is undefined"),
        ("{{ order.id }}", "'dict object' has no attribute 'id'"),
        ("{{ order['number'] }}", "'dict object' has no attribute 'number'"),
        ("{{ order.lines[3] }}", "list object has no element 3"),
        ("{{ name.first }}", "'str object' has no attribute 'first'"),
        ("{% if missing %}x{% endif %}", "'missing' is undefined"),
        ("{% for a in missing %}{% endfor %}", "'missing' is undefined"),
        ("{{ missing + 1 }}", "'missing' is undefined"),
        ("{{ missing|upper }}", "'missing' is undefined"),
        ("{{ order.a.b }}", "'dict object' has no attribute 'a'"),
        ("{{ missing|date }}", "'missing' is undefined"),
        ("{{ missing|relative }}", "'missing' is undefined"),
        ("{{ missing|money('EUR') }}", "'missing' is undefined"),
    ],
)
def test_an_undefined_variable_is_named(source: str, named: str) -> None:
    error = failure(source, {"order": {"lines": []}, "name": "Ann"})
    assert error.reason is Reason.UNDEFINED_VARIABLE
    assert error.detail == f"email.text: {named}"


def test_a_name_out_of_the_data_is_not_shown() -> None:
    data = {"prices": {}, "rows": [], "city": "secret@example.com", "number": 4_711}
    for source in ("{{ prices[city] }}", "{{ prices.get(city).x }}", "{{ rows[number] }}"):
        error = failure(source, data)
        assert "secret" not in error.detail
        assert "4711" not in error.detail
    assert failure("{{ prices[city] }}", data).detail == (
        "email.text: 'dict object' has no attribute of the name that the data holds"
    )


def test_undefined_can_be_allowed_for() -> None:
    assert render("{{ nickname|default('you') }}") == "you"
    assert render("{% if nickname is defined %}x{% else %}y{% endif %}") == "y"


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ ''|attr('__class__') }}",
        "{{ name.__class__.__mro__[1].__subclasses__() }}",
        "{{ data.__class__ }}",
        "{{ data.__init__.__globals__ }}",
        "{{ data.get.__self__ }}",
        "{{ recipient.__class__.__base__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ joiner.__init__.__globals__['os'] }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ lipsum.__globals__ }}",
        "{{ lipsum.__globals__['os'].popen('id').read() }}",
        "{{ range.__class__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ '{0.__class__}'.format(name) }}",
        "{{ '{x.__class__.__mro__}'.format_map({'x': name}) }}",
        "{{ ('{0.__class__}'|string).format(1) }}",
        "{{ (name|map(attribute='__class__')|list) }}",
        "{{ ([name]|map(attribute='__class__')|list) }}",
        "{% set x = ''.__class__ %}{{ x.__name__ }}",
        "{{ (1).__class__ }}",
        "{{ none.__class__ }}",
        "{{ loop.__class__ }}",
        "{{ data.update({'a': 1}) }}",
        "{{ data.clear() }}",
        "{{ data.pop('name') }}",
        "{{ [].append(1) }}",
        "{% do data.clear() %}",
        "{{ range(100001) }}",
        "{{ range(10**9)|list }}",
        "{{ __import__('os') }}",
        "{{ open('/etc/passwd') }}",
        "{{ eval('1') }}",
        "{{ config }}",
        "{{ request }}",
        "{{ url_for.__globals__ }}",
    ],
)
def test_the_sandbox_holds(source: str) -> None:
    """It fails, or renders something without meaning; what is inside never comes out."""
    data = {"name": "Ann"}
    try:
        rendered = render(source, data)
    except (RenderingError, TemplateSourceError):
        rendered = ""
    for inside in (
        "class",
        "object at",
        "function",
        "module",
        "root:",
        "<built",
        "Context",
        "uid=",
    ):
        assert inside not in rendered
    assert data == {"name": "Ann"}


@pytest.mark.parametrize(
    "statement", ["include 'a'", "extends 'a'", "import 'a' as b", "from 'a' import b"]
)
def test_other_templates_are_refused(statement: str) -> None:
    with pytest.raises(TemplateSourceError, match="cannot use other templates") as caught:
        Field("sms.body", f"a\nb\n{{% {statement} %}}")
    assert (caught.value.path, caught.value.line) == ("sms.body", 3)


@pytest.mark.parametrize(
    "source",
    [
        "{{",
        "{% for %}",
        "{{ 1 + }}",
        "{% if x %}",
        "{{ x|nofilter }}",
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
    ],
    ids=lambda source: source[:30],
)
def test_what_does_not_compile(source: str) -> None:
    with pytest.raises(TemplateSourceError) as caught:
        Field("email.html", source, html=True)
    assert caught.value.line >= 1
    assert caught.value.message


def test_a_failure_says_only_what_kind_it_is() -> None:
    error = failure("{{ name + 1 }}", {"name": "secret"})
    assert (error.reason, error.detail) == (Reason.RENDERING_FAILED, "email.text: TypeError")
    error = failure("{{ 1 / zero }}", {"zero": 0})
    assert error.detail == "email.text: ZeroDivisionError"


def test_too_much_output() -> None:
    error = failure("{% for i in range(n) %}0123456789{% endfor %}{{ n }}!", {"n": 100_000})
    assert error.reason is Reason.RENDERING_LIMIT
    assert len(render("{{ a * 1000000 }}", {"a": "x"})) == MAX_OUTPUT


def test_lone_surrogates_come_only_from_templates_and_are_refused() -> None:
    for source in (r"{{ '\ud800' }}{{ a }}", "{{ '%c' % a }}"):
        error = failure(source, {"a": 0xD800})
        assert error.reason is Reason.RENDERING_FAILED
    assert render(r"{{ '\U0001f600' }}") == "😀"


def test_text_without_braces_is_left_alone() -> None:
    assert render("100 % <b> $x \\n\n\n") == "100 % <b> $x \\n\n\n"


@given(st.text(st.sampled_from("{}%#- \n'\"a|().[]1"), max_size=30))
def test_any_source_compiles_or_says_where_not(source: str) -> None:
    result: TemplateSourceError | RenderingError | str
    try:
        result = Field("sms.body", source).render(context_of({"a": "b"}, RECIPIENT))
    except (TemplateSourceError, RenderingError) as error:
        result = error
    if isinstance(result, TemplateSourceError):
        assert result.path == "sms.body"
        assert 1 <= result.line <= source.count("\n") + 1
    elif isinstance(result, RenderingError):
        assert result.detail.startswith("sms.body: ")
