"""No template reaches out of its sandbox, and none takes more than its share, whatever it is put together from."""

import contextlib
import resource
import time
from collections.abc import Iterator
from copy import deepcopy
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.rendering import hostile
from tidings.domain.channels import Channel
from tidings.domain.reasons import Reason
from tidings.domain.templates import EngineName
from tidings.rendering.compiled import compile_content
from tidings.rendering.context import context_of
from tidings.rendering.engine import RenderingError, TemplateSourceError
from tidings.rendering.engines import ENGINES

SECRET = "sandbox-secret-b7e1"
DATA: dict[str, Any] = {
    "text": "abc",
    "number": 7,
    "half": 1.5,
    "yes": True,
    "nothing": None,
    "list": [1, "b", [2]],
    "map": {"a": {"b": "c"}, "__class__": "mine"},
}
# What Python's objects show when a template has got hold of them.
LEAKS = (
    "<class",
    "<function",
    "<built-in",
    "<bound method",
    "<module",
    "object at 0x",
    "<slot",
    SECRET,
)

bases = st.sampled_from(
    [
        *("text", "number", "half", "yes", "nothing", "list", "map", "data", "recipient", "brand"),
        *("loop", "self", "cycler", "joiner", "namespace", "range", "dict", "forloop", "missing"),
        *("''", "[]", "{}", "()", "1", "(1).real", "range(3)", "namespace(a=1)", "cycler(1, 2)", "dict(a=1)"),
        *("text.upper", "text.format", "list.append", "map.items", "map.items()", "joiner('x')"),
    ]
)  # fmt: skip
names = st.sampled_from(
    [
        *("__class__", "__mro__", "__base__", "__bases__", "__subclasses__", "__init__", "__globals__"),
        *("__builtins__", "__dict__", "__getattribute__", "__reduce_ex__", "__code__", "func_globals"),
        *("gi_frame", "f_globals", "format", "format_map", "environment", "_TemplateReference__context"),
        *("next", "reset", "append", "extend", "pop", "update", "mro", "real", "a", "0", "name", "parent"),
    ]
)  # fmt: skip
jinja_steps = st.one_of(
    names.map(".{}".format),
    names.map("['{}']".format),
    names.map("|attr('{}')".format),
    names.map("|map(attribute='{}')|list".format),
    st.sampled_from(["()", "[0]", "|first", "|list", "|string", "|safe", "(1)", "('a')", "|join", "|pprint"]),
)  # fmt: skip
liquid_steps = st.one_of(
    names.map(".{}".format),
    names.map("['{}']".format),
    names.map(" | map: '{}'".format),
    st.sampled_from([" | first", " | join", " | size", "[0]", " | where: 'a'", " | sort: '__class__'", " | json"]),
)  # fmt: skip
formats = st.lists(names, min_size=1, max_size=3).map(
    lambda chain: "{{ '{0." + ".".join(chain) + "}'.format(text) }}"
)


def paths(steps: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(bases, st.lists(steps, min_size=1, max_size=5)).map(
        lambda found: "{{ " + found[0] + "".join(found[1]) + " }}"
    )


def tried(engine: EngineName, source: str, data: dict[str, Any]) -> str:
    """What it renders; nothing where it is stopped."""
    with contextlib.suppress(TemplateSourceError, RenderingError):
        field = ENGINES[engine].field("email.text", source)
        return field.render(context_of(data, {"user_id": "u", "locale": "en", "timezone": None}))
    return ""


@given(st.one_of(paths(jinja_steps), formats))
@example("{{ ''.__class__.__mro__[1].__subclasses__() }}")
@example("{{ self.__init__.__globals__ }}")
@example("{{ cycler.__init__.__globals__.os }}")
@example("{{ '{0.__class__.__init__.__globals__}'.format(namespace(a=1)) }}")
@example("{{ ['{0.__class__}']|map('format', text)|list }}")
@example("{{ map|attr('__class__') }}")
@example("{% for k in data.__class__.__mro__ %}{{ k }}{% endfor %}")
@example("{{ (text.format).__globals__ }}")
@settings(max_examples=400)
def test_no_walk_over_attributes_leads_out_in_jinja(source: str) -> None:
    shown = tried("jinja", source, DATA)
    assert not [leak for leak in LEAKS if leak in shown], shown


@given(paths(liquid_steps))
@example("{{ text.__class__ }}")
@example("{% for k in text.__class__.__mro__ %}{{ k }}{% endfor %}")
@example("{{ list | map: '__class__' }}")
@example("{{ forloop.it.__class__ }}")
@settings(max_examples=300)
def test_no_walk_over_attributes_leads_out_in_liquid(source: str) -> None:
    shown = tried("liquid", source, DATA)
    assert not [leak for leak in LEAKS if leak in shown], shown


def test_what_the_data_calls_so_is_the_data() -> None:
    assert tried("jinja", "{{ map.__class__ }}", DATA) in {"mine", ""}
    assert tried("liquid", "{{ map.__class__ }}", DATA) == "mine"


@given(st.one_of(paths(jinja_steps), paths(liquid_steps)))
@settings(max_examples=200)
def test_errors_do_not_show_the_data(source: str) -> None:
    data = {**DATA, "text": SECRET, "map": {SECRET: SECRET}, "list": [SECRET]}
    context = context_of(data, {"user_id": "u", "locale": "en", "timezone": None})
    for engine in ENGINES.values():
        try:
            engine.field("email.text", source).render(context)
        except (TemplateSourceError, RenderingError) as error:
            assert SECRET not in f"{error} {error!r}"  # noqa: PT017 - only where it fails


GROWING = {
    "jinja": st.sampled_from(
        [
            *("{% set s = s ~ s %}", "{% set s = s + s %}", "{% set s = s * 100 %}", "{% set l = l + l %}"),
            *("{% set l = [l, l, l] %}", "{% set n = n * n %}", "{% set n = n ** 9 %}", "{{ s.center(9000) }}"),
            *("{{ s|replace('a', s) }}", "{{ l|join(s) }}", "{{ s.format(s, s) }}", "{{ '%9999d' % n }}"),
            *("{% for i in range(99999) %}", "{% for i in s %}", "{% for i in l %}", "{{ range(99999)|list }}"),
            *("{% endfor %}", "{{ s }}", "{{ l }}", "{{ n }}", "{% set m = {'a': l, 'b': l} %}", "{{ l|tojson }}"),
            *("{% macro f(x) %}{{ f(x) }}{% endmacro %}", "{{ f(s) }}", "{{ l|sort }}", "{{ s|wordwrap(1) }}"),
        ]
    ),
    "liquid": st.sampled_from(
        [
            *("{% assign s = s | append: s %}", "{% assign s = s | replace: 'a', s %}", "{{ l | join: s }}"),
            *("{% assign l = l | concat: l %}", "{% assign n = n | times: n %}", "{% assign l = s | split: '' %}"),
            *("{% for i in (1..99999) %}", "{% for i in l %}", "{% for i in (1..n) %}", "{% endfor %}"),
            *("{% capture s %}{{ s }}{{ s }}{% endcapture %}", "{{ s }}", "{{ l }}", "{{ n }}", "{{ (1..n) | join }}"),
            *("{% tablerow i in (1..n) %}", "{% endtablerow %}", "{% cycle s, l %}", "{{ s | truncate: n }}"),
            *("{{ s | date: s }}", "{{ l | sort | uniq }}", "{{ s | strip_html }}", "{{ s | url_encode }}"),
        ]
    ),
}  # fmt: skip
_CLOSED = {"{% for": "{% endfor %}", "{% tablerow": "{% endtablerow %}"}


def closed(pieces: list[str]) -> str:
    """With the ends of the loops that it begins, so that more of them are programs."""
    kept: list[str] = []
    ends: list[str] = []
    for piece in pieces:
        if piece.startswith("{% end"):
            continue
        kept.append(piece)
        ends += [end for begin, end in _CLOSED.items() if piece.startswith(begin)]
    return "".join([*kept, *reversed(ends)])


@contextlib.contextmanager
def scarce_memory(megabytes: int) -> Iterator[None]:
    """The process gets so much more than it has; what asks for too much gets a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def stopped_in_time(
    engine: EngineName, source: str, data: dict[str, Any], *, html: bool = False
) -> str:
    """What it renders; nothing where it is stopped, which happens for our reasons, not for want of memory or by
    mistakes of ours."""
    context = context_of(data, {"user_id": "u", "locale": "en", "timezone": None})
    began = time.thread_time()
    try:
        with scarce_memory(200):
            shown = ENGINES[engine].field("email.text", source, html=html).render(context)
    except TemplateSourceError as error:
        shown, failed = "", error.message
    except RenderingError as error:
        shown, failed = "", error.detail
    else:
        failed = ""
    assert "MemoryError" not in failed
    assert len(shown) <= 1_000_000
    # One second of the processor for each of the two renderings that there may be, and one step's time over it.
    assert time.thread_time() - began < 20
    return shown


@pytest.mark.parametrize("engine", ENGINES)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_grows_is_stopped(engine: EngineName, data: st.DataObject) -> None:
    pieces = data.draw(st.lists(GROWING[engine], min_size=1, max_size=12))
    given_data = {"s": "a{0}%s b" * 200, "l": list("abcdefgh") * 50, "n": 10**15}
    stopped_in_time(engine, closed(pieces), given_data)


@pytest.mark.filterwarnings("ignore::SyntaxWarning")  # of Python, at programs that call a number
@given(source=hostile.programs, html=st.booleans())
@example(source="{% for x in [1 if (-1)[::0] else 0] %}{% endfor %}", html=False)
@example(source="{{ ('%(big)s' * 900) % data }}", html=False)
@example(source="{{ ([[1, 2]] * 100000) | sum(start=[]) }}", html=False)
@example(source="{{ ('<!---->' * 100000) | striptags }}", html=False)
@example(source="{% for x in big %}{{ big }}{% endfor %}", html=True)
@example(source="{{ big }}" * 20_000, html=True)
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_any_program_of_jinja_stays_inside_and_ends(source: str, html: bool) -> None:
    data = deepcopy(hostile.DATA)
    shown = stopped_in_time("jinja", source, data, html=html)
    assert not [leak for leak in LEAKS if leak in unescape(shown)], shown
    assert data == hostile.DATA


@pytest.mark.parametrize(
    ("engine", "source"),
    [
        ("jinja", "{% for i in range(n) %}{% endfor %}"),
        ("jinja", "{{ text }}"),
        ("liquid", "{% for i in (1..n) %}{{ i }}{% endfor %}"),
        ("liquid", "{{ text }}"),
    ],
)
def test_the_strings_of_a_payload_have_together_what_one_field_has(
    engine: EngineName, source: str
) -> None:
    content = {Channel.WEBHOOK: {"payload": [{"a": source}] * 200}}
    render = compile_content("t", content, engine=ENGINES[engine])[Channel.WEBHOOK]
    reader = {"user_id": "u", "locale": "en", "timezone": None}
    render(context_of({"n": 10, "text": "short"}, reader))
    with pytest.raises(RenderingError) as caught, scarce_memory(100):
        render(context_of({"n": 5_000, "text": "x" * 500_000}, reader))
    assert caught.value.reason is Reason.RENDERING_LIMIT


@pytest.mark.parametrize(
    "source",
    [
        "{{ order.items }}",
        "{{ range }}",
        "{% macro m() %}{% endmacro %}{{ m }}",
        "{{ [order.items] }}",
        "{{ order.items|string }}",
        "{{ 'x' ~ order.items }}",
        "{{ '%s' % order.items }}",
    ],
)
def test_a_function_is_never_printed(source: str) -> None:
    context = context_of({"order": {}}, {"user_id": "u", "locale": "en", "timezone": None})
    with pytest.raises(
        (RenderingError, TemplateSourceError), match="a function is printed"
    ) as caught:
        ENGINES["jinja"].field("email.text", source).render(context)
    assert getattr(caught.value, "reason", Reason.RENDERING_FAILED) is Reason.RENDERING_FAILED
