"""A template's own tags, put out of sight while its source is converted, and put back afterwards.

A converter of Markdown, MJML or CSS sees words and comments where the template has tags, so data never
passes through one: it is put in when a message is rendered, and escaped as the engine escapes.
"""

import re
from collections.abc import Callable
from html.parser import HTMLParser

TAG = re.compile(
    r"\{%[-+]?\s*(?P<verbatim>raw|comment)\s*[-+]?%\}.*?\{%[-+]?\s*end(?P=verbatim)\s*[-+]?%\}"
    r"|\{#.*?#\}"
    r"""|\{\{(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^"'])*?\}\}"""
    r"""|\{%(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^"'])*?%\}""",
    re.DOTALL,
)
_KEYWORD = re.compile(r"\{%-?\s*(\w+)")
_MIDDLE = frozenset({"else", "elif", "elsif", "when"})
_MARK_END = "z"
VOID = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    ]  # HTML, 13.1.2
)


class FormatError(Exception):
    """line and column count from 1, in the source that was given."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


def place(source: str, at: int) -> tuple[int, int]:
    """Line and column."""
    return source.count("\n", 0, at) + 1, at - source.rfind("\n", 0, at)


class Hidden:
    """A source without its tags. text: what a converter may see. prefix: of the words in it that stand for tags."""

    def __init__(self, source: str, as_comment: Callable[[str, re.Match[str]], bool]) -> None:
        """as_comment: whether a statement (`{% … %}`) at this place is a comment to the converter, and not
        a word. Prints are words. The source must be a template that the engine can read."""
        self._source = source
        self._tags: list[re.Match[str]] = []
        self.prefix = "tdt"
        while self.prefix in source:
            self.prefix += "x"
        self.mark = re.compile(
            rf"(?:<!--|&lt;!--)?{self.prefix}(\d+){_MARK_END}(?:--&gt;|-->|=\"\")?"
        )

        def hide(tag: re.Match[str]) -> str:
            if tag[0].startswith("{#"):
                return "\n" * tag[0].count("\n")
            self._tags.append(tag)
            word = f"{self.prefix}{len(self._tags) - 1}{_MARK_END}"
            statement = tag[0].startswith("{%") and as_comment(source, tag)
            return f"<!--{word}-->" if statement else word

        self.text = TAG.sub(hide, source)

    def restored(
        self, converted: str, *, only_statements: bool = False, change: Callable[[str], str] = str
    ) -> str:
        """The tags back in their places. only_statements: prints may be missing. Raises FormatError where a
        tag was lost, and where statements are in another order."""
        found = [int(mark[1]) for mark in self.mark.finditer(converted)]
        there = set(found)
        for number in range(len(self._tags)):
            if number not in there and (self.statement(number) or not only_statements):
                raise self._error(number, "this is lost in the conversion to HTML: move it")
        order = [number for number in found if self.statement(number)]
        expected = [number for number in range(len(self._tags)) if self.statement(number)]
        for number, other in zip(order, expected, strict=False):
            if number != other:
                raise self._error(other, "this moves in the conversion to HTML: move it")
        if len(order) > len(expected):
            raise self._error(order[-1], "this is doubled in the conversion to HTML: move it")
        return self.mark.sub(lambda mark: change(self._tags[int(mark[1])][0]), converted)

    def shown(self, text: str) -> str:
        """A piece of the text with its tags, without any check."""
        return self.mark.sub(lambda mark: self._tags[int(mark[1])][0], text)

    def check_blocks(self, converted: str) -> None:
        """A block that opens inside one element and closes in another cuts elements in two. Raises
        FormatError."""
        elements = _Elements(self.mark)
        elements.feed(converted)
        elements.close()
        opened: list[int] = []
        for number in range(len(self._tags)):
            keyword = self.keyword(number)
            if _closes(keyword):
                if opened and elements.around.get(opened[-1]) != elements.around.get(number):
                    raise self._error(
                        opened[-1],
                        f"this block begins and ends in different elements "
                        f"(see line {place(self._source, self._tags[number].start())[0]})",
                    )
                if keyword.startswith("end") and opened:
                    opened.pop()
            elif self.opens(number):
                opened.append(number)

    def statement(self, number: int) -> bool:
        return self._tags[number][0].startswith("{%")

    def keyword(self, number: int) -> str:
        found = _KEYWORD.match(self._tags[number][0])
        return found[1] if found else ""

    def closes(self, comment: str) -> bool:
        """Whether the statement that a comment stands for ends a block, or begins its other part."""
        mark = self.mark.fullmatch(comment)
        return mark is not None and _closes(self.keyword(self.number(mark)))

    def opens(self, number: int) -> bool:
        """Whether an end of it comes."""
        end = f"end{self.keyword(number)}"
        if end == "endset" and "=" in self._tags[number][0]:
            return False
        return self.statement(number) and any(
            self.keyword(later) == end for later in range(number + 1, len(self._tags))
        )

    def origin(self, at: int) -> int:
        """Where in the source a place of the text is."""
        moved = 0
        for mark in self.mark.finditer(self.text):
            if mark.end() > at:
                break
            moved = self._tags[int(mark[1])].end() - mark.end()
        return min(at + moved, len(self._source))

    def number(self, mark: re.Match[str]) -> int:
        return int(mark[1])

    def _error(self, number: int, message: str) -> FormatError:
        return FormatError(message, *place(self._source, self._tags[number].start()))


def _closes(keyword: str) -> bool:
    return keyword.startswith("end") or keyword in _MIDDLE


class _Elements(HTMLParser):
    """In which element each mark is."""

    def __init__(self, mark: re.Pattern[str]) -> None:
        super().__init__(convert_charrefs=False)
        self.around: dict[int, int] = {}
        self._mark = mark
        self._open: list[tuple[str, int]] = [("", 0)]
        self._count = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self._count += 1
            self._open.append((tag, self._count))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens and closes nothing."""

    def handle_endtag(self, tag: str) -> None:
        for index in range(len(self._open) - 1, 0, -1):
            if self._open[index][0] == tag:
                del self._open[index:]
                return

    def handle_data(self, data: str) -> None:
        self._look(data)

    def handle_comment(self, data: str) -> None:
        self._look(data)

    def _look(self, text: str) -> None:
        for mark in self._mark.finditer(text):
            self.around[int(mark[1])] = self._open[-1][1]


class _Nesting(HTMLParser):
    """The place of the first end that fits no beginning."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.wrong: tuple[int, int] | None = None
        self._open: list[tuple[str, tuple[int, int]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self._open.append((tag, self.getpos()))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens and closes nothing."""

    def handle_endtag(self, tag: str) -> None:
        if self.wrong is None and (not self._open or self._open.pop()[0] != tag):
            self.wrong = self.getpos()

    def close(self) -> None:
        super().close()
        if self.wrong is None and self._open:
            self.wrong = self._open[-1][1]


def unclosed(text: str) -> int:
    """Where the first element is that does not close as it should; the beginning where all do."""
    nesting = _Nesting()
    nesting.feed(text)
    nesting.close()
    line, column = nesting.wrong or (1, 0)
    return sum(map(len, text.split("\n")[: line - 1])) + line - 1 + column


def between_elements(source: str, tag: re.Match[str]) -> bool:
    """Not inside the `<…>` of an element."""
    before = TAG.sub("", source[: tag.start()])
    return before.rfind("<") <= before.rfind(">")
