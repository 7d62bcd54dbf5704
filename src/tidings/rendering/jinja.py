"""Jinja2, sandboxed and strict.

Differences from a plain sandbox: a key of the data wins over a method of the same name (`order.items`
is the data's), a variable that is missing is an error that names it, and what a rendering may cost is
limited (budget.py).
"""

import re
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Any, cast

from jinja2 import (
    StrictUndefined,
    Template,
    TemplateRuntimeError,
    TemplateSyntaxError,
    UndefinedError,
    meta,
    nodes,
)
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from tidings.domain.reasons import Reason
from tidings.rendering import guards, jinja_hopeless
from tidings.rendering.allowance import (
    KEY,
    Budget,
    FilterFailedError,
    LimitExceededError,
    NotPrintableError,
    budget_of,
    is_of_kind,
    joined,
    printable,
    spend_for,
)
from tidings.rendering.engine import NAMES, NOBODY, Field, RenderingError, TemplateSourceError
from tidings.rendering.formatting import FORMATS

_NO_MEMBER = re.compile(r"(.* has no (?:attribute|element)) (.*)", re.DOTALL)
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{\{|\{%")
_OTHER_TEMPLATES = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
_COSTLY = (
    nodes.For,
    nodes.Call,
    nodes.Filter,
    nodes.BinExpr,
    nodes.Macro,
    nodes.AssignBlock,
    nodes.FilterBlock,
    nodes.CallBlock,
)


class _Guarded(NodeTransformer):
    """Puts a guard around all that could make much out of little."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 - Jinja2 names visitors so
        self.generic_visit(node)
        node.iter = _filter(cast("nodes.Expr", node.iter), "_counting")
        return node

    def visit_AssignBlock(self, node: nodes.AssignBlock) -> nodes.AssignBlock:  # noqa: N802 - Jinja2 names visitors so
        self.generic_visit(node)
        node.filter = _filter(node.filter, "_measured", node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - Jinja2 names visitors so
        self.generic_visit(node)
        together = nodes.List(node.nodes, lineno=node.lineno)
        return _filter(_filter(together, "_concatenated"), "_measured")

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802 - Jinja2 names visitors so
        return self._measured(node, node.items)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802 - Jinja2 names visitors so
        return self._measured(node, [pair.value for pair in node.items])

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802 - Jinja2 names visitors so
        if node.ctx != "load":
            return node
        return self._measured(node, node.items)

    def _measured(self, node: nodes.Expr, items: list[nodes.Expr]) -> nodes.Node:
        self.generic_visit(node)
        if all(isinstance(item, nodes.Const) for item in items):
            return node
        return _filter(node, "_measured")


def _filter(node: nodes.Expr | None, name: str, line: int = 1) -> nodes.Filter:
    lineno = line if node is None else node.lineno
    return nodes.Filter(node, name, [], [], None, None, lineno=lineno)


class _Missing(StrictUndefined):
    """Jinja2's is printed as `Undefined` where it is in a list."""

    def __repr__(self) -> str:
        return str(self)  # raises the error that names the variable


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(("*", "**", "%", "+"))
    concat = staticmethod(joined)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return guards.allowed(obj, attr) and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """Texts have no `format` here, which Jinja2's sandbox would let through: with `{0}` in a text of the data, it
        makes of two short texts one of gigabytes. There are the filter of this name, and `~`."""

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        return guards.operate(context, operator, left, right, self.binop_table[operator])

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        budget = budget_of(context)
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str | list | tuple | dict):
            guards.check_arguments(obj.__name__, owner, args, kwargs)
        elif isinstance(obj, LoopContext) and args:
            args = (guards.counting(context, args[0]), *args[1:])
        result = super().call(context, obj, *args, **kwargs)
        spend_for(budget, result)
        return result


def _environment(*, html: bool) -> _Environment:
    environment = _Environment(
        undefined=_Missing,
        autoescape=html,
        keep_trailing_newline=False,
        finalize=printable,
    )
    environment.filters = guards.guarded_filters()
    environment.filters |= {name: guards.guard(name, one) for name, one in FORMATS.items()}
    environment.filters |= {
        "_counting": guards.counting,
        "_measured": guards.measured,
        "_concatenated": guards.concatenated,
    }
    del environment.globals["lipsum"]
    environment.globals["namespace"] = guards.QuietNamespace
    environment.globals["cycler"] = guards.QuietCycler
    return environment


_TEXT = _environment(html=False)
_HTML = _environment(html=True)


GLOBALS: Mapping[str, Any] = {
    **_TEXT.globals,
    **NAMES,
}
"""What every template may use beside its variables: range, dict, cycler, joiner, namespace; the links for its
reader, which are empty where there are none; and the brand."""

_FUNCTIONS = frozenset(name for name, one in GLOBALS.items() if callable(one))

_SAME = GLOBALS.keys() - {"brand"}
"""What is the same whoever the reader is, and whatever a template was stored with."""


class JinjaField(Field):
    """Jinja2."""

    __slots__ = ("_constant", "_costly", "_template")

    def __init__(
        self, path: str, source: str, *, html: bool = False, accepted: bool = False
    ) -> None:
        super().__init__(path, source)
        self._constant: str | None = None
        self._template: Template | None = None
        self._costly = False
        if "{" not in source:
            self._constant = source
            return
        self._template, self._costly, self.variables = _compile(
            path, source, html=html, accepted=accepted
        )
        if not self.variables and not accepted:
            self.try_without_data({**GLOBALS, **NOBODY})

    def render(self, context: Mapping[str, Any]) -> str:
        """context: with GLOBALS."""
        template = self._template
        if template is None:
            return self._constant or ""
        if self._costly and KEY not in context:
            context = {**context, KEY: Budget()}
        try:
            text = joined(template.root_render_func(_context(template, context)))
        except UndefinedError as error:
            raise self._failed(Reason.UNDEFINED_VARIABLE, self._undefined(error), error) from None
        except LimitExceededError as error:
            raise self._failed(Reason.RENDERING_LIMIT, str(error), error) from None
        except (NotPrintableError, FilterFailedError) as error:
            raise self._failed(Reason.RENDERING_FAILED, str(error), error) from None
        except Exception as error:  # noqa: BLE001 - a template can raise anything; the message may hold data
            raise self._failed(Reason.RENDERING_FAILED, type(error).__name__, error) from None
        return text if text.isascii() else self.sendable(text)

    def _undefined(self, error: UndefinedError) -> str:
        """Which variable is missing. A name that is not in the template came from the data, as in
        `{{ prices[city] }}`, and is not shown."""
        message = error.message or "something is undefined"
        missing = _NO_MEMBER.fullmatch(message)
        if missing and missing[2].strip("'\"") not in self.source:
            message = f"{missing[1]} of the name that the data holds"
        return message

    def _failed(self, reason: Reason, said: str, error: Exception) -> RenderingError:
        of_kind = error.of_kind if isinstance(error, FilterFailedError) else is_of_kind(error)
        line = _line(error.__traceback__)
        return RenderingError(reason, f"{self.path}: {said}", line, of_kind=of_kind)


def _context(template: Template, variables: Mapping[str, Any]) -> Context:
    """What Template.new_context() makes, less a copy of all variables for each field, and less the names of the
    globals, which only templates that other templates import need."""
    whole = cast("dict[str, Any]", variables)
    return Context(template.environment, whole, template.name, template.blocks)


def _line(traceback: TracebackType | None) -> int | None:
    found = None
    while traceback is not None:
        template = traceback.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            found = int(template.get_corresponding_lineno(traceback.tb_lineno))
        traceback = traceback.tb_next
    return found


def _compile(
    path: str, source: str, *, html: bool, accepted: bool
) -> tuple[Template, bool, frozenset[str]]:
    environment = _HTML if html else _TEXT
    try:
        parsed = environment.parse(source)
        _check_names(environment, path, source, parsed)
        if not accepted:
            _check_hopes(environment, path, source, parsed)
        variables = frozenset(meta.find_undeclared_variables(parsed)) - _SAME
        guarded = _Guarded().visit(parsed)
        costly = next(guarded.find_all(_COSTLY), None) is not None
        return environment.from_string(guarded), costly, variables
    except TemplateSyntaxError as error:
        column = _column(environment, source, error.lineno)
        raise TemplateSourceError(
            path, error.message or "syntax error", error.lineno, column
        ) from None
    except (SyntaxError, RecursionError, MemoryError, ArithmeticError, ValueError) as error:
        # Jinja2 makes Python of it, and works out constants: both can fail in Python's own ways.
        raise TemplateSourceError(
            path,
            f"it cannot be compiled ({type(error).__name__}): too deeply nested or too large",
            1,
        ) from None
    except (LimitExceededError, TemplateRuntimeError) as error:
        raise TemplateSourceError(path, f"it cannot be compiled: {error}", 1) from None


def _check_names(environment: _Environment, path: str, source: str, parsed: nodes.Template) -> None:
    """Jinja2 itself leaves a filter that is not known inside a condition to fail when it is rendered."""
    for node in parsed.find_all(_OTHER_TEMPLATES):
        raise TemplateSourceError(
            path,
            "a template cannot use other templates (include, import, extends)",
            node.lineno,
            _column(environment, source, node.lineno),
        )
    for named in parsed.find_all((nodes.Filter, nodes.Test)):
        known = environment.filters if isinstance(named, nodes.Filter) else environment.tests
        if named.name not in known or named.name.startswith("_"):
            raise TemplateSourceError(
                path,
                f"No {type(named).__name__.lower()} named {named.name!r}.",
                named.lineno,
                _column(environment, source, named.lineno, named.name),
            )


def _check_hopes(environment: _Environment, path: str, source: str, parsed: nodes.Template) -> None:
    works = partial(_may_work, environment)
    for line, name, said in jinja_hopeless.mistakes(parsed, _FUNCTIONS, works):
        raise TemplateSourceError(path, said, line, _column(environment, source, line, name))


def _may_work(environment: _Environment, tried: jinja_hopeless.Tried) -> bool:
    return jinja_hopeless.may_work(
        tried,
        environment,
        lambda parsed: environment.from_string(_Guarded().visit(parsed)),
        lambda template, given: template.root_render_func(
            _context(template, {**given, KEY: Budget()})
        ),
        {**GLOBALS, **NOBODY},
    )


def _column(environment: _Environment, source: str, line: int, name: str = "") -> int:
    """Where on its line a mistake is: Jinja2 tells only the line. The first expression that does not
    parse by itself, or the first tag that holds the name."""
    lines = source.splitlines()
    text = lines[line - 1] if line <= len(lines) else ""
    tags = list(_TAG.finditer(text))
    for tag in tags:
        if name and (found := tag[0].find(name, len("{{"))) > 0:
            return tag.start() + found + 1
        if not name and tag[0].startswith("{{") and not _parses(environment, tag[0]):
            return tag.start() + 1
    statements = [tag for tag in tags if tag[0].startswith("{%")]
    chosen = (statements or tags)[:1]
    return chosen[0].start() + 1 if chosen else 1


def _parses(environment: _Environment, tag: str) -> bool:
    try:
        environment.parse(tag)
    except (TemplateSyntaxError, RecursionError):
        return False
    return True
