"""`tidings send --file`: progress, results and the report."""

import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from tidings.cli import bulk
from tidings.cli.bulk import Result
from tidings.cli.client import Api, UnreachableError, patiently
from tidings.cli.errors import CommandError
from tidings.cli.file_stream import Batch, FileStream, Told
from tidings.cli.output import console, print_json, table

_SHOWN = 20
_IN_MEMORY = 8 * 2**20


@dataclass(frozen=True, slots=True)
class FileOptions:
    """prefix: of the idempotency keys, for lines that are sent with one each; resume: the batch to go on with;
    refused: where to write lines that were refused."""

    path: Path
    prefix: str | None
    resume: str | None
    refused: Path | None
    retry_for: float
    as_json: bool


def send_file(api: Api, options: FileOptions) -> None:
    """Send every line. Exit status 1 if any was refused."""
    out = console(stderr=True)
    with opened(options.path) as file:
        digest, total = bulk.survey(file)
        run = _Run(options, out, total)
        with run.progress:
            try:
                if options.prefix is None:
                    _stream(api, file, digest, options, run)
                else:
                    _send_keyed(api, file, options.prefix, options, run)
            except CommandError as error:
                raise _broken_off(error, run) from None
            except KeyboardInterrupt:
                raise _broken_off(CommandError("Broken off."), run) from None
        if options.refused is not None:
            _write_refused(file, options.refused, {one.number for one in run.refused})
    run.report()
    if run.refused:
        raise typer.Exit(1)


def _stream(api: Api, file: IO[bytes], digest: str, options: FileOptions, run: "_Run") -> None:
    """As one stream into one batch; a broken one goes on where the batch says."""
    told = Told(run.begun, run.moved, run.told)
    sending = FileStream(api, file, f"file-{digest}", told, ids=options.as_json)
    if options.resume is not None:
        patiently(lambda: sending.go_on(str(options.resume)), options.retry_for, run.waiting)
    while True:
        before = run.lines
        try:
            patiently(sending.send, options.retry_for, run.waiting)
            return
        except UnreachableError:
            # The patience is for a time without any progress.
            if run.lines == before:
                raise


def _send_keyed(api: Api, file: IO[bytes], prefix: str, options: FileOptions, run: "_Run") -> None:
    """In requests of many lines, each with an idempotency key of its own."""
    post = bulk.bulk_post(api)
    bulk.send_all(
        bulk.read(file, prefix),
        lambda body: patiently(lambda: post(body), options.retry_for, run.waiting),
        run.done,
    )


class _Rate(ProgressColumn):
    """Lines per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="cyan")


class _Run:
    """What became of the lines so far."""

    def __init__(self, options: FileOptions, out: Console, total: int) -> None:
        self._options = options
        self._out = out
        self._began = time.monotonic()
        self.accepted = 0
        self.lines = 0
        self.before = 0
        self.unheard = 0
        self.batch_id: str | None = None
        self.refused: list[Result] = []
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=out,
            disable=not out.is_terminal,
        )
        self._task: TaskID = self.progress.add_task("sending", total=total)

    def done(self, result: Result) -> None:
        if result.notification_id is None:
            self.refused.append(result)
        else:
            self.accepted += 1
        if self._options.as_json:
            print_json(result.document())
        said = f"sending, {len(self.refused)} refused" if self.refused else "sending"
        self.progress.update(self._task, advance=1, description=said)

    def begun(self, batch: Batch) -> None:
        """A stream goes on with this batch, behind lines that are done."""
        if self.batch_id is None:
            self.before = batch.lines
        else:
            self.unheard += max(0, batch.lines - self.lines)
        self.batch_id = batch.id
        self.lines = max(self.lines, batch.lines)
        self.progress.update(self._task, completed=self.lines)

    def moved(self, lines: int, accepted: int) -> None:
        self.lines = lines
        self.accepted += accepted
        said = f"sending, {len(self.refused)} refused" if self.refused else "sending"
        self.progress.update(self._task, completed=lines, description=said)

    def told(self, result: Result) -> None:
        """Of one line of a stream."""
        if result.notification_id is None:
            self.refused.append(result)
        if self._options.as_json:
            print_json(result.document())

    def waiting(self, why: str) -> None:
        self.progress.update(self._task, description="waiting for the API")
        if not self._out.is_terminal:
            self._out.print(f"{why} Trying again.")

    def report(self) -> None:
        seconds = time.monotonic() - self._began
        rate = (self.accepted + len(self.refused)) / max(seconds, 1e-6)
        self._out.print(
            f"{self.accepted:,} accepted, {len(self.refused):,} refused, "
            f"in {seconds:.1f} s ({rate:,.0f}/s)."
        )
        if self.before:
            self._out.print(f"{self.before:,} lines were done before, and are not sent again.")
        if self.unheard:
            self._out.print(
                f"{self.unheard:,} lines more are done, whose results were lost with the connection."
            )
        if self.batch_id is not None:
            self._out.print(
                f"`tidings batch show {self.batch_id} --follow` shows what becomes of them."
            )
        if not self.refused:
            return
        ordered = sorted(self.refused, key=lambda one: one.number)
        rows = [(one.number, one.code, one.detail) for one in ordered[:_SHOWN]]
        self._out.print(table(("line", "problem", "detail"), rows))
        if len(ordered) > _SHOWN:
            self._out.print(f"and {len(ordered) - _SHOWN:,} more; --refused PATH writes them all.")


def _broken_off(error: CommandError, run: "_Run") -> CommandError:
    hint = (
        f"{run.accepted:,} lines were accepted until then. "
        "The same command again goes on from there and doubles nothing."
    )
    if run.batch_id is not None:
        hint += f"\nLater than a day from now: --resume {run.batch_id}"
    return CommandError(error.message, f"{error.hint}\n{hint}".strip())


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file that can be read twice: what comes by standard input is kept for the time."""
    if str(path) == "-":
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as kept:
            shutil.copyfileobj(sys.stdin.buffer, kept)
            kept.seek(0)
            yield kept
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="--file") from None
    with file:
        yield file


def _write_refused(file: IO[bytes], path: Path, numbers: set[int]) -> None:
    file.seek(0)
    try:
        with path.open("wb") as written:
            for number, raw in enumerate(file, start=1):
                if number in numbers:
                    written.write(raw if raw.endswith(b"\n") else raw + b"\n")
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {error.strerror}.") from None
