"""What templates are written in: each engine compiles fields, and says of a source what data it uses.

Errors tell the field and the place, and never show the data.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from tidings.domain.reasons import Reason

NAMES: Mapping[str, Any] = {"unsubscribe_url": "", "preferences_url": "", "brand": {}}
"""What every template may use beside its variables: the links for its reader, which are empty where there are none; and
the brand."""

NOBODY: Mapping[str, Any] = {
    "data": {},
    "recipient": {"user_id": None, "locale": None, "timezone": None},
}

_SURROGATE = re.compile("[\ud800-\udfff]")
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{\{|\{%")


class TemplateSourceError(Exception):
    """A template does not compile. path: the field, e.g. email.html; line and column count from 1;
    locale: of the content, where it has several. origin: the layout or partial that the place is in, as
    partials.footer.text; None for the field itself. in_layout: whether the place is in the layout as assembled."""

    def __init__(
        self,
        path: str,
        message: str,
        line: int,
        column: int = 1,
        locale: str | None = None,
        *,
        origin: str | None = None,
        in_layout: bool = False,
    ) -> None:
        super().__init__(f"{origin or path}, line {line}: {message}")
        self.path = path
        self.message = message
        self.line = line
        self.column = column
        self.locale = locale
        self.origin = origin
        self.in_layout = in_layout

    def of(self, locale: str) -> "TemplateSourceError":
        """The same, in content of this language."""
        return TemplateSourceError(
            self.path,
            self.message,
            self.line,
            self.column,
            locale,
            origin=self.origin,
            in_layout=self.in_layout,
        )


class RenderingError(Exception):
    """A template does not render with this data; the detail names the field and, where there is one,
    the variable, and never shows the data."""

    def __init__(
        self,
        reason: Reason,
        detail: str,
        line: int | None = None,
        column: int | None = None,
        *,
        of_kind: bool = False,
    ) -> None:
        """line and column: from 1, where the engine tells them. of_kind: whether a value is of a kind that cannot be used so, as a
        list in a sum, and other values of its kind fail like it."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.line = line
        self.column = column
        self.of_kind = of_kind


class Field(ABC):
    """One compiled field of a template. variables: what it takes of the data and of what is there for all."""

    __slots__ = ("path", "source", "variables")

    def __init__(self, path: str, source: str) -> None:
        self.path = path
        self.source = source
        self.variables: frozenset[str] = frozenset()

    @abstractmethod
    def render(self, context: Mapping[str, Any]) -> str:
        """context: as made by context_of(). Raises RenderingError."""

    def line(self, context: Mapping[str, Any]) -> str:
        """Rendered as one line: breaks and runs of space become single spaces."""
        return " ".join(self.render(context).split())

    def try_without_data(self, context: Mapping[str, Any]) -> None:
        """What needs no data fails for all data alike, and is known now. Raises TemplateSourceError."""
        try:
            self.render(context)
        except RenderingError as error:
            said = error.detail.removeprefix(f"{self.path}: ")
            line, column = _first_tag(self.source)
            raise TemplateSourceError(
                self.path, f"it cannot be rendered: {said}", line, column
            ) from None

    def sendable(self, text: str) -> str:
        """A template can write '\\ud800'; no provider and no encoding takes it. Raises RenderingError."""
        if not text.isascii() and _SURROGATE.search(text):
            raise RenderingError(Reason.RENDERING_FAILED, f"{self.path}: lone surrogate")
        return text


def _first_tag(source: str) -> tuple[int, int]:
    found = _TAG.search(source)
    at = found.start() if found else 0
    return source.count("\n", 0, at) + 1, at - source.rfind("\n", 0, at)
