"""Jinja2, sandboxed and strict.

Differences from a plain sandbox: a key of the data wins over a method of the same name (`order.items`
is the data's), and a variable that is missing is an error that names it.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, UndefinedError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tidings.domain.reasons import Reason

MAX_OUTPUT = 1_000_000
"""Characters that one rendered field may have."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_MEMBER = re.compile(r"(.* has no (?:attribute|element)) (.*)", re.DOTALL)
_OTHER_TEMPLATES = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)


class TemplateSourceError(Exception):
    """A template does not compile. path: the field, e.g. email.html; line counts from 1."""

    def __init__(self, path: str, message: str, line: int) -> None:
        super().__init__(f"{path}, line {line}: {message}")
        self.path = path
        self.message = message
        self.line = line


class RenderingError(Exception):
    """A template does not render with this data; the detail names the field and, where there is one,
    the variable, and never shows the data."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class _Environment(ImmutableSandboxedEnvironment):
    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


_TEXT = _Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)
_HTML = _Environment(undefined=StrictUndefined, autoescape=True, keep_trailing_newline=False)


GLOBALS: Mapping[str, Any] = dict(_TEXT.globals)
"""What every template may use beside its variables: range, dict, cycler, joiner, namespace, lipsum."""


class Field:
    """One compiled field of a template."""

    __slots__ = ("_constant", "_source", "_template", "path")

    def __init__(self, path: str, source: str, *, html: bool = False) -> None:
        """Raises TemplateSourceError."""
        self.path = path
        self._source = source
        self._constant = source if "{" not in source else None
        self._template = None if self._constant is not None else _compile(path, source, html=html)

    def render(self, context: Mapping[str, Any]) -> str:
        """context: as made by context_of(), GLOBALS included. Raises RenderingError."""
        if self._template is None:
            return self._constant or ""
        try:
            # What Template.render() does, less a copy of all variables and globals for each field.
            whole = self._template.new_context(cast("dict[str, Any]", context), shared=True)
            text = "".join(self._template.root_render_func(whole))
        except UndefinedError as error:
            raise RenderingError(Reason.UNDEFINED_VARIABLE, self._undefined(error)) from None
        except Exception as error:  # noqa: BLE001 - a template can raise anything; the message may hold data
            raise RenderingError(
                Reason.RENDERING_FAILED, f"{self.path}: {type(error).__name__}"
            ) from None
        if len(text) > MAX_OUTPUT:
            raise RenderingError(
                Reason.RENDERING_LIMIT, f"{self.path}: over {MAX_OUTPUT} characters"
            )
        if _SURROGATE.search(text):
            # A template can write '\\ud800'; no provider and no encoding takes it.
            raise RenderingError(Reason.RENDERING_FAILED, f"{self.path}: lone surrogate")
        return text

    def _undefined(self, error: UndefinedError) -> str:
        """Which variable is missing. A name that is not in the template came from the data, as in
        `{{ prices[city] }}`, and is not shown."""
        message = error.message or "something is undefined"
        missing = _NO_MEMBER.fullmatch(message)
        if missing and missing[2].strip("'\"") not in self._source:
            message = f"{missing[1]} of the name that the data holds"
        return f"{self.path}: {message}"

    def line(self, context: Mapping[str, Any]) -> str:
        """Rendered as one line: breaks and runs of space become single spaces."""
        return " ".join(self.render(context).split())


def _compile(path: str, source: str, *, html: bool) -> Template:
    environment = _HTML if html else _TEXT
    try:
        parsed = environment.parse(source)
        for node in parsed.find_all(_OTHER_TEMPLATES):
            raise TemplateSourceError(
                path,
                "a template cannot use other templates (include, import, extends)",
                node.lineno,
            )
        return environment.from_string(parsed)
    except TemplateSyntaxError as error:
        raise TemplateSourceError(path, error.message or "syntax error", error.lineno) from None
    except (SyntaxError, RecursionError, MemoryError, ArithmeticError, ValueError) as error:
        # Jinja2 makes Python of it, and works out constants: both can fail in Python's own ways.
        raise TemplateSourceError(
            path,
            f"it cannot be compiled ({type(error).__name__}): too deeply nested or too large",
            1,
        ) from None
