"""What commands print: tables and colour for people, JSON for scripts."""

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeAlias

import orjson
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="JSON on standard output, a line for each entry.")
]

_STYLES = {
    "delivered": "bold green",
    "sent": "green",
    "accepted": "green",
    "pending": "cyan",
    "attempted": "dim",
    "transient": "yellow",
    "unknown": "magenta",
    "failed": "red",
    "permanent": "red",
    "bounced": "red",
    "suppressed": "yellow",
    "skipped": "dim",
    "expired": "yellow",
    "cancelled": "dim",
    "ok": "green",
    "warn": "yellow",
    "fail": "bold red",
    "created": "green",
    "updated": "cyan",
    "unchanged": "dim",
    "create": "green",
    "update": "cyan",
    "refresh": "cyan",
    "refreshed": "cyan",
    "restore": "green",
    "restored": "green",
    "remove": "yellow",
    "removed": "yellow",
    "delete": "red",
    "deleted": "red",
    "publish": "green",
    "published": "green",
    "archive": "yellow",
    "archived": "yellow",
    "waiting": "red",
    "replayed": "green",
    "discarded": "dim",
    "refused": "bold red",
    "closed": "green",
    "half_open": "yellow",
    "open": "bold red",
}
# What others wrote must not steer the terminal: control characters, but for tab and line feed, are shown.
_CONTROL = dict.fromkeys((*range(32), 127, *range(128, 160)), "�")
_CONTROL |= {ord("\t"): "\t", ord("\n"): "\n", ord("\r"): ""}
_PIPE_WIDTH = 200


def console(*, stderr: bool = False) -> Console:
    """Data goes to standard output, everything else to standard error. Text is never read as markup."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, width=width)


def print_json(*documents: Any) -> None:
    """One line for each: a list, too, is printed as JSON lines."""
    sys.stdout.buffer.write(b"".join(orjson.dumps(one) + b"\n" for one in documents))
    sys.stdout.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A plain table; the first column, a name or an id, is never broken."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        made.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        made.add_row(*(value if isinstance(value, Text | Table) else text(value) for value in row))
    return made


def text(value: Any, style: str = "") -> Text:
    """A cell; None is empty."""
    return Text("" if value is None else str(value).translate(_CONTROL), style=style)


def word(value: str) -> Text:
    """A status, outcome or result in its colour."""
    return text(value, _STYLES.get(value, ""))


def moment(value: str | None) -> str:
    """A time of the API, in the time zone of whoever looks, to the millisecond."""
    if value is None:
        return ""
    local = datetime.fromisoformat(value).astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03}"
