"""What goes wrong, as a person is to read it."""

import typer


class CommandError(Exception):
    """Ends a command with exit status 1. hint: what to do about it; empty when the message says it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def show(error: CommandError) -> None:
    """On standard error, so that what a script reads stays clean."""
    typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
    typer.echo(error.message, err=True)
    if error.hint:
        typer.secho("  → ", fg="cyan", nl=False, err=True)
        typer.echo(error.hint.replace("\n", "\n    "), err=True)
