"""What fails whatever the data is, is told when it is saved; what may work with some data is taken."""

import pytest

from tidings.rendering.engine import TemplateSourceError
from tidings.rendering.jinja import JinjaField

HOPELESS = [
    ("{{ at|date('bogus') }}", "date"),
    ("{{ at|datetime(format='bogus') }}", "datetime"),
    ("{{ at|time('nope') }}", "time"),
    ("{{ at|relative('x') }}", "relative"),
    ("{{ amount|number('x') }}", "number"),
    ("{{ amount|percent('a', 'b', 'c') }}", "percent"),
    ("{{ n|plural }}", "plural"),
    ("{{ name|truncate('a') }}", "truncate"),
    ("{{ name|upper(3) }}", "upper"),
    ("{{ name|replace('a') }}", "replace"),
    ("{{ name|wordwrap(0) }}", "wordwrap"),
    ("{{ name|center(10 ** 9) }}", None),
    ("{{ name|center(1000000000) }}", "center"),
    ("{{ items|map('nosuch')|list }}", "map"),
    ("{{ items|select('nosuch')|list }}", "select"),
    ("{{ items|sort(attribute=3, reverse='x', case='y') }}", "sort"),
    ("{{ name|attr('__class__') }}", "attr"),
    ("{{ name.__class__ }}", "__class__"),
    ("{% if name %}{{ 1 // 0 }}{% endif %}", "divides by zero"),
    ("{% if name %}\n {{ at|date('bogus') }}{% endif %}", "date"),
]
FINE = [
    "{{ at|date('short') }} {{ at|datetime }} {{ at|time('short') }} {{ at|date(length='long') }}",
    "{{ amount|money('EUR') }} {{ amount|number }} {{ amount|percent }}",
    "{{ items|map(attribute='price')|sum }} {{ items|sum(attribute='price') }}",
    "{{ items|map('upper')|join(', ') }} {{ items|map('int')|sum }}",
    "{{ items|selectattr('paid')|list|length }} {{ items|rejectattr('price', 'gt', 3)|list }}",
    "{{ items|groupby('city')|list }} {{ items|sort(attribute='price', reverse=true)|first }}",
    "{{ items|batch(2, '-')|list }} {{ items|slice(3)|list }} {{ items|unique(attribute='a')|list }}",
    "{{ name|truncate(5) }} {{ name|truncate(20, true, '…') }} {{ name|replace('a', 'b') }}",
    "{{ name|default('you') }} {{ name|d('you', true) }} {{ name|center(20) }} {{ name|indent(2) }}",
    "{{ name|format(1, 2) }} {{ '%s, %s'|format(name, 2) }} {{ n|round(1) }} {{ n|round(1, 'floor') }}",
    "{{ thing|tojson(indent=2) }} {{ thing|dictsort(by='value')|list }} {{ thing|xmlattr }}",
    "{{ name|urlencode }} {{ name|wordwrap(20) }} {{ name|filesizeformat(true) }} {{ n|int(3, 16) }}",
    "{{ thing.items }} {{ thing._id }} {{ n / 2 }} {{ n // 2 }} {{ items|join(name) }}",
    "{{ name|striptags|trim('x')|title|wordcount }} {{ name|attr('length') }} {{ items|max }}",
]


@pytest.mark.parametrize(("source", "said"), HOPELESS)
def test_told_when_it_is_saved(source: str, said: str | None) -> None:
    if said is None:
        JinjaField("sms", source)
        return
    with pytest.raises(TemplateSourceError) as caught:
        JinjaField("sms", source)
    assert said in caught.value.message
    assert caught.value.line == 1 + source.count("\n")
    assert caught.value.column > 1


@pytest.mark.parametrize("source", FINE)
@pytest.mark.parametrize("html", [False, True])
def test_what_may_work_is_taken(source: str, html: bool) -> None:
    JinjaField("email.html", source, html=html)
