"""The command line: `tidings`, or `python -m tidings`."""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import typer
from typer.main import get_command

from tidings import __version__
from tidings.cli.errors import CommandError, show
from tidings.cli.group import Lazy, LazyGroup

_RUN, _SEND, _SETUP, _CARE = "Run", "Send and follow", "Set up", "Look after"


class _Commands(LazyGroup):
    table: ClassVar[Mapping[str, Lazy]] = {
        "serve": Lazy("tidings.cli.serve", "Run everything: database, API and workers.", _RUN),
        "api": Lazy("tidings.cli.api", "Run one API process.", _RUN),
        "worker": Lazy("tidings.cli.worker", "Run one worker process.", _RUN),
        "sandbox": Lazy(
            "tidings.cli.sandbox", "Run a stand-in for every vendor on this machine.", _RUN
        ),
        "migrate": Lazy("tidings.cli.migrate", "Bring the database's schema up to date.", _RUN),
        "send": Lazy("tidings.cli.send", "Send one notification, or a file of them.", _SEND),
        "status": Lazy("tidings.cli.status", "What became of a notification.", _SEND),
        "explain": Lazy("tidings.cli.explain", "Why somebody did or did not get it.", _SEND),
        "list": Lazy("tidings.cli.listing", "List notifications, the newest first.", _SEND),
        "cancel": Lazy("tidings.cli.cancel", "Cancel what has not been sent yet.", _SEND),
        "batch": Lazy("tidings.cli.batch", "Follow, pause, cancel and retry bulk sends.", _SEND),
        "dead-letters": Lazy(
            "tidings.cli.dead_letters", "List and replay what failed for good.", _SEND
        ),
        "broadcast": Lazy(
            "tidings.cli.broadcast", "Send to a topic, a segment or everyone.", _SEND
        ),
        "outbox": Lazy("tidings.cli.outbox", "Look at the messages kept in development.", _SEND),
        "template": Lazy(
            "tidings.cli.template", "Templates, and what they share, as folders.", _SETUP
        ),
        "user": Lazy(
            "tidings.cli.user", "Users, their preferences, and what they would get.", _SETUP
        ),
        "suppression": Lazy(
            "tidings.cli.suppression", "Addresses that must not be sent to.", _SETUP
        ),
        "topic": Lazy("tidings.cli.topic", "Topics, and who is subscribed to them.", _SETUP),
        "segment": Lazy("tidings.cli.segment", "Users chosen by their attributes.", _SETUP),
        "key": Lazy("tidings.cli.key", "Create, list and revoke API keys.", _SETUP),
        "events": Lazy("tidings.cli.events", "Tell applications what becomes of messages.", _SETUP),
        "accounts": Lazy("tidings.cli.accounts", "Show the accounts and their health.", _SETUP),
        "limits": Lazy("tidings.cli.limits", "Show the rate limits and their use.", _SETUP),
        "callbacks": Lazy(
            "tidings.cli.callbacks", "Read again what vendors reported and was not read.", _CARE
        ),
        "keyring": Lazy("tidings.cli.keyring", "Make, show and rotate encryption keys.", _CARE),
        "audit": Lazy("tidings.cli.audit", "Check every row against what is promised.", _CARE),
        "doctor": Lazy("tidings.cli.doctor", "Check this installation; say what to mend.", _CARE),
    }


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tidings {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Tidings: one HTTP call, delivered over the right channel, and known."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 when all went well, 1 when something failed, 2 for wrong usage, 3 where a check found
    something to do."""
    try:
        get_command(app).main(args=arguments, prog_name="tidings")
    except CommandError as error:
        show(error)
        sys.exit(1)
