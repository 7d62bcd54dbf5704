"""Hostile templates are stopped in any engine, by steps, by size and by the clock of the processor; and numbers, dates
and plurals are written in any engine as the reader's language has it."""

import re
from typing import Any

import pytest

from tidings.domain.reasons import Reason
from tidings.domain.templates import EngineName
from tidings.rendering.allowance import MAX_OUTPUT
from tidings.rendering.context import context_of
from tidings.rendering.engine import RenderingError, TemplateSourceError
from tidings.rendering.engines import ENGINES

RECIPIENT = {"user_id": "u", "locale": "en", "timezone": "UTC"}
DOUBLED = "{% set a = a ~ a %}" * 40
BLOCKS = "{% set b0 = a %}" + "".join(
    f"{{% set b{n + 1} %}}{{{{ b{n} }}}}{{{{ b{n} }}}}{{% endset %}}" for n in range(40)
)
LISTS = "{% set a = [a, a] %}" * 40

JINJA = [
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
]
LIQUID = [
    "{% for i in (1..1000000000) reversed %}x{% endfor %}",
    "{% for i in (1..m) reversed %}x{% endfor %}",
    "{% assign r = (1..m) %}{{ r | join: 'x' }}",
    "{% for i in (1..1000) %}{% for j in (1..1000) %}{% if m %}{% endif %}{% endfor %}{% endfor %}",
    "{% tablerow i in (1..m) cols: 3 %}x{% endtablerow %}",
    "{% assign x = s %}{% for i in (1..60) %}{% assign x = x | append: x %}{% endfor %}",
    "{% assign x = 9 %}{% for i in (1..60) %}{% assign x = x | times: x %}{% endfor %}",
    "{% assign l = s | split: '' %}{% for i in (1..60) %}{% assign l = l | concat: l %}{% endfor %}",
    "{% for i in (1..200000) %}{{ s }}{{ s }}{% endfor %}",
    "{% for i in (1..60) %}{% capture s %}{{ s }}{{ s }}{% endcapture %}{% endfor %}",
    "{{ s | replace: 'a', long | replace: 'b', long | replace: 'b', long }}",
    "{{ t | date: '%1000000000d' }}",
    "{{ s | truncate: 100000000 }}",
    "{% for i in (1..50000) %}{{ long }}{{ long }}{{ long }}{{ long }}{{ long }}{% endfor %}",
    "{{ b }}" * 30_000,
]
HOSTILE: list[tuple[EngineName, str]] = [
    *(("jinja", source) for source in JINJA),
    *(("liquid", source) for source in LIQUID),
]


@pytest.mark.parametrize(("engine", "source"), HOSTILE, ids=lambda one: one[:50])
def test_it_is_stopped(engine: EngineName, source: str) -> None:
    """When it is saved, where no data is needed to know it; otherwise when it is rendered."""
    data: dict[str, Any] = {
        "n": 100_000,
        "a": "x",
        "b": "y" * 900_000,
        "m": 10**12,
        "s": "ab" * 20,
        "long": "b" * 5_000,
        "t": "2030-01-31T09:30:00Z",
    }
    with pytest.raises((RenderingError, TemplateSourceError)) as caught:
        ENGINES[engine].field("email.text", source).render(context_of(data, RECIPIENT))
    stopped = (Reason.RENDERING_LIMIT, Reason.RENDERING_FAILED)
    assert getattr(caught.value, "reason", Reason.RENDERING_LIMIT) in stopped
    if engine == "liquid":
        limits = r"over \d|a width over|a number over|fails with what it is given"
        assert re.search(limits, str(caught.value))


LOOPS: list[tuple[EngineName, str]] = [
    ("jinja", "{% for i in range(n) %}0123456789{% endfor %}{{ n }}!"),
    ("liquid", "{% for i in (1..n) %}0123456789{% endfor %}{{ n }}!"),
]


@pytest.mark.parametrize(("engine", "source"), LOOPS)
def test_what_is_too_much_is_a_limit_and_what_just_fits_is_not(
    engine: EngineName, source: str
) -> None:
    field = ENGINES[engine].field("email.text", source)
    with pytest.raises(RenderingError) as caught:
        field.render(context_of({"n": 100_000}, RECIPIENT))
    assert caught.value.reason is Reason.RENDERING_LIMIT
    assert len(field.render(context_of({"n": 99_999}, RECIPIENT))) == MAX_OUTPUT - 10 + 6


USUAL: list[tuple[EngineName, str]] = [
    ("jinja", "{% for line in lines %}{{ line.name | upper }}: {{ line.price | money('EUR') }}\n{% endfor %}"),
    ("liquid", "{% for line in lines %}{{ line.name | upcase }}: {{ line.price | money: 'EUR' }}\n{% endfor %}"),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "source"), USUAL)
def test_what_is_usual_is_not(engine: EngineName, source: str) -> None:
    lines = [{"name": f"n{i}", "price": i} for i in range(2_000)]
    rendered = (
        ENGINES[engine].field("email.text", source).render(context_of({"lines": lines}, RECIPIENT))
    )
    assert rendered.count("€") == 2_000


def written(engine: EngineName, value: str, name: str, *given: Any, **named: Any) -> str:
    """A filter with what it is given, as the engine writes it."""
    sign = {"jinja": "=", "liquid": ": "}[engine]
    told = ", ".join([*map(repr, given), *(f"{key}{sign}{one!r}" for key, one in named.items())])
    if engine == "jinja":
        return f"{{{{ {value} | {name}({told}) }}}}"
    return f"{{{{ {value} | {name}{': ' if told else ''}{told} }}}}"


FORMATS: list[tuple[str, str, str, tuple[Any, ...], dict[str, Any], str]] = [
    ("de-AT", "amount", "number", (), {}, "1.234,5"),
    ("en", "amount", "number", (2,), {}, "1,234.50"),
    ("de", "amount", "money", ("EUR",), {}, "1.234,50\xa0€"),
    ("de-CH", "amount", "money", ("CHF",), {}, "CHF\xa01’234.50"),
    ("en", "n", "plural", ("# items",), {"one": "# item"}, "2 items"),
    ("pl", "n", "plural", ("# x",), {"few": "# rzeczy"}, "2 rzeczy"),
    ("ar", "n", "plural", ("other",), {"two": "two"}, "two"),
    ("de", "at", "date", (), {}, "01.02.2030"),
    ("de", "at", "date", ("long",), {}, "1. Februar 2030"),
    ("de", "at", "time", (), {}, "00:30"),
    ("de", "at", "datetime", ("short",), {}, "01.02.30, 00:30"),
    ("en", "day", "date", (), {}, "Jan 31, 2030"),
    ("en", "names", "listed", (), {}, "a, b, and c"),
    ("zz-unknown", "part", "percent", (), {}, "25%"),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("locale", "value", "name", "given", "named", "expected"), FORMATS)
def test_formats(
    engine: EngineName,
    locale: str,
    value: str,
    name: str,
    given: tuple[Any, ...],
    named: dict[str, Any],
    expected: str,
) -> None:
    recipient = {"user_id": None, "locale": locale, "timezone": "Europe/Berlin"}
    data = {
        "amount": 1234.5,
        "n": 2,
        "at": "2030-01-31T23:30:00Z",
        "day": "2030-01-31",
        "names": ["a", "b", "c"],
        "part": 0.25,
    }
    source = written(engine, value, name, *given, **named)
    rendered = ENGINES[engine].field("sms.body", source).render(context_of(data, recipient))
    assert rendered == expected
