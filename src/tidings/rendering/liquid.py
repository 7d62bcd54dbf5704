"""Liquid, by python-liquid: strict, with the formats of Jinja2's templates, and behind the same doors.

Differences from plain Liquid: a variable that is missing is an error, unless it is only asked for its truth or has a
default; `now` and `today` are not there, for what is rendered must be the same each time; and what a rendering may cost
is limited (allowance.py).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from typing import Any, TextIO

from liquid import BoundTemplate, Environment, Node, RenderContext
from liquid.builtin.expressions.filtered import Filter, FilteredExpression
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.tags.for_tag import BreakNode, ContinueNode, ForNode
from liquid.builtin.tags.tablerow_tag import TablerowNode
from liquid.exceptions import FilterArgumentError, LiquidError, LiquidTypeError, UndefinedError
from liquid.expression import Expression
from liquid.undefined import FalsyStrictUndefined, is_undefined
from liquid.utils import ReadOnlyChainMap

from tidings.domain.reasons import Reason
from tidings.rendering import guards, liquid_hopeless
from tidings.rendering.allowance import (
    KEY,
    MAX_BITS,
    MAX_STEPS,
    Budget,
    FilterFailedError,
    LimitExceededError,
    check_length,
    counted,
    is_of_kind,
    spend_for,
)
from tidings.rendering.engine import NAMES, NOBODY, Field, RenderingError, TemplateSourceError
from tidings.rendering.formatting import FORMATS, strftime
from tidings.rendering.hiding import TAG, place
from tidings.rendering.jinja import GLOBALS
from tidings.rendering.liquid_uses import names

_OTHER_TEMPLATES = ("include", "render")
_ARITHMETIC = frozenset(
    ["plus", "minus", "times", "divided_by", "modulo", "at_least", "at_most", "round", "number"]
)
_COMMENT = re.compile(r"\{#")
_NO_ELEMENT = "index out of range"
"""What python-liquid says."""
_WORD = re.compile(r"\w+")


class _Missing(FalsyStrictUndefined):
    """The filter `default` takes its place."""

    force_liquid_default = True


class _FailedError(FilterArgumentError):
    """Of this kind, python-liquid tells the place."""

    def __init__(self, failed: FilterFailedError) -> None:
        super().__init__(str(failed), token=None)
        self.of_kind = failed.of_kind


@contextmanager
def _named(name: str) -> Iterator[None]:
    """What goes wrong inside is the filter's. Raises _FailedError."""
    try:
        yield
    except (UndefinedError, LimitExceededError):
        raise
    except Exception as error:  # noqa: BLE001 - a filter can raise anything, and its message may hold data
        raise _FailedError(FilterFailedError(name, error)) from None


class _Output(StringIO):
    """Line feeds stay as they are, and it does not become too long."""

    def __init__(self) -> None:
        super().__init__(newline="")
        self._size = 0

    def write(self, text: str) -> int:
        self._size += len(text)
        check_length(self._size)
        return super().write(text)


class _Context(RenderContext):
    """One rendering."""

    __slots__ = ("budget",)

    def __init__(self, template: BoundTemplate, budget: Budget, **given: Any) -> None:
        super().__init__(template, **given)
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)
        self.budget = budget

    @property
    def parent(self) -> Mapping[str, Any]:
        """Where the formats find the reader, as in a context of Jinja2."""
        return self.globals

    def assign(self, key: str, val: Any) -> None:
        spend_for(self.budget, val)
        super().assign(key, val)

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:
        return _Output()

    @contextmanager
    def loop(self, namespace: Mapping[str, object], forloop: Any) -> Iterator[RenderContext]:
        forloop.it = counted(self.budget, forloop.it)
        with super().loop(namespace, forloop) as inside:
            yield inside


class _Range(RangeLiteral):
    """One that is not longer than a loop may be."""

    __slots__ = ()

    def _make_range(self, start: Any, stop: Any) -> range:
        made = super()._make_range(start, stop)
        if made.stop - made.start > MAX_STEPS:
            raise LimitExceededError(f"over {MAX_STEPS} steps")
        return made


def _guarded(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that takes its cost from the budget."""
    with_context = getattr(plain, "with_context", False)
    with_environment = getattr(plain, "with_environment", False)

    def guarded(value: Any, *args: Any, context: _Context, **options: Any) -> Any:
        if name != "default":  # arithmetic takes what is missing for 0
            _demand(value, *args)
        _check(name, value, args, options)
        if with_context:
            options["context"] = context
        if with_environment:
            options["environment"] = context.env
        with _named(name):
            result = plain(value, *args, **options)
        return _paid(context.budget, result)

    return _passing_context(guarded)


def _format(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    """A filter of all engines."""

    def guarded(value: Any, *args: Any, context: _Context, **options: Any) -> Any:
        _demand(value, *args)
        _check(name, value, args, options)
        write = strftime if name == "date" and args and "%" in str(args[0]) else plain
        with _named(name):
            result = write(context, value, *args, **options)
        return _paid(context.budget, result)

    return _passing_context(guarded)


def _demand(*values: Any) -> None:
    for one in values:
        if is_undefined(one):
            str(one)  # raises the error that names the variable


def _passing_context(function: Callable[..., Any]) -> Callable[..., Any]:
    function.with_context = True  # type: ignore[attr-defined] # how python-liquid knows them
    return function


def _check(name: str, value: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
    if name not in _ARITHMETIC:
        guards.check_arguments(name, value, args, options)


def _paid(budget: Budget, result: Any) -> Any:
    if isinstance(result, int) and result.bit_length() > MAX_BITS:
        raise LimitExceededError(f"a number over {MAX_BITS} bits")
    spend_for(budget, list(result) if isinstance(result, range) else result)
    return result


def _environment(*, html: bool) -> Environment:
    made = Environment(undefined=_Missing, autoescape=html)
    made.filters = {name: _guarded(name, plain) for name, plain in made.filters.items()}
    made.filters |= {name: _format(name, plain) for name, plain in FORMATS.items()}
    for tag in _OTHER_TEMPLATES:
        del made.tags[tag]
    return made


_TEXT = _environment(html=False)
_HTML = _environment(html=True)


class LiquidField(Field):
    """Liquid."""

    __slots__ = ("_template",)

    def __init__(
        self, path: str, source: str, *, html: bool = False, accepted: bool = False
    ) -> None:
        super().__init__(path, source)
        # As in Jinja2, the line feed at the end of a file is none of the message.
        self._template = _parsed(path, source.removesuffix("\n"), html=html, accepted=accepted)
        self.variables = names(self._template)
        if not self.variables and not accepted:
            self.try_without_data({**GLOBALS, **NOBODY})

    def render(self, context: Mapping[str, Any]) -> str:
        own = {name: one for name, one in context.items() if GLOBALS.get(name, NAMES) is not one}
        budget = own.pop(KEY, None) or Budget()
        written = _Output()
        inside = _Context(self._template, budget, globals={**NAMES, **own})
        try:
            for node in self._template.nodes:
                node.render(inside, written)
            text = written.getvalue()
        except UndefinedError as error:
            raise self._failed(Reason.UNDEFINED_VARIABLE, self._undefined(error), error) from None
        except LimitExceededError as error:
            raise self._failed(Reason.RENDERING_LIMIT, str(error), error) from None
        except _FailedError as error:
            raise self._failed(Reason.RENDERING_FAILED, str(error.message), error) from None
        except Exception as error:  # noqa: BLE001 - the message may hold data
            raise self._failed(Reason.RENDERING_FAILED, type(error).__name__, error) from None
        return text if text.isascii() else self.sendable(text)

    def _undefined(self, error: UndefinedError) -> str:
        """Which variable is missing. A name that is not in the template came from the data, as in
        `{{ prices[city] }}`, and is not shown."""
        message = str(error.message or "something is undefined")
        if message == _NO_ELEMENT:
            return "a list has no element at this place"
        words = _WORD.findall(message.removesuffix(" is undefined"))
        if all(word in self.source for word in words):
            return message
        return "something of a name that the data holds is undefined"

    def _failed(self, reason: Reason, said: str, error: Exception) -> RenderingError:
        line, column = _place(self.source, error) or (None, None)
        of_kind = getattr(error, "of_kind", isinstance(error, LiquidTypeError) or is_of_kind(error))
        return RenderingError(reason, f"{self.path}: {said}", line, column, of_kind=of_kind)


def _place(source: str, error: Exception) -> tuple[int, int] | None:
    """Line and column, where the error tells it."""
    token = error.token if isinstance(error, LiquidError) else None
    return place(source, token.start_index) if token and token.start_index >= 0 else None


def _parsed(path: str, source: str, *, html: bool, accepted: bool) -> BoundTemplate:
    """Raises TemplateSourceError."""
    _check_comments(path, source)
    try:
        template = (_HTML if html else _TEXT).from_string(source)
        for node in template.nodes:
            _look(node, template, looped=False, accepted=accepted)
    except LiquidError as error:
        line, column = _place(source, error) or (1, 1)
        said = str(error.message)
        if any(repr(tag) in said for tag in _OTHER_TEMPLATES):
            said = "a template cannot use other templates (include, render)"
        raise TemplateSourceError(path, said, line, column) from None
    except (RecursionError, MemoryError, ValueError, LimitExceededError) as error:
        said = f"it cannot be compiled ({type(error).__name__}): too deeply nested or too large"
        raise TemplateSourceError(path, said, 1) from None
    return template


def _check_comments(path: str, source: str) -> None:
    """Those of Jinja2 would be sent."""
    rest = TAG.sub(lambda tag: tag[0] if tag[0].startswith("{#") else "x" * len(tag[0]), source)
    if (found := _COMMENT.search(rest)) is not None:
        line, column = place(rest, found.start())
        said = "Liquid has no comments in {# … #}: write {% comment %} … {% endcomment %}"
        raise TemplateSourceError(path, said, line, column)


def _look(node: Node, template: BoundTemplate, *, looped: bool, accepted: bool) -> None:
    """At all below this node: ranges end, filters are known and may work, and loops are what is broken off. accepted: it was
    stored, and is not asked again whether it may work. Raises LiquidError."""
    waiting: list[Expression] = list(node.expressions())
    found: list[Expression] = []
    while waiting:
        one = waiting.pop()
        if isinstance(one, RangeLiteral):
            one.__class__ = _Range
        elif isinstance(one, FilteredExpression):
            _know(one.filters or (), template.env)
        waiting.extend(one.children())
        found.append(one)
    # All filters are known, and ranges end.
    for one in () if accepted else found:
        liquid_hopeless.check(
            one, lambda: _Context(template, Budget(), globals={**NAMES, **NOBODY})
        )
    if isinstance(node, BreakNode | ContinueNode) and not looped:
        raise LiquidError("there is no loop around it", token=node.token)
    looped = looped or isinstance(node, ForNode | TablerowNode)
    for child in node.children(_Context(template, Budget()), include_partials=False):
        _look(child, template, looped=looped, accepted=accepted)


def _know(filters: Iterable[Filter], environment: Environment) -> None:
    for one in filters:
        if one.name not in environment.filters:
            raise LiquidError(f"No filter named {one.name!r}.", token=one.token)
