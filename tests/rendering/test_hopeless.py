"""What fails whatever the data is, is told when it is saved; what may work with some data is taken."""

import pytest

from tidings.rendering.engine import TemplateSourceError
from tidings.rendering.jinja import JinjaField
from tidings.rendering.liquid import LiquidField

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
    ("{{ name|center(10 ** 9) }}", "center"),
    ("{{ n % 0 }}", "whatever the data is"),
    ("{{ n % (1 - 1) }}", "whatever the data is"),
    ("{% if name %}{{ 1 % 0 }}{% endif %}", "whatever the data is"),
    ("{% if name %}{{ 'a' + 1 }}{% endif %}", "whatever the data is"),
    ("{% if name is divisibleby 0 %}x{% endif %}", "whatever the data is"),
    ("{% if name %}{{ range() }}{% endif %}", "whatever the data is"),
    ("{% if name %}{{ range(1, 2, 0)|list }}{% endif %}", "whatever the data is"),
    ("{% if name %}{{ '%d' % 'a' }}{% endif %}", "whatever the data is"),
    ("{{ name.upper(1) }}", "whatever the data is"),
    ("{{ name.split(1, 2, 3) }}", "whatever the data is"),
    ("{{ name.encode() }}", "no method that can be called"),
    ("{{ name.format(1) }}", "no method that can be called"),
    ("{{ data.update({}) }}", "no method that can be called"),
    ("{% if name %}{% set order.x = 1 %}{% endif %}", "'order' is no namespace"),
    ("{{ name() }}", "'name' is no function"),
    ("{{ 'x' if name else now() }}", "'now' is no function"),
    ("{% call name() %}{% endcall %}", "'name' is no function"),
    ("{{ name|center(1000000000) }}", "center"),
    ("{{ items|map('nosuch')|list }}", "map"),
    ("{{ items|select('nosuch')|list }}", "select"),
    ("{{ items|sort(attribute=3, reverse='x', case='y') }}", "sort"),
    ("{{ name|attr('__class__') }}", "attr"),
    ("{{ name.__class__ }}", "__class__"),
    ("{% if name %}{{ 1 // 0 }}{% endif %}", "divides by zero"),
    ("{% if name %}\n {{ at|date('bogus') }}{% endif %}", "date"),
    ("{% if name %}{{ 'abc'|money('EUR') }}{% endif %}", "what stands before it"),
    ("{% if name %}{{ 'a'|upper|date('short') }}{% endif %}", "what stands before it"),
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
    "{% if name %}{{ '12'|money('EUR') }}{{ 'a'|upper|replace('A', 'b')|length }}{% endif %}",
    "{{ n % 2 }} {{ 2 % n }} {{ name + 'x' }} {{ 'a' + name }} {{ items + [1] }} {{ n + 1 }} {{ 2 ** n }} {{ name * 2 }}",
    "{% if n > 1 and name < 'x' %}a{% endif %}{% if 'a' in name or 1 in items %}b{% endif %}",
    "{% if n is divisibleby 3 %}a{% endif %}{% if n is sameas none %}b{% endif %}{% if name in ['a'] %}c{% endif %}",
    "{{ name.split(',')[0] }} {{ name.upper() }} {{ thing.items()|list }} {{ thing.get('a') }} {{ n.bit_length() }}",
    "{{ range(3)|join }} {{ range(n)|list }} {{ dict(a=1).a }} {{ cycler(1, 2).next() }} {{ joiner()() }}",
    "{% set x = (1, 2) %}{{ x + (3,) }}{% set ns = namespace(a=1) %}{{ ns.a + 1 }}{% for i in items %}{{ loop.cycle(1, 2) }}{% endfor %}",
    "{% macro m(a) %}{{ a }}{{ caller() }}{% endmacro %}{% call m(1) %}x{% endcall %}{% block b %}{% endblock %}{{ self.b() }}",
    "{% if name %}{{ '%s' % name }}{{ name % 1 }}{% endif %}",
    "{{ name|striptags|trim('x')|title|wordcount }} {{ name|attr('length') }} {{ items|max }}",
]


@pytest.mark.parametrize(("source", "said"), HOPELESS)
def test_told_when_it_is_saved(source: str, said: str) -> None:
    with pytest.raises(TemplateSourceError) as caught:
        JinjaField("sms", source)
    assert said in caught.value.message
    assert caught.value.line == 1 + source.count("\n")
    assert caught.value.column > 1


@pytest.mark.parametrize("source", FINE)
@pytest.mark.parametrize("html", [False, True])
def test_what_may_work_is_taken(source: str, html: bool) -> None:
    JinjaField("email.html", source, html=html)


LIQUID_HOPELESS = [
    ("{{ at | date: 'bogus' }}", "date"),
    ("{{ at | datetime: 'bogus' }}", "datetime"),
    ("{{ at | relative: 'x' }}", "relative"),
    ("{{ amount | number: 'x' }}", "number"),
    ("{{ amount | money }}", "money"),
    ("{{ n | plural }}", "plural"),
    ("{{ name | truncate: 'a' }}", "truncate"),
    ("{{ name | truncate: 100000000 }}", "truncate"),
    ("{{ name | upcase: 3 }}", "upcase"),
    ("{{ name | replace }}", "replace"),
    ("{{ name | slice: 1, 'x' }}", "slice"),
    ("{{ name | default: 'x', bogus: true }}", "default"),
    ("{{ items | concat: 'x' }}", "concat"),
    ("{{ items | where }}", "where"),
    ("{{ n | divided_by: 0 }}", "divided_by"),
    ("{{ n | modulo: 0 }}", "modulo"),
    ("{% assign x = n | divided_by: 0 %}", "divided_by"),
    ("{% if name %}{{ 'abc' | money: 'EUR' }}{% endif %}", "what stands before it"),
    ("{% if name %}{{ 'a' | upcase | date: 'short' }}{% endif %}", "what stands before it"),
    ("{% if name %}{% if 'a' > 1 %}x{% endif %}{% endif %}", "whatever the data is"),
    ("{% if name %}{% if 1 contains 'a' %}x{% endif %}{% endif %}", "whatever the data is"),
    ("{% for i in items limit: 'x' %}{{ i }}{% endfor %}", "a whole number"),
    ("{% for i in items offset: nil %}{{ i }}{% endfor %}", "a whole number"),
    ("{% for i in items %}{% else %}{{ n | modulo: 0 }}{% endfor %}", "modulo"),
    ("{% if name %}{% for i in (1..1000000000) %}{{ i }}{% endfor %}{% endif %}", "too much"),
    ("{% liquid\n assign x = 1 | divided_by: 0\n%}{{ name }}", "divided_by"),
    ("{% case name %}\n{% when 'a' %}\n{% echo name | date: 'bogus' %}{% endcase %}", "date"),
]
LIQUID_FINE = [
    "{{ at | date: 'short' }} {{ at | datetime }} {{ at | time: 'short' }} {{ at | date: '%Y-%m-%d' }}",
    "{{ amount | money: 'EUR' }} {{ amount | number }} {{ amount | percent }} {{ at | relative }}",
    "{{ items | map: 'price' | sum }} {{ items | sum: 'price' }} {{ items | sort: 'a' | first }}",
    "{{ items | where: 'paid' | size }} {{ items | where: 'a', 1 | size }} {{ items | join: ', ' }}",
    "{{ items | uniq | compact | reverse | last }} {{ items | concat: more | size }}",
    "{{ name | truncate: 5 }} {{ name | truncate: 20, '…' }} {{ name | replace: 'a', 'b' }}",
    "{{ name | default: 'you' }} {{ name | default: 'you', allow_false: true }} {{ name | slice: 1, 2 }}",
    "{{ n | plus: 'x' }} {{ n | times: 2 | round: 1 }} {{ n | divided_by: 2 }} {{ n | modulo: n }}",
    "{{ name | split: ' ' | first | upcase }} {{ name | strip_html | escape_once | url_encode }}",
    "{{ name | base64_decode }} {{ 'QW5u' | base64_decode }} {{ '12' | money: 'EUR' }} {{ nil | upcase }}",
    "{% for i in items limit: 2 offset: continue reversed %}{{ i }}{% endfor %}{{ name }}",
    "{% for i in items limit: n offset: n %}{{ i }}{% endfor %}{% for i in (1..n) %}{% endfor %}",
    "{% tablerow i in items cols: 2 %}{{ i }}{% endtablerow %}{% if name > 'a' %}x{% endif %}",
    "{% if items contains 'a' and 1 < 2 or name == blank %}{% cycle 'a', 'b' %}{% endif %}",
    "{% comment %}{{ x | nosuch }}{% endcomment %}{% raw %}{{ x | nosuch: 0 }}{% endraw %}{{ name }}",
    "{{ items[0].price }} {{ items.first['price'] }} {{ thing[name] }} {{ n | plural: one: 'a', other: 'b' }}",
]  # fmt: skip


@pytest.mark.parametrize(("source", "said"), LIQUID_HOPELESS)
def test_so_is_liquid(source: str, said: str) -> None:
    with pytest.raises(TemplateSourceError) as caught:
        LiquidField("sms", source)
    assert said in caught.value.message
    assert 1 <= caught.value.line <= 1 + source.count("\n")
    assert caught.value.column > 1


@pytest.mark.parametrize("source", LIQUID_FINE)
@pytest.mark.parametrize("html", [False, True])
def test_so_is_liquid_that_may_work(source: str, html: bool) -> None:
    LiquidField("email.html", source, html=html)
