"""The options of `tidings send`."""

from pathlib import Path
from typing import Annotated, TypeAlias
from uuid import UUID

import typer

from tidings.domain.channels import Channel
from tidings.domain.planning import OnUnknown, Routing
from tidings.domain.priorities import PriorityWord

_MANY = "Many from a file"
_MORE = "Less often needed"
_JSON = "JSON|@FILE"
_WHEN = "A time, or how long from now: 30m, 2h, 7d."

Template: TypeAlias = Annotated[str | None, typer.Option("--template", "-t", help="Template id.")]
To: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--to",
        metavar="ADDRESS",
        help="Email, phone (+…), user id or URL; or KIND:ADDRESS with user, email, phone, url, "
        "push or chat. Repeat it for several addresses of the recipient.",
    ),
]
Data: TypeAlias = Annotated[
    str | None, typer.Option("--data", "-d", metavar=_JSON, help="What the template needs.")
]
Channels: TypeAlias = Annotated[
    list[Channel] | None,
    typer.Option("--channel", "-c", help="Repeatable, in order. Default: all that can be used."),
]
PriorityOption: TypeAlias = Annotated[PriorityWord | None, typer.Option(help="How urgent it is.")]
CorrelationId: TypeAlias = Annotated[str | None, typer.Option(help="Your own id, to find it by.")]
IdempotencyKey: TypeAlias = Annotated[
    str | None, typer.Option(help="The same key and content is the same notification.")
]
Given: TypeAlias = Annotated[
    str | None,
    typer.Option("--recipient", metavar=_JSON, help="Instead of --to.", rich_help_panel=_MORE),
]
RoutingOption: TypeAlias = Annotated[
    Routing | None,
    typer.Option(help="All channels, or the next when one fails.", rich_help_panel=_MORE),
]
SendAt: TypeAlias = Annotated[
    str | None, typer.Option(metavar="WHEN", help=_WHEN, rich_help_panel=_MORE)
]
ExpiresAt: TypeAlias = Annotated[
    str | None, typer.Option(metavar="WHEN", help=_WHEN, rich_help_panel=_MORE)
]
CollapseKey: TypeAlias = Annotated[
    str | None, typer.Option(help="What it is about.", rich_help_panel=_MORE)
]
OnUnknownOption: TypeAlias = Annotated[
    OnUnknown | None,
    typer.Option(help="If it may have been sent: again, or hold.", rich_help_panel=_MORE),
]
Metadata: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Repeatable.", rich_help_panel=_MORE),
]
ReplyTo: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="EMAIL", help="Where answers to an email go.", rich_help_panel=_MORE),
]
Cc: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="EMAIL", help="A copy of an email; repeatable.", rich_help_panel=_MORE),
]
Bcc: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="EMAIL", help="Unseen by the others.", rich_help_panel=_MORE),
]
Attach: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="PATH", help="A file that goes with an email; repeatable.", rich_help_panel=_MORE
    ),
]
File: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--file",
        "-f",
        metavar="PATH",
        help="JSON lines, each a notification as the API takes it; - for standard input.",
        rich_help_panel=_MANY,
    ),
]
IdempotencyPrefix: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="For the lines' idempotency keys, instead of the file's digest: to send the same "
        "file once more on purpose, or a corrected one without doubling.",
        rich_help_panel=_MANY,
    ),
]
Resume: TypeAlias = Annotated[
    UUID | None,
    typer.Option(
        metavar="BATCH",
        help="Go on with this batch, behind the lines of the file that are done.",
        rich_help_panel=_MANY,
    ),
]
Refused: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Write the refused lines there.", rich_help_panel=_MANY),
]
RetryFor: TypeAlias = Annotated[
    float,
    typer.Option(metavar="SECONDS", min=0, help="Wait for an API that does not answer."),
]
