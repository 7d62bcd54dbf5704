"""Showing what changes: in one place of a terminal, one below the other elsewhere."""

from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live

Answer = dict[str, Any]


def watch(
    out: Console, answers: Iterable[Answer], view: Callable[[Answer], RenderableType]
) -> None:
    """view: what is shown of an answer."""
    if not out.is_terminal:
        for answer in answers:
            out.print(view(answer))
        return
    with Live(console=out, auto_refresh=False) as live:
        for answer in answers:
            live.update(view(answer), refresh=True)
