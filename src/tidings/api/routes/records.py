"""CSV as it comes, line by line: records may go over several lines."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tidings.api.routes.lines import Line

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class RecordError(ValueError):
    """The record is no CSV; the message does not show it."""


@dataclass(frozen=True, slots=True)
class Record:
    """number: of its first line. text: None where it was longer than allowed."""

    number: int
    text: bytes | None = field(repr=False)


class Records:
    """Puts lines together to records: one ends with the line in which all quotes are closed.

    longest: bytes that a record may have. A quote that is never closed costs no more than that.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._first = 0
        self._begun = bytearray()

    def feed(self, lines: Sequence[Line]) -> Iterator[Record]:
        for line in lines:
            if not self._begun:
                self._first = line.number
            if line.text is None or len(self._begun) + len(line.text) > self._longest:
                self._begun.clear()
                yield Record(self._first, None)
                continue
            self._begun += line.text + b"\n"
            if self._begun.count(b'"') % 2 == 0:
                yield self._ended()

    def end(self) -> Iterator[Record]:
        """What was begun; its quote was never closed."""
        if self._begun:
            yield self._ended()

    def _ended(self) -> Record:
        text = bytes(self._begun)
        self._begun.clear()
        return Record(self._first, text)


def cells(text: bytes, *, separator: str = ",") -> list[str]:
    """The cells of one record; none for an empty line. Raises RecordError."""
    try:
        decoded = text.removeprefix(_BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError:
        raise RecordError("the text is not UTF-8") from None
    try:
        rows = list(csv.reader(decoded.splitlines(keepends=True), delimiter=separator, strict=True))
    except csv.Error:
        raise RecordError("the quotes are not closed, or stand in the middle of a cell") from None
    found = [row for row in rows if row]
    if len(found) > 1:
        raise RecordError("a line break stands outside of quotes")
    return found[0] if found else []
