"""What an expression in Liquid holds that fails whatever the data is: known when it is saved, and not when it is sent."""

from collections.abc import Callable, Sequence

from liquid import RenderContext
from liquid.builtin.expressions.filtered import Filter, FilteredExpression
from liquid.builtin.expressions.loop import LoopExpression
from liquid.builtin.expressions.path import Path
from liquid.builtin.expressions.primitive import StringLiteral
from liquid.exceptions import LiquidError
from liquid.expression import Expression
from liquid.limits import to_int
from liquid.token import Token

from tidings.rendering.allowance import LimitExceededError
from tidings.rendering.hopeless import FAILS, no_value, not_with_this, works_with_any

Fresh = Callable[[], RenderContext]

_GO_ON = StringLiteral(Token("word", "continue", 0, ""), "continue")
"""`offset: continue`, which stands for a number."""


def check(one: Expression, fresh: Fresh) -> None:
    """fresh: makes the context of one rendering. Raises LiquidError."""
    if isinstance(one, FilteredExpression):
        _check_filters(one.left, one.filters or (), fresh)
    elif isinstance(one, LoopExpression):
        for bound in (one.limit, one.offset):  # columns that are no number are none
            _check_bound(bound, fresh)
    elif _is_constant(one):
        _worked_out(one, fresh())


def _check_filters(left: Expression, chain: Sequence[Filter], fresh: Fresh) -> None:
    context = fresh()
    known = _is_constant(left)
    value = _worked_out(left, context) if known else None
    for each in chain:
        if not all(map(_is_constant, each.children())):
            known = False
            continue
        if not works_with_any(lambda sample, each=each: str(each.evaluate(sample, fresh()))):  # type: ignore[misc] # bound now
            raise LiquidError(no_value(each.name), token=each.token)
        if known:
            value = _filtered(each, value, context)


def _filtered(one: Filter, value: object, context: RenderContext) -> object:
    try:
        return one.evaluate(value, context)
    except Exception:  # noqa: BLE001 - a filter can raise anything
        raise LiquidError(not_with_this(one.name), token=one.token) from None


def _worked_out(one: Expression, context: RenderContext) -> object:
    try:
        return one.evaluate(context)
    except LimitExceededError as error:
        raise LiquidError(f"It is too much: {error}.", token=one.token) from None
    except Exception:  # noqa: BLE001 - a comparison can raise anything
        raise LiquidError(FAILS, token=one.token) from None


def _check_bound(bound: Expression | None, fresh: Fresh) -> None:
    if bound is None or not _is_constant(bound) or bound == _GO_ON:
        return
    try:
        to_int(bound.evaluate(fresh()))
    except (TypeError, ValueError, LiquidError):
        raise LiquidError("A loop takes a whole number here.", token=bound.token) from None


def _is_constant(one: Expression) -> bool:
    """Whether it is what stands in the source."""
    return not isinstance(one, Path) and all(map(_is_constant, one.children()))
