"""python -m examples.demo, or scripts/demo, which sets up first."""

import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from examples.demo.installation import DemoError
from examples.demo.play import play
from examples.mail_server import MailServer


def main(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave it running, to look around; Ctrl+C stops it.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Keep everything in this directory, instead of a temporary one."
        ),
    ] = None,
) -> None:
    """Start Tidings with everything it needs, and show real notifications travelling.

    Ends by itself in about 20 seconds. The exit status is 0 when everything arrived as it should, 1 when
    something did not, and 130 when it was interrupted.
    """
    width = None if sys.stdout.isatty() else 100
    console = Console(emoji=False, highlight=False, width=width)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_stoppable(console, keep=keep, data=data))
            return
    except DemoError as error:
        problems = Console(stderr=True, markup=False, highlight=False)
        problems.print(str(error), style="red", soft_wrap=True)
        raise typer.Exit(1) from None
    raise typer.Exit(0 if keep else 130)


async def _stoppable(console: Console, *, keep: bool, data: Path | None) -> None:
    """SIGTERM stops it as Ctrl+C does: in good order."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await play(console, data, keep=keep, mails=MailServer())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


if __name__ == "__main__":
    typer.run(main)
