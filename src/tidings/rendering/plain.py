"""The text of an HTML email: for readers without HTML, and for those who have it read to them.

It is made from the template, not from each message: the template's tags are put over into a text
template, which then costs what any text costs.
"""

import re
from html.parser import HTMLParser

from tidings.rendering.hiding import TAG, VOID, FormatError, Hidden, between_elements

_SPACE = re.compile(r"\s+")
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all", re.IGNORECASE
)
_UNREAD = frozenset({"head", "style", "script", "title", "template"})
_PARAGRAPHS = frozenset(
    ["p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "pre", "hr"]
)
_LINES = frozenset(
    [
        "div",
        "li",
        "tr",
        "section",
        "article",
        "header",
        "footer",
        "address",
        "center",
        "dt",
        "dd",
        "tbody",
    ]
)
_MARKUP_FILTER = re.compile(
    r"\|\s*(?:safe|e|escape|escape_once|forceescape|urlize|xmlattr|tojson|newline_to_br|raw)\b"
)
_BRACE = '{{ "{" }}'
_TRIM = re.compile(r"^(\{[{%])-|-([%}]\})$")


def text_template(html: str) -> str | None:
    """A text template that says what the HTML template says; None where only each message can tell: where
    the template prints markup of its own, or writes attributes with statements."""
    tags = [tag[0] for tag in TAG.finditer(html)]
    if any(_MARKUP_FILTER.search(tag) or tag.startswith("{% raw") for tag in tags):
        return None
    hidden = Hidden(html, between_elements)
    # A brace that is text must not begin a tag; and Jinja2 takes a last line feed away.
    text = _text(hidden.text, hidden).replace("{", _BRACE) + ("\n" if tags else "")
    try:
        return hidden.restored(text, only_statements=True, change=_untrimmed)
    except FormatError:
        return None


def text_of(html: str) -> str:
    """The text of HTML without a template's tags in it."""
    return _text(html, None)


def _untrimmed(tag: str) -> str:
    """`-` would take away the line feeds that are put around it here."""
    return _TRIM.sub(lambda found: found[1] or found[2], tag)


def _text(html: str, hidden: Hidden | None) -> str:
    reader = _Reader(hidden)
    reader.feed(html)
    reader.close()
    return "".join(reader.pieces).strip() + "\n"


class _Reader(HTMLParser):
    """Line feeds are owed until text comes; so those of what is in a loop or a condition are in it too."""

    def __init__(self, hidden: Hidden | None) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = hidden
        self._owed = 0
        self._asked = 0
        self._statements: int | None = None
        self._cell = False
        self._space = False
        self._unread: list[str] = []
        self._lists: list[int | None] = []
        self._links: list[tuple[str, int]] = []
        self._verbatim = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if self._unread or tag in _UNREAD or _HIDDEN.search(given.get("style", "")):
            if tag not in VOID:
                self._unread.append(tag)
            return
        self._break(tag)
        if tag == "br":
            self._owed += 1
            self._asked += 1
            self._space = False
        elif tag == "hr":
            self._say("----")
            self._break(tag)
        elif tag == "img":
            self._say(given.get("alt", ""))
        elif tag == "a":
            self._links.append((given.get("href", ""), len(self.pieces)))
        elif tag in ("ul", "ol"):
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "li":
            self._item()
        elif tag in ("td", "th"):
            self._cell = True
        elif tag == "pre":
            self._verbatim += 1

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._unread:
            if tag in self._unread:
                while self._unread.pop() != tag:
                    continue
            return
        if tag == "a" and self._links:
            self._link(*self._links.pop())
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        elif tag == "pre":
            self._verbatim = max(self._verbatim - 1, 0)
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self._say(data)

    def handle_comment(self, data: str) -> None:
        if self._hidden is not None and self._hidden.mark.fullmatch(data) and not self._unread:
            self._settle_space()
            self._statement(self._hidden.closes(data))
            self.pieces.append(data)

    def _statement(self, closes: bool) -> None:
        """Where a block ends, what is owed comes behind it."""
        if closes:
            self._statements, self._asked = None, self._owed
        else:
            if self._statements is None:
                self._statements = len(self.pieces)
            self._asked = 0

    def _break(self, tag: str) -> None:
        lines = 2 if tag in _PARAGRAPHS else 1 if tag in _LINES else 0
        if tag in ("ul", "ol") and len(self._lists) > 1:
            lines = 1
        if lines:
            self._owed = max(self._owed, lines)
            self._asked = max(self._asked, lines)
            self._space = self._cell = False

    def _item(self) -> None:
        number = self._lists[-1] if self._lists else None
        if self._lists and number is not None:
            self._lists[-1] = number + 1
        self._say("  " * max(len(self._lists) - 1, 0) + "- ", verbatim=True)

    def _link(self, target: str, start: int) -> None:
        said = "".join(self.pieces[start:]).strip()
        if target.startswith("#") or self._shown(target).removeprefix("mailto:") == self._shown(
            said
        ):
            return
        if target:
            self._say(f" ({target})" if said else target)

    def _shown(self, text: str) -> str:
        return text if self._hidden is None else self._hidden.shown(text)

    def _say(self, text: str, *, verbatim: bool = False) -> None:
        if not (verbatim or self._verbatim):
            text = _SPACE.sub(" ", text)
            if text.startswith(" "):
                self._space = True
            ends = text.endswith(" ")
            text = text.strip()
            if not text:
                return
        else:
            ends = False
        if self._owed:
            self._settle_lines()
        elif self._cell:
            self._settle_space(wide=True)
        else:
            self._settle_space()
        self._owed, self._asked, self._statements = 0, 0, None
        self._cell, self._space = False, ends
        self.pieces.append(text)

    def _settle_lines(self) -> None:
        """Those that only what comes before a statement asks for are before it: a list is set off once, and
        not in each round of a loop."""
        inside = self._owed if self._statements is None else self._asked
        if self._statements is not None:
            self.pieces.insert(self._statements, "\n" * (min(self._owed, 3) - min(inside, 3)))
        self.pieces.append("\n" * min(inside, 3))

    def _settle_space(self, *, wide: bool = False) -> None:
        if (self._space or wide) and not self._owed and self.pieces:
            self.pieces.append("  " if wide else " ")
        self._space = False
