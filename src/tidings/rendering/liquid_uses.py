"""The data that a source in Liquid uses.

A variable may be missing where it is asked for its truth, or has a `default`.
"""

from collections.abc import Iterable

from liquid import BoundTemplate, Environment, Node, RenderContext
from liquid.ast import BlockNode, ConditionalBlockNode
from liquid.builtin.expressions.filtered import Filter, FilteredExpression
from liquid.builtin.expressions.logical import BooleanExpression
from liquid.builtin.expressions.loop import LoopExpression
from liquid.builtin.expressions.path import Path
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.exceptions import LiquidError
from liquid.expression import Expression

from tidings.domain.shared import BRAND
from tidings.rendering.context import RESERVED
from tidings.rendering.engine import NAMES
from tidings.rendering.uses import KINDS, Names, Use, mark

_SAME = frozenset({"sort", "sort_natural", "reverse", "uniq", "compact", "where", "reject"})
_ONE = frozenset({"first", "last"})
_NUMBERS = frozenset(("plus", "minus", "times", "divided_by", "modulo", "abs", "ceil", "floor"))
_SIZES = frozenset({"size", "first", "last"})
_PARSER = Environment(strict_filters=False)


def read(source: str, root: Use) -> None:
    """Add what it uses to `root`; nothing where it does not parse."""
    try:
        template = _PARSER.from_string(source)
    except (LiquidError, RecursionError):
        return
    _Reading(root, RenderContext(template)).nodes(template.nodes, {}, sure=True)


def names(template: BoundTemplate) -> frozenset[str]:
    """Of the data, and of the reader or the brand, that it uses."""
    root = Use()
    _Reading(root, RenderContext(template)).nodes(template.nodes, {}, sure=True)
    given = template.analyze(include_partials=False).globals.keys() & {*RESERVED, BRAND}
    return frozenset(root.members) | given


class _Reading:
    """Of one source. Expressions are followed to what they stand for in the data."""

    def __init__(self, root: Use, context: RenderContext) -> None:
        self._root = root
        self._context = context

    def nodes(self, nodes: Iterable[Node], names: Names, *, sure: bool) -> Names:
        """sure: whether they are rendered in any case. Names given in them hold from there on."""
        for node in nodes:
            names = self._node(node, names, sure=sure)
        return names

    def _node(self, node: Node, names: Names, *, sure: bool) -> Names:
        found: list[Use | None] = []
        inner = dict(names)
        for one in node.expressions():
            if isinstance(one, LoopExpression):
                whole = self._value(one.iterable, names, sure=sure)
                inner[one.identifier] = None if whole is None else whole.item()
                for other in (one.limit, one.offset, one.cols):
                    if other is not None:
                        self._value(other, names, sure=sure)
            else:
                found.append(self._value(one, names, sure=sure))
        if isinstance(node, OutputNode):
            for use in found:
                mark(use, "text")
        inner |= dict.fromkeys(set(node.block_scope()) - inner.keys(), None)
        # A block by itself is rendered whenever what is around it is.
        certain = sure and isinstance(node, BlockNode)
        if any(isinstance(one, LoopExpression) for one in node.expressions()):
            certain = sure
        if not isinstance(node, ConditionalBlockNode) and list(node.template_scope()):
            certain = sure
        given = self.nodes(
            node.children(self._context, include_partials=False), inner, sure=certain
        )
        if isinstance(node, AssignNode):
            return {**names, str(node.name): found[0] if found else None}
        scope = {str(name) for name in node.template_scope()}
        outer = {name: one for name, one in given.items() if name not in inner}
        return {**names, **outer, **dict.fromkeys(scope, None)}

    def _value(self, one: Expression, names: Names, *, sure: bool) -> Use | None:
        """What it stands for; None where that is not known."""
        match one:
            case Path():
                return self._path(one, names, sure=sure)
            case FilteredExpression():
                return self._filtered(one, names, sure=sure)
            case BooleanExpression():
                self._tested(one.expression, names)
            case _:
                for child in one.children():
                    self._value(child, names, sure=sure)
        return None

    def _tested(self, one: Expression, names: Names) -> None:
        """What is asked for its truth or compared may be missing."""
        if isinstance(one, Path):
            use = self._path(one, names, sure=False)
            if use is not None:
                use.tested = True
            return
        for child in one.children():
            self._tested(child, names)

    def _path(self, one: Path, names: Names, *, sure: bool) -> Use | None:
        head, *rest = one.path
        if not isinstance(head, str):
            return None
        use = self._name(head, names, sure=sure)
        for segment in rest:
            if isinstance(segment, Path):
                self._path(segment, names, sure=sure)
                return None
            if use is None:
                return None
            if isinstance(segment, int):
                use = use.item()
            elif segment in _SIZES:
                return None
            else:
                use = use.member(segment, sure=sure)
        return use

    def _name(self, name: str, names: Names, *, sure: bool) -> Use | None:
        if name in names:
            return names[name]
        if name == "data":
            return self._root
        if name != BRAND and (name in NAMES or name in RESERVED):
            return None
        return self._root.member(name, sure=sure)

    def _filtered(self, one: FilteredExpression, names: Names, *, sure: bool) -> Use | None:
        filters = one.filters or []
        allowed = bool(filters) and filters[0].name == "default"
        use = self._value(one.left, names, sure=sure and not allowed)
        for each in filters:
            for argument in each.args:
                self._value(argument.value, names, sure=sure)
            use = self._through(each, use)
        return use

    def _through(self, one: Filter, use: Use | None) -> Use | None:
        if use is None or one.name in _SAME or one.name == "default":
            return use
        if one.name in _ONE:
            return use.item()
        if one.name in _NUMBERS:
            mark(use, "number")
        elif one.name in KINDS:
            mark(use, KINDS[one.name])
        return None
