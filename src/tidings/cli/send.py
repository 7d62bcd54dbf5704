"""`tidings send`: one notification from options, or many from a file."""

import uuid
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from tidings.cli.arguments import json_object, pairs, recipient
from tidings.cli.client import Api, open_api, patiently
from tidings.cli.config import load_settings
from tidings.cli.moments import in_the_future
from tidings.cli.output import Json, print_json
from tidings.cli.send_file import FileOptions, send_file
from tidings.domain.channels import Channel
from tidings.domain.planning import OnUnknown, Routing
from tidings.domain.priorities import PriorityWord

app = typer.Typer(add_completion=False)

_MANY = "Many from a file"
_MORE = "Less often needed"
_JSON = "JSON|@FILE"
_WHEN = "A time, or how long from now: 30m, 2h, 7d."


@app.command()
def send(
    template: Annotated[str | None, typer.Option("--template", "-t", help="Template id.")] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="ADDRESS",
            help="Email, phone (+…), user id or URL; or KIND:ADDRESS with user, email, phone, url, "
            "push or chat. Repeat it for several addresses of the recipient.",
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", "-d", metavar=_JSON, help="What the template needs.")
    ] = None,
    channel: Annotated[
        list[Channel] | None,
        typer.Option(
            "--channel", "-c", help="Repeatable, in order. Default: all that can be used."
        ),
    ] = None,
    priority: Annotated[PriorityWord | None, typer.Option(help="How urgent it is.")] = None,
    correlation_id: Annotated[str | None, typer.Option(help="Your own id, to find it by.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key and content is the same notification.")
    ] = None,
    given: Annotated[
        str | None,
        typer.Option("--recipient", metavar=_JSON, help="Instead of --to.", rich_help_panel=_MORE),
    ] = None,
    routing: Annotated[
        Routing | None,
        typer.Option(help="All channels, or the next when one fails.", rich_help_panel=_MORE),
    ] = None,
    send_at: Annotated[
        str | None, typer.Option(metavar="WHEN", help=_WHEN, rich_help_panel=_MORE)
    ] = None,
    expires_at: Annotated[
        str | None, typer.Option(metavar="WHEN", help=_WHEN, rich_help_panel=_MORE)
    ] = None,
    collapse_key: Annotated[
        str | None, typer.Option(help="What it is about.", rich_help_panel=_MORE)
    ] = None,
    on_unknown: Annotated[
        OnUnknown | None,
        typer.Option(help="If it may have been sent: again, or hold.", rich_help_panel=_MORE),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Repeatable.", rich_help_panel=_MORE),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            metavar="PATH",
            help="JSON lines, each a notification as the API takes it; - for standard input.",
            rich_help_panel=_MANY,
        ),
    ] = None,
    idempotency_prefix: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="For the lines' idempotency keys, instead of the file's digest: to send the same "
            "file once more on purpose, or a corrected one without doubling.",
            rich_help_panel=_MANY,
        ),
    ] = None,
    refused: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Write the refused lines there.", rich_help_panel=_MANY),
    ] = None,
    retry_for: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0, help="Wait for an API that does not answer."),
    ] = 60.0,
    as_json: Json = False,
) -> None:
    """Send one notification, or a file of them.

    A file is sent in bulk, with a report of the lines that were refused. The same file sent again
    within a day sends nothing twice.
    """
    single = {
        "template_id": template,
        "recipient": _recipient(to, given),
        "channel_preferences": channel,
        "data": None if data is None else json_object("--data", data),
        "priority": priority,
        "correlation_id": correlation_id,
        "routing": routing,
        "send_at": send_at and in_the_future(send_at),
        "expires_at": expires_at and in_the_future(expires_at),
        "collapse_key": collapse_key,
        "on_unknown": on_unknown,
        "metadata": None if metadata is None else pairs("--metadata", metadata),
    }
    asked = {name: value for name, value in single.items() if value is not None}
    if file is not None and (asked or idempotency_key):
        raise typer.BadParameter("a file's lines say everything else", param_hint="--file")
    if file is None and not ("template_id" in asked and "recipient" in asked):
        raise typer.BadParameter("say --template and --to, or --file")
    with open_api(load_settings()) as api:
        if file is None:
            _send_one(api, asked, idempotency_key, retry_for, as_json=as_json)
        else:
            options = FileOptions(file, idempotency_prefix, refused, retry_for, as_json)
            send_file(api, options)


def _recipient(to: list[str] | None, given: str | None) -> dict[str, Any] | None:
    if given is not None:
        if to:
            raise typer.BadParameter("give --to or --recipient, not both", param_hint="--recipient")
        return json_object("--recipient", given)
    return recipient(to) if to else None


def _send_one(
    api: Api, document: dict[str, Any], key: str | None, retry_for: float, *, as_json: bool
) -> None:
    # A key of our own where none is given: only so may the request be repeated when no answer came.
    headers = {"idempotency-key": key or f"cli-{uuid.uuid4()}"}
    body = orjson.dumps(document)
    answer = patiently(
        lambda: api.send("POST", "notifications", "send", body=body, headers=headers),
        retry_for,
        lambda why: typer.secho(f"{why} Trying again.", dim=True, err=True),
    )
    if as_json:
        print_json(answer)
        return
    typer.echo(answer["notification_id"])
    typer.secho(
        f"Accepted. `tidings status {answer['notification_id']} --follow` shows what becomes of it.",
        dim=True,
        err=True,
    )
