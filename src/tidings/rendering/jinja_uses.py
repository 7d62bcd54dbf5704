"""The data that a source in Jinja2 uses.

A variable may be missing where it is in an `if … is defined` or has a `default`.
"""

from collections.abc import Sequence
from typing import cast

from jinja2 import TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tidings.domain.shared import BRAND
from tidings.rendering.context import RESERVED
from tidings.rendering.jinja import GLOBALS
from tidings.rendering.uses import KINDS, Names, Use, mark

_SAME = frozenset(
    {"sort", "reverse", "unique", "select", "reject", "selectattr", "rejectattr", "list"}
)
_ONE = frozenset({"first", "last", "random"})
_GUARDS = frozenset({"default", "d"})
_PRESENCE = frozenset({"defined", "undefined"})
_PARSER = ImmutableSandboxedEnvironment()


def read(source: str, root: Use) -> None:
    """Add what it uses to `root`; nothing where it does not parse."""
    try:
        parsed = _PARSER.parse(source)
    except TemplateSyntaxError:
        return
    _Reading(root).body(parsed.body, {}, sure=True)


class _Reading:
    """Of one source. Expressions are followed to what they stand for in the data."""

    def __init__(self, root: Use) -> None:
        self._root = root

    def body(self, body: Sequence[nodes.Node], names: Names, *, sure: bool) -> Names:
        """sure: whether it is rendered in any case. Names set in it hold from there on."""
        for node in body:
            names = self._statement(node, names, sure=sure)
        return names

    def _statement(self, node: nodes.Node, names: Names, *, sure: bool) -> Names:
        match node:
            case nodes.If():
                self._test(node.test, names, sure=sure)
                for part in (node.body, node.elif_, node.else_):
                    names = self.body(part, names, sure=False)
            case nodes.For():
                self._loop(node, names, sure=sure)
            case nodes.Assign():
                found = self._value(node.node, names, sure=sure)
                return {**names, **dict.fromkeys(_targets(node.target), found)}
            case nodes.Macro():
                self._other(node, names)
                return {**names, node.name: None}
            case nodes.Output():
                for one in node.nodes:
                    mark(self._value(one, names, sure=sure), "text")
            case nodes.Expr():
                self._look(node, names, sure=sure)
            case _:
                self._other(node, names)
        return names

    def _loop(self, node: nodes.For, names: Names, *, sure: bool) -> None:
        whole = self._value(node.iter, names, sure=sure)
        targets = _targets(node.target)
        item = whole.item() if whole is not None and len(targets) == 1 else None
        inner: Names = {**names, "loop": None, **dict.fromkeys(targets, item)}
        if node.test is not None:
            self._test(node.test, inner, sure=sure)
        self.body(node.body, inner, sure=sure and node.test is None)
        self.body(node.else_, names, sure=False)

    def _other(self, node: nodes.Node, names: Names) -> None:
        """Macros, blocks and the like: what is in them may not be rendered."""
        own: Names = {**names, **dict.fromkeys(_given_names(node), None)}
        for child in node.iter_child_nodes():
            own = self._statement(child, own, sure=False)

    def _look(self, node: nodes.Node, names: Names, *, sure: bool) -> None:
        self._value(cast("nodes.Expr", node), names, sure=sure)

    def _test(self, node: nodes.Node, names: Names, *, sure: bool) -> None:
        """What is only asked for its truth may be null, but must be there."""
        found = self._value(node, names, sure=sure)
        if found is not None:
            found.tested = True

    def _value(self, node: nodes.Node, names: Names, *, sure: bool) -> Use | None:
        """What an expression stands for; None where that is no part of the data."""
        match node:
            case nodes.Name():
                return self._name(node.name, names, sure=sure)
            case nodes.Getattr() | nodes.Getitem():
                return self._part(node, names, sure=sure, there=sure)
            case nodes.Filter():
                return self._filtered(node, names, sure=sure)
            case nodes.Test() if node.name in _PRESENCE:
                self._guarded(node.node, names, sure=sure)
            case nodes.CondExpr():
                self._test(node.test, names, sure=sure)
                self._look(node.expr1, names, sure=False)
                if node.expr2 is not None:
                    self._look(node.expr2, names, sure=False)
            case nodes.And() | nodes.Or():
                self._test(node.left, names, sure=sure)
                self._test(node.right, names, sure=False)
            case nodes.Not():
                self._test(node.node, names, sure=sure)
            case nodes.Call(node=nodes.Getattr() as method):
                self._look(method.node, names, sure=sure)
                for child in (*node.args, *node.kwargs):
                    self._look(child, names, sure=sure)
            case _:
                for child in node.iter_child_nodes():
                    self._look(child, names, sure=sure)
        return None

    def _name(self, name: str, names: Names, *, sure: bool) -> Use | None:
        if name in names:
            return names[name]
        if name == "data":
            return self._root
        if name != BRAND and (name in GLOBALS or name in RESERVED):
            return None
        return self._root.member(name, sure=sure)

    def _part(
        self, node: nodes.Getattr | nodes.Getitem, names: Names, *, sure: bool, there: bool
    ) -> Use | None:
        """A member or an item. there: whether it must be there, beside what it is a part of."""
        whole = self._value(node.node, names, sure=sure)
        name = node.attr if isinstance(node, nodes.Getattr) else _constant(node.arg)
        if isinstance(node, nodes.Getitem) and name is None:
            self._look(node.arg, names, sure=sure)
            return whole if isinstance(node.arg, nodes.Slice) else None
        if whole is None:
            return None
        return whole.member(name, sure=there) if isinstance(name, str) else whole.item()

    def _guarded(self, node: nodes.Node, names: Names, *, sure: bool) -> Use | None:
        """What may be missing; what it is a part of may not."""
        if isinstance(node, nodes.Name):
            return self._name(node.name, names, sure=False)
        if isinstance(node, nodes.Getattr | nodes.Getitem):
            return self._part(node, names, sure=sure, there=False)
        return self._value(node, names, sure=sure)

    def _filtered(self, node: nodes.Filter, names: Names, *, sure: bool) -> Use | None:
        for child in (*node.args, *node.kwargs):
            self._look(child, names, sure=sure)
        if node.node is None:
            return None
        if node.name in _GUARDS:
            return self._guarded(node.node, names, sure=sure)
        whole = self._value(node.node, names, sure=sure)
        if whole is None or node.name in _SAME:
            return whole
        if node.name in _ONE:
            return whole.item()
        if node.name in KINDS:
            mark(whole, KINDS[node.name])
        return None


def _constant(node: nodes.Node) -> str | int | None:
    value = node.value if isinstance(node, nodes.Const) else None
    return value if isinstance(value, str | int) else None


def _targets(node: nodes.Node) -> list[str]:
    """The names that an assignment or a loop gives."""
    if isinstance(node, nodes.Name):
        return [node.name]
    return [one.name for one in node.find_all(nodes.Name)]


def _given_names(node: nodes.Node) -> list[str]:
    """The names that hold within a macro, a call block, or a `with`."""
    names = ["caller", "varargs", "kwargs"]
    if isinstance(node, nodes.Macro | nodes.CallBlock):
        names += [one.name for one in node.args]
    if isinstance(node, nodes.With):
        names += [one for target in node.targets for one in _targets(target)]
    return names
