"""A group whose commands are imported when they are run, and not before.

`tidings serve` and the processes it starts run for ever: they must not carry the modules of the other
commands. So the list of commands is a table of names, and the help text comes from it.
"""

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


@dataclass(frozen=True, slots=True)
class Lazy:
    """module: has the command as a Typer named `app`. panel: its heading in the list."""

    module: str
    help: str
    panel: str


class LazyGroup(TyperGroup):
    """Subclass it with the table of commands, in the order in which they are listed."""

    table: ClassVar[Mapping[str, Lazy]] = {}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # What stands in for a command where only its name and help are asked for.
        self.commands = {
            name: TyperCommand(name, help=lazy.help, rich_help_panel=lazy.panel)
            for name, lazy in self.table.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Called when a command is run or completed: the place to load it."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is None or command is None:
            return name, command, rest
        app: typer.Typer = importlib.import_module(self.table[name].module).app
        loaded = get_command(app)
        loaded.name = name
        _flow(loaded)
        return name, loaded, rest


def _flow(command: Any) -> None:
    """Typer ends lines where the source does: help is to be as wide as the terminal. Paragraphs stay."""
    if command.help:
        paragraphs = inspect.cleandoc(command.help).split("\n\n")
        command.help = "\n\n".join(" ".join(one.split()) for one in paragraphs)
    for inner in getattr(command, "commands", {}).values():
        _flow(inner)
