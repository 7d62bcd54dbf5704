"""Bodies written as Markdown or MJML become HTML, and styles are put into the elements: all when a
template is compiled, so that a rendering pays nothing for it and data is never read as markup.
"""

import re

import css_inline
import mrml
from markdown_it import MarkdownIt

from tidings.rendering.hiding import TAG, FormatError, Hidden, between_elements, place, unclosed

_STYLE = re.compile(r"<style\b[^>]*>(.*?)</style>", re.DOTALL | re.IGNORECASE)
_DOCUMENT = re.compile(r"<html\b|<!doctype\b", re.IGNORECASE)
_STATEMENTS = re.compile(r"[ \t]*(?:\{%.*?%\}[ \t]*)+")
_ROW_OF_ONE = re.compile(r"<tr>\s*<td[^>]*>([^<]*)</td>(?:\s*<td[^>]*></td>)*\s*</tr>")
_LOOPED_LIST = re.compile(
    r"(?P<before><!--\w+-->)\n<(?P<kind>[uo]l)>\n(?P<items>(?:(?!<[uo]l>|</[uo]l>|<!--).)*)"
    r"</(?P=kind)>\n(?P<after><!--\w+-->)",
    re.DOTALL,
)
_BEFORE_BODY = re.compile(r"((?:<!--\w+-->\s*)+)<tbody>")
_MIRRORED = re.compile(r"(\bdirection:|\btext-align:|\balign=\")(ltr|left|right)\b")
_OTHER_SIDE = {"ltr": "rtl", "left": "right", "right": "left"}
_OF_NO_LANGUAGE = ' lang="und" dir="auto"'
_ELEMENT = re.compile(r"<(mj-[\w-]*)")
_KNOWN = frozenset(
    f"mj-{name}"
    for name in [
        "accordion",
        "accordion-element",
        "accordion-text",
        "accordion-title",
        "all",
        "attributes",
        "body",
        "breakpoint",
        "button",
        "carousel",
        "carousel-image",
        "class",
        "column",
        "divider",
        "font",
        "group",
        "head",
        "hero",
        "html-attributes",
        "html-attribute",
        "image",
        "include",
        "navbar",
        "navbar-link",
        "preview",
        "raw",
        "section",
        "selector",
        "social",
        "social-element",
        "spacer",
        "style",
        "table",
        "text",
        "title",
        "wrapper",
    ]
)
_MJML_ELEMENT = re.compile(r"""<mj-[\w-]*(?:[^<>"']|"[^"]*"|'[^']*')*>""")
_ATTRIBUTE = re.compile(
    r"""(?P<name>[\w:-]+\s*=\s*)(?P<quote>["'])(?P<value>.*?)(?P=quote)""", re.DOTALL
)
_IN_QUOTES = re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|\w+);|\"")
_POSITION = re.compile(r"position (\d+)")


def html_of_markdown(source: str) -> str:
    """CommonMark with tables and strikethrough; HTML in it stays. A tag of the template is a word to
    Markdown, or a block of its own where it is alone on its line. Raises FormatError."""
    hidden = Hidden(source, _alone_on_its_line)
    converter = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    converted = _ROW_OF_ONE.sub(lambda found: _no_row(hidden, found), converter.render(hidden.text))
    converted = _LOOPED_LIST.sub(lambda found: _one_list(hidden, found), converted)
    hidden.check_blocks(converted)
    return hidden.restored(converted)


def html_of_mjml(source: str, direction: str = "ltr") -> str:
    """MJML without includes. Raises FormatError."""
    _check_elements(source)
    hidden = Hidden(source, between_elements)
    quoted = _Quoted(hidden)
    try:
        converted = quoted.restored(_to_html(quoted.text))
    except OSError as error:
        raise _of_mrml(hidden, source, _said(hidden.text, error)) from None
    hidden.check_blocks(converted)
    converted = converted.replace(_OF_NO_LANGUAGE, "")
    if direction == "rtl":
        converted = _MIRRORED.sub(lambda found: found[1] + _OTHER_SIDE[found[2]], converted)
    return hidden.restored(converted)


def _to_html(text: str) -> str:
    # Without fonts of its own it would have readers fetch some from another company.
    return mrml.to_html(text, render_options=mrml.RenderOptions(fonts={})).content


def _said(text: str, error: OSError) -> str:
    """Of the text before anything was hidden in its attributes, so that positions are right."""
    try:
        _to_html(text)
    except OSError as before:
        return str(before)
    return str(error)


class _Quoted:
    """What is written in attributes as `&quot;` and the like: mrml reads it, and would write the bare character, which
    ends the attribute. text: with words in their places."""

    def __init__(self, hidden: Hidden) -> None:
        self._found: list[str] = []
        self._word = f"{hidden.prefix}q"
        while self._word in hidden.text:
            self._word += "q"
        self.text = _MJML_ELEMENT.sub(self._element, hidden.text)
        self._mark = re.compile(rf"{self._word}(\d+)z")

    def restored(self, converted: str) -> str:
        return self._mark.sub(lambda found: self._found[int(found[1])], converted)

    def _element(self, element: re.Match[str]) -> str:
        return _ATTRIBUTE.sub(self._attribute, element[0])

    def _attribute(self, found: re.Match[str]) -> str:
        quote = found["quote"]
        value = _IN_QUOTES.sub(self._hide, found["value"])
        return f"{found['name']}{quote}{value}{quote}"

    def _hide(self, found: re.Match[str]) -> str:
        self._found.append("&quot;" if found[0] == '"' else found[0])
        return f"{self._word}{len(self._found) - 1}z"


def styled(source: str) -> str:
    """The rules of `<style>` elements put into the elements that they are for; rules for media stay
    where they are, and nothing is fetched. HTML is left as it is where styles have statements in them,
    and where blocks cut elements in two."""
    styles = _STYLE.findall(source)
    if not styles or not _DOCUMENT.search(source) or any("{%" in style for style in styles):
        return source
    hidden = Hidden(source, between_elements)
    inliner = css_inline.CSSInliner(
        keep_style_tags=True, remove_inlined_selectors=True, load_remote_stylesheets=False
    )
    try:
        hidden.check_blocks(hidden.text)
        converted = inliner.inline(hidden.text)
        if _BEFORE_BODY.search(hidden.text) is None:
            # HTML has the body of a table begin at its first row, which would leave a loop outside it.
            converted = _BEFORE_BODY.sub(r"<tbody>\1", converted)
        return hidden.restored(converted)
    except (FormatError, css_inline.InlineError):
        return source


def _check_elements(source: str) -> None:
    """mrml leaves elements that it does not know as they are, and takes no attributes from statements.
    Raises FormatError."""
    for tag in TAG.finditer(source):
        opened = source.rfind("<", 0, tag.start())
        inside = source.startswith("<mj-", opened) and not between_elements(source, tag)
        if inside and tag[0].startswith("{%"):
            where = place(source, tag.start())
            raise FormatError("inside an MJML element, only `{{ … }}` in attributes can be", *where)
    for found in _ELEMENT.finditer(TAG.sub(lambda tag: " " * len(tag[0]), source)):
        if found[1] not in _KNOWN:
            raise FormatError(f"MJML has no <{found[1]}>", *place(source, found.start()))


def _no_row(hidden: Hidden, found: re.Match[str]) -> str:
    """Statements on a line of their own in a table were read as a row."""
    words = found[1].split()
    marks = [mark for word in words if (mark := hidden.mark.fullmatch(word))]
    if not words or len(marks) < len(words):
        return found[0]
    return found[1] if all(hidden.statement(hidden.number(mark)) for mark in marks) else found[0]


def _one_list(hidden: Hidden, found: re.Match[str]) -> str:
    """A loop around items is a loop inside their list, not a list for each."""
    before = hidden.mark.fullmatch(found["before"])
    if before is None or hidden.keyword(hidden.number(before)) != "for":
        return found[0]
    kind = found["kind"]
    return f"<{kind}>\n{found['before']}\n{found['items']}{found['after']}\n</{kind}>"


def _alone_on_its_line(source: str, tag: re.Match[str]) -> bool:
    """In a table it is a row to Markdown, which a comment would end."""
    first = source.rfind("\n", 0, tag.start()) + 1
    last = source.find("\n", tag.end())
    alone = _STATEMENTS.fullmatch(source[first : last if last >= 0 else len(source)])
    return bool(alone) and not _in_table(source, first)


def _in_table(source: str, first: int) -> bool:
    for line in reversed(source[:first].splitlines()):
        if not _STATEMENTS.fullmatch(line):
            return line.lstrip().startswith("|")
    return False


def _of_mrml(hidden: Hidden, source: str, said: str) -> FormatError:
    """Where mrml tells no position, the first element that is not closed where it should be."""
    found = _POSITION.search(said)
    at = (
        len(hidden.text.encode()[: int(found[1])].decode(errors="ignore"))
        if found
        else unclosed(hidden.text)
    )
    return FormatError(f"MJML: {said}", *place(source, hidden.origin(at)))
