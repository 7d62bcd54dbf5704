"""`tidings user import`: progress, and a report of what was refused."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from tidings.cli.client import Api, UnreachableError
from tidings.cli.errors import CommandError
from tidings.cli.output import console, print_json, table

_CHUNK = 64 * 2**10
_SHOWN = 20


class Kind(StrEnum):
    NDJSON = "ndjson"
    CSV = "csv"


_TYPES = {Kind.NDJSON: "application/x-ndjson", Kind.CSV: "text/csv"}


def run(api: Api, path: Path, kind: Kind | None, *, as_json: bool) -> None:
    """Import all lines. Exit status 1 if any was refused."""
    if kind is None:
        kind = Kind.CSV if path.suffix.lower() == ".csv" else Kind.NDJSON
    out = console(stderr=True)
    refused: list[dict[str, Any]] = []
    last: dict[str, Any] = {}
    with _opened(path) as file, _progress(out) as progress:
        task = progress.add_task("importing", total=_size(file))
        body = _chunks(file, lambda sent: progress.advance(task, sent))
        answers = api.stream(
            *("users", "import"), body=body, headers={"content-type": _TYPES[kind]}
        )
        for one in _told(answers):
            if "line" in one:
                refused.append(one)
                progress.update(task, description=f"importing, {len(refused)} refused")
            else:
                last = one
            if as_json:
                print_json(one)
    _report(out, last, refused)
    if refused:
        raise typer.Exit(1)


def _told(answers: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The lines of the answer. Raises CommandError where it broke off."""
    done = False
    try:
        for one in answers:
            if "line" not in one and "problem" in one:
                raise CommandError(one["problem"]["detail"], _so_far(one))
            done = one.get("done", False)
            yield one
    except UnreachableError as error:
        raise CommandError(error.message, f"{error.hint}\n{_AGAIN}".strip()) from None
    if not done:
        raise CommandError("The API broke off before the end.", _AGAIN)


_AGAIN = "The same command again does no harm: users that are as the file says are left alone."


def _so_far(one: dict[str, Any]) -> str:
    stored = one["created"] + one["changed"] + one["unchanged"]
    return f"{stored:,} users are stored until then. {_AGAIN}" if stored else ""


def _report(out: Console, last: dict[str, Any], refused: list[dict[str, Any]]) -> None:
    out.print(
        f"{last['created']:,} created, {last['changed']:,} changed, "
        f"{last['unchanged']:,} as they were, {last['refused']:,} refused."
    )
    if refused:
        rows = [
            (one["line"], one["problem"]["code"], one["problem"]["detail"])
            for one in refused[:_SHOWN]
        ]
        out.print(table(("line", "problem", "detail"), rows))
    if len(refused) > _SHOWN:
        out.print(f"and {len(refused) - _SHOWN:,} more; --json shows them all.")


def _progress(out: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=out,
        disable=not out.is_terminal,
    )


def _chunks(file: IO[bytes], sent: Callable[[int], None]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk
        sent(len(chunk))


def _size(file: IO[bytes]) -> int | None:
    """Bytes; None of what comes by a pipe."""
    if not file.seekable():
        return None
    size = file.seek(0, 2)
    file.seek(0)
    return size


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="FILE") from None
    with file:
        yield file
