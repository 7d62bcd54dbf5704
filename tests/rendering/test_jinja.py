"""What is Jinja2's alone: its methods, and its ways out of the sandbox."""

from typing import Any

import pytest

from tidings.domain.reasons import Reason
from tidings.rendering.allowance import MAX_OUTPUT
from tidings.rendering.context import context_of
from tidings.rendering.engine import RenderingError, TemplateSourceError
from tidings.rendering.jinja import JinjaField as Field

RECIPIENT = {"user_id": "u", "locale": "en", "timezone": "UTC"}


def render(source: str, data: dict[str, Any] | None = None, *, html: bool = False) -> str:
    return Field("email.text", source, html=html).render(context_of(data or {}, RECIPIENT))


def failure(source: str, data: dict[str, Any] | None = None) -> RenderingError:
    with pytest.raises(RenderingError) as caught:
        render(source, data)
    return caught.value


def test_names_that_are_also_methods() -> None:
    order = {"items": ["a", "b"], "keys": "k", "values": 1, "get": "g", "copy": None}
    source = "{{ order.items|join }} {{ order.keys }} {{ order.values }} {{ order.get }} {{ order.copy }}"
    assert render(source, {"order": order}) == "ab k 1 g None"
    assert render("{{ items|join }} {{ data['items'] }}", order) == "ab ['a', 'b']"
    assert render("{% for i in data.items %}{{ i }}{% endfor %}", order) == "ab"


def test_methods_where_the_data_has_no_such_key() -> None:
    source = "{% for k, v in order.items() %}{{ k }}={{ v }};{% endfor %}"
    assert render(source, {"order": {"a": 1, "b": 2}}) == "a=1;b=2;"


def test_a_name_out_of_the_data_is_not_shown() -> None:
    data = {"prices": {}, "rows": [], "city": "secret@example.com", "number": 4_711}
    for source in ("{{ prices[city] }}", "{{ prices.get(city).x }}", "{{ rows[number] }}"):
        error = failure(source, data)
        assert "secret" not in error.detail
        assert "4711" not in error.detail
    assert failure("{{ prices[city] }}", data).detail == (
        "email.text: 'dict object' has no attribute of the name that the data holds"
    )


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


def test_too_much_output() -> None:
    error = failure("{% for i in range(n) %}0123456789{% endfor %}{{ n }}!", {"n": 100_000})
    assert error.reason is Reason.RENDERING_LIMIT
    assert len(render("{{ a * 1000000 }}", {"a": "x"})) == MAX_OUTPUT


def test_lone_surrogates_come_only_from_templates_and_are_refused() -> None:
    for source in (r"{{ '\ud800' }}{{ a }}", "{{ '%c' % a }}"):
        error = failure(source, {"a": 0xD800})
        assert error.reason is Reason.RENDERING_FAILED
    assert render(r"{{ '\U0001f600' }}") == "😀"


def test_line_feeds_at_the_end_stay_where_nothing_is_to_be_filled_in() -> None:
    assert render("100 % <b> $x \\n\n\n") == "100 % <b> $x \\n\n\n"
