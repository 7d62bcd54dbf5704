"""Hostile templates, made from a grammar: programs that try to get out of the sandbox, or to make much out of little."""

from typing import Any

from hypothesis import strategies as st

DATA: dict[str, Any] = {
    "name": "Ann",
    "n": 100_000,
    "big": "y" * 100_000,
    "ratio": 0.5,
    "nothing": None,
    "yes": True,
    "items": ["a", "b", {"c": "d"}],
    "order": {"id": 7, "lines": [{"price": 1.5}], "keys": "k"},
    "long": list(range(5_000)),
}
"""A value of every type that JSON has."""

INSIDE = [
    *("__class__", "__mro__", "__base__", "__bases__", "__subclasses__", "__init__", "__globals__"),
    *("__builtins__", "__import__", "__dict__", "__getattribute__", "__reduce_ex__", "__code__"),
    *("__self__", "__func__", "__module__", "__wrapped__", "__call__", "__closure__", "__doc__"),
    *("gi_frame", "gi_code", "f_globals", "f_back", "f_builtins", "cr_frame", "tb_frame", "mro"),
    *("_TemplateReference__context", "environment", "eval_ctx", "parent", "vars", "blocks", "globals"),
    *("_func", "_iterator", "_undefined", "_get_default_module", "_Namespace__attrs", "_fail"),
    *("os", "popen", "format", "format_map", "join", "items", "encode", "translate", "update", "pop"),
    *("append", "clear", "extend", "unescape", "striptags", "name", "arguments", "caller", "depth"),
]  # fmt: skip
NAMES = [
    *(*DATA, "data", "recipient", "brand", "unsubscribe_url", "preferences_url"),
    *("range", "dict", "cycler", "joiner", "namespace", "lipsum", "self", "loop", "caller", "m", "x"),
    *("varargs", "kwargs", "config", "request", "__import__", "open", "eval", "ns", "i"),
]  # fmt: skip


inside = st.sampled_from(INSIDE)
numbers = st.sampled_from(
    ["0", "1", "-1", "3", "64", "4096", "99999", "n", "10**9", "n*n", "1e308"]
)
filters = st.sampled_from(
    [
        *("list", "string", "join(x)", "upper", "first", "last", "length", "pprint", "tojson", "safe"),
        *("reverse", "sort", "unique|list", "batch(n)|list", "slice(n)|list", "center(n)", "indent(n)"),
        *("replace('', x)", "replace('y', big)", "format(x)", "wordwrap(1)", "urlize", "xmlattr"),
        *("dictsort", "sum", "sum(start=x)", "map('string')|list", "map('upper')|join(x)", "int", "abs"),
        *("striptags", "escape", "e|e", "forceescape", "title", "truncate(n)", "round(n)", "float"),
        *("groupby('c')|list", "max", "min", "default(x)", "items|list", "random", "filesizeformat"),
        *("number", "money('EUR')", "date", "relative", "plural(x)", "listed", "percent", "datetime(x)"),
        *("select|list", "reject('none')|list", "tojson(indent=n)", "string|list", "wordcount"),
    ]
)  # fmt: skip


def _reaching(of: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Ways to what a value has inside."""
    return st.one_of(
        st.builds("({}).{}".format, of, inside),
        st.builds("({})['{}']".format, of, inside),
        st.builds("({})|attr('{}')".format, of, inside),
        st.builds("([{}]|map(attribute='{}')|list)".format, of, inside),
        st.builds("([{}]|selectattr('{}')|list)".format, of, inside),
        st.builds("([{}]|sort(attribute='{}'))".format, of, inside),
        st.builds("([{}]|groupby('{}')|list)".format, of, inside),
        st.builds("('{{0.{1}}}'.format({0}))".format, of, inside),
        st.builds("('{{0[{1}]}}'.format({0}))".format, of, inside),
        st.builds("('{{x.{1}.{1}}}'.format_map(dict(x={0})))".format, of, inside),
        st.builds("(('{{0.{1}}}'|safe).format({0}))".format, of, inside),
        st.builds("('__'~'class'~'__')|map('attr', {})|list".format, of),
        st.builds("('%s' % ({},))".format, of),
    )


def _computing(of: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Ways to a larger value."""
    operator = st.sampled_from(
        ["+", "*", "**", "~", "%", "-", "//", "/", "and", "or", "==", "<", "in"]
    )
    return st.one_of(
        st.builds("({} {} {})".format, of, operator, of),
        st.builds("({} {} {})".format, of, operator, numbers),
        st.builds("({})|{}".format, of, filters),
        st.builds("({})({})".format, of, of),
        st.builds("({})()".format, of),
        st.builds("[{0}, {0}]".format, of),
        st.builds("{{'a': {0}, 'b': {0}}}".format, of),
        st.builds("({})[{}]".format, of, numbers),
        st.builds("({})[::{}]".format, of, numbers),
        st.builds("({} if {} else 0)".format, of, of),
        st.builds("range({})".format, numbers),
        st.builds("cycler({0}, {0}).next()".format, of),
        st.builds("namespace(a={})".format, of),
        st.builds("dict(a={})".format, of),
        st.builds("joiner({0})()".format, of),
    )


expressions = st.recursive(
    st.one_of(st.sampled_from(NAMES), numbers, st.sampled_from(["'y'", "''", "[]", "{}", "none"])),
    lambda of: st.one_of(_reaching(of), _computing(of)),
    max_leaves=5,
)


def _blocks(of: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    e = expressions
    return st.one_of(
        st.builds("{{% for i in {} %}}{}{{% endfor %}}".format, e, of),
        st.builds("{{% for x in {} %}}{{{{ loop.index }}}}{}{{% endfor %}}".format, e, of),
        st.builds("{{% for i in long %}}{{% for x in long %}}{}{{% endfor %}}{{% endfor %}}".format, of),
        st.builds("{{% for x in [{}] recursive %}}{}{{{{ loop([x, x]) }}}}{{% endfor %}}".format, e, of),
        st.builds("{{% macro m(x) %}}{}{{{{ m(x) }}}}{{{{ m(x) }}}}{{% endmacro %}}{{{{ m(1) }}}}".format, of),
        st.builds("{{% macro m(x) %}}{}{{{{ caller(x) }}}}{{% endmacro %}}{{% call(x) m({}) %}}{}{{% endcall %}}".format, of, e, of),
        st.builds("{{% set x %}}{0}{0}{{% endset %}}{{{{ x }}}}".format, of),
        st.builds("{{% filter upper|{} %}}{}{{% endfilter %}}".format, filters, of),
        st.builds("{{% if {} %}}{}{{% else %}}{}{{% endif %}}".format, e, of, of),
        st.builds("{{% with x = {} %}}{}{{% endwith %}}".format, e, of),
        st.builds("{{% set x = {} %}}{}".format, e, of),
        st.builds("{{% set ns = namespace(a={}) %}}{}".format, e, of),
        st.builds("{{% set ns = namespace(a={0}) %}}{{% for i in long %}}{{% set ns.a = [ns.a, ns.a] %}}{{% endfor %}}{{{{ ns.a }}}}".format, e),
        st.builds("{{% set x = {} %}}".format, e).map(lambda one: one + "{% set x = x ~ x %}" * 25 + "{{ x }}"),
        st.builds("{{% autoescape {} %}}{}{{% endautoescape %}}".format, e, of),
        st.builds("{{% block b %}}{}{{% endblock %}}{{{{ self.b() }}}}".format, of),
        st.builds("{}{}".format, of, of),
    )  # fmt: skip


programs = st.recursive(st.builds("{{{{ {} }}}}".format, expressions), _blocks, max_leaves=4)
