"""Markdown, as the reference pages are written in it."""

from collections.abc import Iterable, Sequence

Row = Sequence[object]


def table(columns: Row, rows: Iterable[Row]) -> str:
    """A Markdown table; a bar inside a cell is escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(_cell(value) for value in line)} |" for line in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())


def prose(text: str) -> str:
    """Text that is no markup: what is between angle brackets stays to be seen."""
    return text.replace("<", "\\<")
