"""Hostile templates are stopped, by steps, by size and by the clock of the processor."""

from typing import Any

import pytest

from tidings.domain.reasons import Reason
from tidings.rendering.context import context_of
from tidings.rendering.engine import RenderingError, TemplateSourceError
from tidings.rendering.jinja import JinjaField as Field

RECIPIENT = {"user_id": "u", "locale": "en", "timezone": "UTC"}
DOUBLED = "{% set a = a ~ a %}" * 40
BLOCKS = "{% set b0 = a %}" + "".join(
    f"{{% set b{n + 1} %}}{{{{ b{n} }}}}{{{{ b{n} }}}}{{% endset %}}" for n in range(40)
)
LISTS = "{% set a = [a, a] %}" * 40


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(n) %}{% for j in range(n) %}{% endfor %}{% endfor %}",
        "{% for i in range(n) %}{% for j in range(n) if j < 0 %}{% endfor %}{% endfor %}",
        "{{ a * 10 ** 9 }}",
        "{{ [a] * 10 ** 9 }}",
        "{{ (n ** n) ** n }}",
        DOUBLED + "{{ a }}",
        "{% set ns = namespace(a=a) %}{% for i in range(60) %}{% set ns.a = ns.a + ns.a %}{% endfor %}",
        LISTS + "{{ a }}",
        LISTS + "{{ a == a }}",
        BLOCKS,
        "{% macro m(k) %}{% if k %}{{ m(k - 1) }}{{ m(k - 1) }}{% endif %}{% endmacro %}{{ m(n // 1000) }}",
        "{{ a | center(10 ** 9) }}",
        "{{ a.center(n * n) }}",
        "{{ a.ljust(n * n) }}",
        "{{ a | indent(10 ** 9) }}",
        "{{ [a] | tojson(indent=10 ** 9) }}",
        "{{ '%1000000000d' | format(n) }}",
        "{{ '%1000000000d' % n }}",
        "{{ (a * 900000) | replace('', a * 900000) }}",
        "{{ (range(n) | list) | join(a * 900000) }}",
        "{{ [a] | batch(10 ** 9, a) | list }}",
        "{{ [a] | slice(10 ** 9) | list }}",
        "{{ ([range(n)] * 10000) | map('list') | list | length }}",
        "{% for x in [[range(n)] * 100] recursive %}{{ loop(x) }}{% endfor %}",
        "{{ (a * 900000) | urlize }}",
        "{% for i in range(50000) %}{{ b }}{% endfor %}",
        "{{ b }}" * 30_000,
    ],
    ids=lambda source: source[:50],
)
def test_it_is_stopped(source: str) -> None:
    data: dict[str, Any] = {"n": 100_000, "a": "x", "b": "y" * 900_000}
    with pytest.raises((RenderingError, TemplateSourceError)) as caught:
        Field("email.text", source).render(context_of(data, RECIPIENT))
    stopped = (Reason.RENDERING_LIMIT, Reason.RENDERING_FAILED)
    assert getattr(caught.value, "reason", Reason.RENDERING_LIMIT) in stopped


def test_what_is_usual_is_not() -> None:
    lines = [{"name": f"n{i}", "price": i} for i in range(2_000)]
    source = "{% for line in lines %}{{ line.name | upper }}: {{ line.price | money('EUR') }}\n{% endfor %}"
    rendered = Field("email.text", source).render(context_of({"lines": lines}, RECIPIENT))
    assert rendered.count("€") == 2_000


@pytest.mark.parametrize(
    ("locale", "source", "expected"),
    [
        ("de-AT", "{{ 1234.5 | number }}", "1.234,5"),
        ("de", "{{ 1234.5 | money('EUR') }}", "1.234,50\xa0€"),
        ("en", "{{ n | plural(one='# item', other='# items') }}", "2 items"),
        ("pl", "{{ n | plural('# x', few='# rzeczy') }}", "2 rzeczy"),
        ("de", "{{ '2030-01-31T23:30:00Z' | date }}", "01.02.2030"),
        ("en", "{{ '2030-01-31' | date }}", "Jan 31, 2030"),
        ("en", "{{ ['a', 'b', 'c'] | listed }}", "a, b, and c"),
        ("zz-unknown", "{{ 0.25 | percent }}", "25%"),
    ],
)
def test_formats(locale: str, source: str, expected: str) -> None:
    recipient = {"user_id": None, "locale": locale, "timezone": "Europe/Berlin"}
    rendered = Field("sms.body", source).render(context_of({"n": 2}, recipient))
    assert rendered == expected
