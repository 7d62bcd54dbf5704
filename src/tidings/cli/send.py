"""`tidings send`: one notification from options, or many from a file."""

import base64
import uuid
from pathlib import Path
from typing import Any

import orjson
import typer

from tidings.cli import send_options as options
from tidings.cli.arguments import json_object, pairs, recipient
from tidings.cli.client import Api, open_api, patiently
from tidings.cli.config import load_settings
from tidings.cli.moments import in_the_future
from tidings.cli.output import Json, print_json
from tidings.cli.rehearsal import DryRun, rehearse, rehearse_file
from tidings.cli.send_file import FileOptions, send_file

app = typer.Typer(add_completion=False)


@app.command()
def send(
    template: options.Template = None,
    to: options.To = None,
    data: options.Data = None,
    channel: options.Channels = None,
    priority: options.PriorityOption = None,
    correlation_id: options.CorrelationId = None,
    idempotency_key: options.IdempotencyKey = None,
    given: options.Given = None,
    routing: options.RoutingOption = None,
    send_at: options.SendAt = None,
    expires_at: options.ExpiresAt = None,
    collapse_key: options.CollapseKey = None,
    on_unknown: options.OnUnknownOption = None,
    metadata: options.Metadata = None,
    reply_to: options.ReplyTo = None,
    cc: options.Cc = None,
    bcc: options.Bcc = None,
    attach: options.Attach = None,
    file: options.File = None,
    idempotency_prefix: options.IdempotencyPrefix = None,
    resume: options.Resume = None,
    refused: options.Refused = None,
    retry_for: options.RetryFor = 60.0,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Send one notification, or a file of them.

    A file is sent as one stream into one batch, with a report of the lines that were refused. Its first line
    may say what is the same for all: {"defaults": {…}}. The same file sent again within a day goes on where
    it broke off, and sends nothing twice.
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
        "email": _email(reply_to, cc, bcc, attach),
    }
    asked = {name: value for name, value in single.items() if value is not None}
    if file is not None and (asked or idempotency_key):
        raise typer.BadParameter("a file's lines say everything else", param_hint="--file")
    if file is None and not ("template_id" in asked and "recipient" in asked):
        raise typer.BadParameter("say --template and --to, or --file")
    if resume is not None and (file is None or idempotency_prefix is not None):
        raise typer.BadParameter("goes with --file alone", param_hint="--resume")
    with open_api(load_settings()) as api:
        if dry_run and file is not None:
            rehearse_file(api, file, as_json=as_json)
        elif dry_run:
            if idempotency_key is not None:
                asked["idempotency_key"] = idempotency_key
            rehearse(api, "notifications", "send", document=asked, as_json=as_json)
        elif file is None:
            _send_one(api, asked, idempotency_key, retry_for, as_json=as_json)
        else:
            batch = str(resume) if resume is not None else None
            send_file(
                api,
                FileOptions(file, idempotency_prefix, batch, refused, retry_for, as_json=as_json),
            )


def _recipient(to: list[str] | None, given: str | None) -> dict[str, Any] | None:
    if given is not None:
        if to:
            raise typer.BadParameter("give --to or --recipient, not both", param_hint="--recipient")
        return json_object("--recipient", given)
    return recipient(to) if to else None


def _email(
    reply_to: str | None, cc: list[str] | None, bcc: list[str] | None, attach: list[Path] | None
) -> dict[str, Any] | None:
    files = [_attached(path) for path in attach or ()]
    given = {"reply_to": reply_to, "cc": cc, "bcc": bcc, "attachments": files}
    return {name: value for name, value in given.items() if value} or None


def _attached(path: Path) -> dict[str, str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        why = f"{path}: {error.strerror or error}"
        raise typer.BadParameter(why, param_hint="--attach") from None
    return {"filename": path.name, "content": base64.b64encode(content).decode()}


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
