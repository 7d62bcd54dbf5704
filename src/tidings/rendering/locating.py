"""Where what was put together was written: from a place in a whole text to the field, layout or partial of that place."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidings.domain.channels import Channel
from tidings.domain.shared import Shared
from tidings.domain.templates import Edition
from tidings.rendering.assembling import includes
from tidings.rendering.engine import TemplateSourceError
from tidings.rendering.hiding import place


@dataclass(frozen=True, slots=True)
class _Piece:
    """A run of characters of a written text. origin: the layout or partial; None for the field itself."""

    origin: str | None
    written: str
    start: int
    end: int


def located(edition: Edition, error: TemplateSourceError) -> TemplateSourceError:
    """The same mistake, at its place in what the editor wrote. error: of the edition as assembled, and not as written."""
    found = _source(edition, error)
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


def _source(edition: Edition, error: TemplateSourceError) -> tuple[str | None, str] | None:
    """The text that the place is in, before its partials were put in, and whose it is."""
    channel, *names = error.path.split(".")
    content = edition.content if error.locale is None else edition.locales[error.locale]
    source = content.get(Channel(channel), {})
    if error.in_layout:
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


def _written(
    origin: str | None, text: str, shared: Shared, line: int, column: int
) -> tuple[str | None, int, int] | None:
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
