"""What a source in Jinja2 holds that fails whatever the data is: known when it is saved, and not when it is sent."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jinja2 import Environment, Template, nodes

from tidings.rendering.allowance import joined
from tidings.rendering.hopeless import no_value, not_with_this, works_with_any

Render = Callable[[Template, Mapping[str, Any]], Any]
Compile = Callable[[nodes.Template], Template]

_VALUE = "value"
_LAZY = frozenset(
    {"map", "select", "reject", "selectattr", "rejectattr", "unique", "batch", "slice"}
)
"""They fail when their result is used."""
_OF_ITS_TEXT = frozenset({"format"})
"""Whether their arguments fit depends on what the text says."""


def mistakes(
    parsed: nodes.Template, works: Callable[[nodes.Filter], bool]
) -> Iterator[tuple[int, str, str]]:
    """(line, name on it, what is wrong). works: whether there may be a value with which the filter does."""
    for division in parsed.find_all((nodes.Div, nodes.FloorDiv)):
        if isinstance(division.right, nodes.Const) and division.right.value == 0:
            yield division.lineno, "", "It divides by zero."
    for member in parsed.find_all(nodes.Getattr):
        if member.attr.startswith("__") and member.attr.endswith("__"):
            yield member.lineno, member.attr, f"{member.attr!r} cannot be reached."
    for one in parsed.find_all(nodes.Filter):
        if one.name not in _OF_ITS_TEXT and _is_constant(one) and not works(one):
            said = not_with_this(one.name) if _is_known(one.node) else no_value(one.name)
            yield one.lineno, one.name, said


def may_work(
    one: nodes.Filter,
    environment: Environment,
    compiled: Compile,
    render: Render,
    names: Mapping[str, Any],
) -> bool:
    """Whether the filter, with its arguments, works for a value of any kind, or for that which stands before it. names:
    what every template has."""
    tried: nodes.Expr = nodes.Filter(
        one.node if one.node is not None and _is_known(one.node) else nodes.Name(_VALUE, "load"),
        one.name,
        one.args,
        one.kwargs,
        None,
        None,
    )
    if one.name in _LAZY:
        tried = nodes.Filter(tried, "list", [], [], None, None)
    parsed = nodes.Template([nodes.Output([tried])], lineno=1)
    parsed.set_environment(environment)
    template = compiled(parsed)
    return works_with_any(lambda sample: joined(render(template, {**names, _VALUE: sample})))


def _is_known(node: nodes.Expr | None) -> bool:
    """Whether it is worked out of what stands in the source."""
    if isinstance(node, nodes.Filter):
        return _is_constant(node) and _is_known(node.node)
    return node is not None and _is_literal(node)


def _is_constant(one: nodes.Filter) -> bool:
    """Whether all that it is given stands in the source."""
    given = [*one.args, *(pair.value for pair in one.kwargs)]
    return one.dyn_args is None and one.dyn_kwargs is None and all(map(_is_literal, given))


def _is_literal(node: nodes.Expr) -> bool:
    match node:
        case nodes.Const():
            return True
        case nodes.List() | nodes.Tuple():
            return all(map(_is_literal, node.items))
        case nodes.Neg():
            return _is_literal(node.node)
    return False
