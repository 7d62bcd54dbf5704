"""What a source in Jinja2 holds that fails whatever the data is: known when it is saved, and not when it is sent."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, Template, nodes

from tidings.rendering.allowance import joined
from tidings.rendering.guards import METHODS
from tidings.rendering.hopeless import FAILS, no_value, not_with_this, works_with_any

Render = Callable[[Template, Mapping[str, Any]], Any]
Compile = Callable[[nodes.Template], Template]

_VALUE = "value"
_LAZY = frozenset(
    {"map", "select", "reject", "selectattr", "rejectattr", "unique", "batch", "slice"}
)
"""They fail when their result is used."""
_OF_ITS_TEXT = frozenset({"format"})
"""Whether their arguments fit depends on what the text says."""


_CALLABLE = frozenset().union(*METHODS.values())
_COMPARED = {"lt": "<", "lteq": "<=", "gt": ">", "gteq": ">=", "in": "in", "notin": "not in"}
"""With their signs; the others compare anything with anything."""
_OWN = frozenset({"loop", "self", "super", "caller", "varargs", "kwargs"})


@dataclass(frozen=True, slots=True)
class Tried:
    """An expression in which what is not known is the variable `value`. name: what it is found by on its line. whole:
    whether a value without what is asked of it will not do, since nothing in the data can be called."""

    expression: nodes.Expr
    name: str
    whole: bool = False


def mistakes(
    parsed: nodes.Template, functions: frozenset[str], works: Callable[[Tried], bool]
) -> Iterator[tuple[int, str, str]]:
    """(line, name on it, what is wrong). functions: the names of what every template may call. works: whether there may
    be a value with which an expression does."""
    for division in parsed.find_all((nodes.Div, nodes.FloorDiv)):
        if isinstance(division.right, nodes.Const) and division.right.value == 0:
            yield division.lineno, "/", "It divides by zero."
    for member in parsed.find_all(nodes.Getattr):
        if member.attr.startswith("__") and member.attr.endswith("__"):
            yield member.lineno, member.attr, f"{member.attr!r} cannot be reached."
    for one in parsed.find_all(nodes.Filter):
        if (
            one.name not in _OF_ITS_TEXT
            and _is_given(one)
            and not works(Tried(_tried(one), one.name))
        ):
            said = not_with_this(one.name) if _is_known(one.node) else no_value(one.name)
            yield one.lineno, one.name, said
    known = frozenset(_local(parsed)) | _OWN
    for call in parsed.find_all(nodes.Call):
        yield from _of_call(call, known | functions)
    for given in parsed.find_all(nodes.NSRef):
        if given.name not in known:
            yield (
                given.lineno,
                given.name,
                f"{given.name!r} is no namespace, and nothing can be set in it.",
            )
    for each in parsed.find_all((nodes.BinExpr, nodes.Compare, nodes.Test, nodes.Call)):
        tried = _operation(each, known | functions, functions - known)
        if tried is not None and not works(tried):
            yield each.lineno, tried.name, FAILS


def may_work(
    tried: Tried,
    environment: Environment,
    compiled: Compile,
    render: Render,
    names: Mapping[str, Any],
) -> bool:
    """Whether an expression works for a value of any kind. names: what every template has."""
    parsed = nodes.Template([nodes.Output([tried.expression])], lineno=1)
    parsed.set_environment(environment)
    template = compiled(parsed)
    return works_with_any(
        lambda sample: joined(render(template, {**names, _VALUE: sample})), whole=tried.whole
    )


def _tried(one: nodes.Filter) -> nodes.Expr:
    """The filter, with its arguments, after a value, or after that which stands before it."""
    before = one.node if one.node is not None and _is_known(one.node) else _value()
    tried = nodes.Filter(before, one.name, one.args, one.kwargs, None, None)
    return nodes.Filter(tried, "list", [], [], None, None) if one.name in _LAZY else tried


def _value() -> nodes.Name:
    return nodes.Name(_VALUE, "load")


def _local(parsed: nodes.Template) -> Iterator[str]:
    """The names that it gives to anything."""
    yield from (one.name for one in parsed.find_all(nodes.Name) if one.ctx != "load")
    yield from (one.name for one in parsed.find_all(nodes.Macro))


def _of_call(call: nodes.Call, named: frozenset[str]) -> Iterator[tuple[int, str, str]]:
    """What is in the data is no function, and has no methods but those of its kinds."""
    callee = call.node
    if isinstance(callee, nodes.Name) and callee.name not in named:
        # `now()` is rather a function that there is not.
        yield call.lineno, callee.name, f"{callee.name!r} is no function."
    if (
        isinstance(callee, nodes.Getattr)
        and callee.attr not in _CALLABLE
        and _root(callee.node, named) is not None
    ):
        yield call.lineno, callee.attr, f"{callee.attr!r} is no method that can be called."


def _operation(one: nodes.Node, named: frozenset[str], functions: frozenset[str]) -> Tried | None:
    """Of an operator, a test or a call, if all but one of what it is given stands in the source, and that one is of the
    data. named: what is not of the data."""
    match one:
        case nodes.BinExpr() if not isinstance(one, nodes.And | nodes.Or):
            return _between(one.left, one.right, type(one), one.operator, named)
        case nodes.Compare(ops=[operand]) if operand.op in _COMPARED:
            return _between(
                one.expr,
                operand.expr,
                lambda left, right: nodes.Compare(left, [nodes.Operand(operand.op, right)]),
                _COMPARED[operand.op],
                named,
            )
        case nodes.Test() if one.args and _is_given(one):
            subject = _side(one.node, named)
            return subject and Tried(
                nodes.Test(subject.expression, one.name, one.args, one.kwargs, None, None), one.name
            )
        case nodes.Call() if _is_given(one):
            return _called(one, named, functions)
    return None


def _between(
    left: nodes.Expr,
    right: nodes.Expr,
    operate: Callable[[nodes.Expr, nodes.Expr], nodes.Expr],
    sign: str,
    named: frozenset[str],
) -> Tried | None:
    before, after = _side(left, named), _side(right, named)
    if before is None or after is None or (before.name and after.name):
        return None
    return Tried(operate(before.expression, after.expression), before.name or after.name or sign)


def _called(one: nodes.Call, named: frozenset[str], functions: frozenset[str]) -> Tried | None:
    callee = one.node
    if isinstance(callee, nodes.Name) and callee.name in functions:
        return Tried(nodes.Call(callee, one.args, one.kwargs, None, None), callee.name)
    if not isinstance(callee, nodes.Getattr) or callee.attr not in _CALLABLE:
        return None
    subject = _side(callee.node, named)
    if subject is None:
        return None
    method = nodes.Getattr(subject.expression, callee.attr, "load")
    return Tried(nodes.Call(method, one.args, one.kwargs, None, None), callee.attr, whole=True)


def _side(node: nodes.Expr, named: frozenset[str]) -> Tried | None:
    """An operand: as it stands there, or a value instead of a part of the data; None for anything else."""
    if _is_known(node):
        return Tried(node, "")
    root = _root(node, named)
    return None if root is None else Tried(_value(), root)


def _root(node: nodes.Expr, named: frozenset[str]) -> str | None:
    """The variable that it is a part of, where that is of the data."""
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        node = node.node
    return node.name if isinstance(node, nodes.Name) and node.name not in named else None


def _is_known(node: nodes.Expr | None) -> bool:
    """Whether it is worked out of what stands in the source."""
    match node:
        case nodes.Const() | nodes.TemplateData():
            return True
        case nodes.List() | nodes.Tuple():
            return all(map(_is_known, node.items))
        case nodes.Filter() | nodes.Test():
            return _is_given(node) and _is_known(node.node)
        case nodes.BinExpr():
            return _is_known(node.left) and _is_known(node.right)
        case nodes.UnaryExpr():
            return _is_known(node.node)
    return False


def _is_given(one: nodes.Filter | nodes.Test | nodes.Call) -> bool:
    """Whether all its arguments stand in the source."""
    given = [*one.args, *(pair.value for pair in one.kwargs)]
    return one.dyn_args is None and one.dyn_kwargs is None and all(map(_is_known, given))
