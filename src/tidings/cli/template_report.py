"""What people and scripts are shown of a plan, and of what became of it."""

import sys
from collections.abc import Iterable, Sequence

import typer

from tidings.cli.errors import CommandError
from tidings.cli.output import console, print_json, table, text, word
from tidings.cli.template_apply import Applied
from tidings.cli.template_step import DONE, Step, diff, summary

CHANGES = 3
"""The exit status of a check that found something to do. 1 is for what is wrong, 2 for wrong usage."""
_COLOURS = {"+++": "bold", "---": "bold", "@@": "cyan", "+": "green", "-": "red"}
_NAMED = 5
_SHOWN = 50
"""Mistakes: one in a layout is in all that use it."""


def show(steps: Sequence[Step]) -> None:
    """What would be done, with what differs."""
    for step in steps:
        if step.changes:
            because = f" ({', '.join(step.older)})" if step.action == "refresh" else ""
            typer.secho(f"{step.action} {step}{because}", bold=True)
        if step.action == "update":
            print_diff(diff(step.before, step.after, "server", "folder"))


def print_diff(lines: Iterable[str]) -> None:
    for line in lines:
        style = next((one for start, one in _COLOURS.items() if line.startswith(start)), "")
        console().print(text(line, style), soft_wrap=True)


def asks() -> bool:
    """Where nobody can be asked, in a script, the command itself says so."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def agreed(steps: Sequence[Step]) -> bool:
    """What is wrong and what is to be known is told before it is too late."""
    to_do = summary(steps)
    if not to_do:
        return True
    _print_remarks(steps, as_json=False)
    return typer.confirm(f"{to_do}. Do it?")


def report_plan(steps: Sequence[Step], *, as_json: bool, check: bool = False) -> None:
    """Raises typer.Exit where something is refused, and with check where something is to be done."""
    _print(steps, [step.action for step in steps], as_json=as_json)
    if not as_json and _all_same(steps):
        typer.echo("Nothing to do.")
    _print_remarks(steps, as_json=as_json)
    _fail_if_refused(steps)
    if check and any(step.changes for step in steps):
        raise typer.Exit(CHANGES)


def report(applied: Applied, *, as_json: bool) -> None:
    """Raises typer.Exit where something is refused, and CommandError where the rest was not done."""
    steps = applied.steps
    _print(steps, [DONE.get(step.action, step.action) for step in steps], as_json=as_json)
    if not as_json and _all_same(steps):
        typer.echo("Nothing was to be done.")
    _print_remarks(steps, as_json=as_json)
    if applied.stopped is not None:
        hint = "What is done stays. Run the same again: it goes on with what is waiting."
        stopped = applied.stopped
        raise CommandError(stopped.message, f"{stopped.hint}\n{hint}".lstrip())
    _fail_if_refused(steps)


def _all_same(steps: Sequence[Step]) -> bool:
    return all(step.action == "unchanged" for step in steps)


def _print(steps: Sequence[Step], results: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print_json(*(one.as_json(result) for one, result in zip(steps, results, strict=True)))
    elif steps:
        rows = [
            (one.kind, one.id, word(result), one.version and f"v{one.version}")
            for one, result in zip(steps, results, strict=True)
        ]
        console().print(table(("kind", "id", "result", "version"), rows))


def _print_remarks(steps: Sequence[Step], *, as_json: bool) -> None:
    if as_json:
        return
    for step in steps:
        for warning in step.warnings:
            typer.secho(f"warning: {warning}", fg="yellow", err=True)
    mistakes = [mistake for step in steps for mistake in step.mistakes]
    for mistake in mistakes[:_SHOWN]:
        typer.secho(str(mistake), fg="red", err=True)
    if len(mistakes) > _SHOWN:
        typer.secho(f"… and {len(mistakes) - _SHOWN} more", fg="red", err=True)
    if any(step.action == "refused" and not step.of_template for step in steps) and any(
        step.action == "waiting" for step in steps
    ):
        said = "What is waiting was not done: it may need what is refused."
        typer.secho(said, fg="yellow", err=True)
    _tell_of_older([step for step in steps if step.older and not step.changes])


def _tell_of_older(steps: Sequence[Step]) -> None:
    """What was published keeps what it was published with, until somebody wants otherwise."""
    if not steps:
        return
    named = [f"{step.id} ({', '.join(step.older)})" for step in steps[:_NAMED]]
    more = f" and {len(steps) - _NAMED} more" if len(steps) > _NAMED else ""
    said = f"Published with older parts: {', '.join(named)}{more}."
    typer.secho(f"{said} `push --refresh` publishes them anew.", fg="yellow", err=True)


def _fail_if_refused(steps: Sequence[Step]) -> None:
    if any(step.action in {"refused", "waiting"} for step in steps):
        raise typer.Exit(1)
