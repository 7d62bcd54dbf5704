"""The bodies of an email: from what an editor wrote, in one of several formats and perhaps with a layout, to HTML and
text. All of it happens once, when a version is compiled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tidings.rendering.assembling import before_content, filled, places_of_content, without_includes
from tidings.rendering.engine import Field, TemplateSourceError
from tidings.rendering.engines import ENGINES, Engine
from tidings.rendering.formats import html_of_markdown, html_of_mjml, styled
from tidings.rendering.formatting import direction
from tidings.rendering.hiding import FormatError, place
from tidings.rendering.languages import marked
from tidings.rendering.plain import text_of, text_template

FORMATS = ("html", "markdown", "mjml")
_AS_MJML = ("<mj-text>", "</mj-text>")

Source = Mapping[str, Any]
TextBody = Callable[[Mapping[str, Any], str], str]
"""From the context, and the HTML as rendered, to the text."""


@dataclass(frozen=True, slots=True)
class Html:
    """A body that is HTML by now. source: before it was compiled."""

    field: Field
    source: str


def html_body(engine: Engine, source: Source, locale: str | None) -> Html | None:
    """None where an email has only text. Raises TemplateSourceError."""
    kind = next((one for one in FORMATS if source.get(one) is not None), None)
    if kind is None:
        return None
    path, written = f"email.{kind}", str(source[kind])
    try:
        html = styled(marked(_html_of(kind, written, source.get("layout"), locale), locale))
        return Html(engine.field(path, html, html=True), html)
    except (FormatError, TemplateSourceError) as error:
        engine.field(path, written, html=True)  # which tells the place as the editor sees it
        if (layout := source.get("layout")) is not None:
            _blame_layout(engine, path, layout, error)
            if "mjml" in layout and isinstance(error, FormatError):
                where = _in_body(layout["mjml"], kind, written, error)
                raise TemplateSourceError(path, error.message, *where) from None
        raise TemplateSourceError(path, error.message, error.line, error.column) from None


def _blame_layout(
    engine: Engine,
    path: str,
    layout: Mapping[str, str],
    error: FormatError | TemplateSourceError,
) -> None:
    """Of a body that is right by itself. Raises TemplateSourceError where the mistake is the layout's."""
    [(kind, text)] = layout.items()
    try:
        engine.field(path, filled(text, ""), html=True)
    except TemplateSourceError as own:
        raise TemplateSourceError(path, own.message, own.line, own.column, in_layout=True) from None
    if kind == "mjml" and isinstance(error, FormatError):
        try:
            html_of_mjml(filled(text, ""))
        except FormatError as own:
            raise TemplateSourceError(
                path, own.message, own.line, own.column, in_layout=True
            ) from None


def _in_body(layout: str, kind: str, body: str, error: FormatError) -> tuple[int, int]:
    """From a place in the layout with the body in it."""
    before = before_content(layout) + ("" if kind == "mjml" else _AS_MJML[0])
    feeds = before.count("\n")
    if error.line <= feeds:
        return 1, 1
    line = error.line - feeds
    column = error.column - (len(before) - before.rfind("\n") - 1 if line == 1 else 0)
    return (line, max(column, 1)) if line <= body.count("\n") + 1 else place(body, len(body))


def text_body(engine: Engine, source: Source, html: Html | None) -> TextBody:
    """What the editor wrote, or else what the HTML says. Raises TemplateSourceError."""
    if source.get("text") is not None:
        text = engine.field("email.text", source["text"])
        return lambda context, _: text.render(context)
    if html is not None and (read := _read_before(engine, html.source)) is not None:
        return lambda context, _: read.render(context)
    return lambda _, rendered: text_of(rendered)


def _html_of(
    kind: str, written: str, layout: Mapping[str, str] | None, locale: str | None = None
) -> str:
    """Raises FormatError."""
    read = direction(locale) if locale else "ltr"
    if layout is None:
        return html_of_mjml(written, read) if kind == "mjml" else _body_of(kind, written)
    if "html" in layout:
        if kind == "mjml":
            raise FormatError("a body of MJML needs a layout of MJML")
        return filled(layout["html"], _body_of(kind, written))
    body = written if kind == "mjml" else _body_of(kind, written).join(_AS_MJML)
    return html_of_mjml(filled(layout["mjml"], body), read)


def _body_of(kind: str, written: str) -> str:
    return html_of_markdown(written) if kind == "markdown" else written


def _read_before(engine: Engine, html: str) -> Field | None:
    """The text of the HTML as a template of its own, so that it is not read anew for each message; None where only
    each message can tell."""
    text = text_template(html)
    if text is None:
        return None
    try:
        return engine.field("email.text", text)
    except TemplateSourceError:
        return None


def check_layout(layout: Mapping[str, str]) -> None:
    """layout: its html or mjml. It must be right in one of the engines; with the template that uses it, it is looked at
    in that one's, and with its partials. Raises TemplateSourceError."""
    [(kind, source)] = layout.items()
    if places_of_content(source) != 1:
        raise TemplateSourceError(kind, "`{{ content }}` must be in it once", 1)
    whole = without_includes(source)
    try:
        right = _right_in(kind, filled(whole, ""), html=True)
        html = _html_of("html", "", {kind: whole})
        right.field(kind, styled(marked(html, "en")), html=True)
    except (FormatError, TemplateSourceError) as error:
        raise TemplateSourceError(kind, error.message, error.line, error.column) from None


def check_partial(text: str) -> None:
    """As check_layout(). Raises TemplateSourceError."""
    _right_in("text", without_includes(text))


def _right_in(path: str, source: str, *, html: bool = False) -> Engine:
    """The first engine in which it is right. Raises the TemplateSourceError of the first."""
    first: TemplateSourceError | None = None
    for engine in ENGINES.values():
        try:
            engine.field(path, source, html=html)
        except TemplateSourceError as error:
            first = first or error
        else:
            return engine
    assert first is not None
    raise first
