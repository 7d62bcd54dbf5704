"""Where what was put together was written: from a place in a whole text to the field, layout or partial of that place."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidings.domain.channels import Channel
from tidings.domain.shared import Shared
from tidings.domain.templates import Edition
from tidings.rendering.assembling import includes
from tidings.rendering.engine import RenderingError, TemplateSourceError
from tidings.rendering.hiding import TAG, place

_QUOTED = re.compile(r"'([^']+)'")
_MISSING = re.compile(r"([\w.]+) is undefined")
_TAG = re.compile(r"\{\{|\{%")

Place = tuple[str | None, int, int]
"""The layout or partial, as partials.footer.text, or None for the field itself; line and column."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A run of characters of a written text. origin: the layout or partial; None for the field itself."""

    origin: str | None
    written: str
    start: int
    end: int


def located(edition: Edition, error: TemplateSourceError) -> TemplateSourceError:
    """The same mistake, at its place in what the editor wrote. error: of the edition as assembled, and not as written."""
    found = _source(edition, error.locale, error.path, in_layout=error.in_layout)
    if found is None:
        return error
    origin, text = found
    place_there = _written(origin, text, edition.shared, error.line, error.column)
    if place_there is None:
        return error
    name, line, column = place_there
    return TemplateSourceError(
        error.path, error.message, line, column, locale=error.locale, origin=name
    )


def place_of(edition: Edition, locale: str | None, error: RenderingError) -> Place | None:
    """Of what did not render: the engine knows the line, and the column, or it is that of the name in it. Of what was converted
    to HTML, or has a layout, the line is another: there, the first tag that has the name. locale: the language whose
    content it is; None for the default's."""
    if error.line is None:
        return None
    path = error.detail.partition(": ")[0]
    names = _names(error.detail)
    if (body := _converted(edition, locale, path)) is not None:
        texts = [_source(edition, locale, body), _source(edition, locale, body, in_layout=True)]
        return _first_named(edition, [one for one in texts if one is not None], names)
    found = _source(edition, locale, path)
    if found is None:
        return None, error.line, 1
    lines = _whole(*found, edition.shared).splitlines()
    text = lines[error.line - 1] if error.line <= len(lines) else ""
    return _written(*found, edition.shared, error.line, error.column or _column(text, names))


def _names(detail: str) -> list[str]:
    """As they are in the source, the one that matters most last."""
    missing = _MISSING.search(detail)
    return _QUOTED.findall(detail) or (missing[1].split(".") if missing else [])


def _converted(edition: Edition, locale: str | None, path: str) -> str | None:
    """The path of what a part of an email was made of, where its lines are not those that were written."""
    content = edition.content if locale is None else edition.locales[locale]
    source = content.get(Channel.EMAIL, {})
    kind = next((one for one in ("html", "markdown", "mjml") if source.get(one) is not None), None)
    if path == "email.text":
        return None if kind is None or "text" in source else f"email.{kind}"
    if kind is None or path != f"email.{kind}":
        return None
    as_written = kind == "html" and "layout" not in source and "<style" not in str(source[kind])
    return None if as_written else path


def _first_named(edition: Edition, texts: list[tuple[str | None, str]], names: list[str]) -> Place:
    for origin, text in texts:
        for piece in _pieces(origin, text, edition.shared):
            for tag in TAG.finditer(piece.written, piece.start, piece.end):
                for name in reversed(names):
                    if (found := re.search(rf"\b{re.escape(name)}\b", tag[0])) is not None:
                        return piece.origin, *place(piece.written, tag.start() + found.start())
    return None, 1, 1


def _whole(origin: str | None, text: str, shared: Shared) -> str:
    return "".join(one.written[one.start : one.end] for one in _pieces(origin, text, shared))


def _column(text: str, names: list[str]) -> int:
    """Of the missing name in its line, or of the line's first tag."""
    for name in reversed(names):
        if (found := re.search(rf"\b{re.escape(name)}\b", text)) is not None:
            return found.start() + 1
    tag = _TAG.search(text)
    return tag.start() + 1 if tag else 1


def _source(
    edition: Edition, locale: str | None, path: str, *, in_layout: bool = False
) -> tuple[str | None, str] | None:
    """The text that a place is in, before its partials were put in, and whose it is."""
    channel, *names = path.split(".")
    content = edition.content if locale is None else edition.locales[locale]
    source = content.get(Channel(channel), {})
    if in_layout:
        if "layout" not in source:
            return None
        layout = edition.shared.layouts[str(source["layout"])]
        [(kind, text)] = layout.content.items()
        return f"layouts.{layout.id}.{kind}", str(text)
    value = _member(source, names)
    return (None, value) if isinstance(value, str) else None


def _member(value: Any, names: list[str]) -> Any:
    for name in names:
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def _written(origin: str | None, text: str, shared: Shared, line: int, column: int) -> Place | None:
    """None where the whole has no such place."""
    at_line, at_column = 1, 1
    last: _Piece | None = None
    for piece in _pieces(origin, text, shared):
        run = piece.written[piece.start : piece.end]
        feeds = run.count("\n")
        if at_line + feeds >= line:
            begins = _line_begins(run, line - at_line)
            # On the line where the piece begins, columns count from before it.
            offset = begins + column - (at_column if line == at_line else 1)
            ends = run.find("\n", begins)
            if 0 <= offset < (len(run) if ends < 0 else ends + 1):
                return piece.origin, *place(piece.written, piece.start + offset)
        at_line += feeds
        at_column = len(run) - run.rfind("\n") if feeds else at_column + len(run)
        last = piece if run else last
    if last is None or line > at_line:
        return None
    return last.origin, *place(last.written, last.end)


def _line_begins(text: str, feeds: int) -> int:
    at = 0
    for _ in range(feeds):
        at = text.index("\n", at) + 1
    return at


def _pieces(origin: str | None, text: str, shared: Shared) -> Iterator[_Piece]:
    end = 0
    for name, start, behind in includes(text):
        yield _Piece(origin, text, end, start)
        inner = str(shared.partials[name].content["text"])
        yield from _pieces(f"partials.{name}.text", inner, shared)
        end = behind
    yield _Piece(origin, text, end, len(text))
