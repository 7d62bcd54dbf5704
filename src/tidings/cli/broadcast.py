"""`tidings broadcast`: one request to a topic, a segment or everyone, with its progress."""

import time
import uuid
from collections.abc import Iterator
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar

from tidings.cli import send_options as options
from tidings.cli.arguments import json_object, pairs
from tidings.cli.client import Api, open_api, patiently
from tidings.cli.config import load_settings
from tidings.cli.moments import in_the_future
from tidings.cli.output import Json, console, moment, print_json, table, text, word
from tidings.cli.refusals import refusals
from tidings.cli.rehearsal import DryRun, rehearse
from tidings.cli.topic import pages
from tidings.cli.watching import watch

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Sends to audiences.")

_ENDED = frozenset({"finished", "failed", "cancelled"})

BroadcastId = Annotated[UUID, typer.Argument(metavar="ID")]
Follow = Annotated[bool, typer.Option("--follow", help="Until all were reached.")]
Interval = Annotated[
    float, typer.Option(min=0.1, max=60, help="Seconds between two looks when following.")
]


@app.command()
def send(
    template: Annotated[str, typer.Option("--template", "-t", help="Template id.")],
    topic: Annotated[list[str] | None, typer.Option(help="To who subscribed. Repeatable.")] = None,
    segment: Annotated[list[str] | None, typer.Option(help="To these. Repeatable.")] = None,
    everyone: Annotated[bool, typer.Option("--everyone", help="To all users.")] = False,
    data: options.Data = None,
    name: Annotated[str | None, typer.Option(help="For people.")] = None,
    channel: options.Channels = None,
    priority: options.PriorityOption = None,
    idempotency_key: options.IdempotencyKey = None,
    routing: options.RoutingOption = None,
    send_at: options.SendAt = None,
    expires_at: options.ExpiresAt = None,
    metadata: options.Metadata = None,
    follow: Follow = False,
    interval: Interval = 1.0,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Send to everyone who is in one of the topics and segments, to each user once."""
    if everyone == bool(topic or segment):
        raise typer.BadParameter("name --topic and --segment, or --everyone")
    audience = {"everyone": True} if everyone else {"topics": topic, "segments": segment}
    single = {
        "template_id": template,
        "audience": {kind: chosen for kind, chosen in audience.items() if chosen},
        "name": name,
        "data": None if data is None else json_object("--data", data),
        "channel_preferences": channel,
        "priority": priority,
        "routing": routing,
        "send_at": send_at and in_the_future(send_at),
        "expires_at": expires_at and in_the_future(expires_at),
        "metadata": None if metadata is None else pairs("--metadata", metadata),
        # Only with a key may the request be repeated when no answer came.
        "idempotency_key": idempotency_key or f"cli-{uuid.uuid4()}",
    }
    document = {name: value for name, value in single.items() if value is not None}
    body = orjson.dumps(document)
    with open_api(load_settings()) as api:
        if dry_run:
            rehearse(api, "broadcasts", document=document, as_json=as_json)
            return
        answer = patiently(
            lambda: api.send("POST", "broadcasts", body=body),
            60.0,
            lambda why: typer.secho(f"{why} Trying again.", dim=True, err=True),
        )
        _tell(api, answer, follow, interval, as_json=as_json)


@app.command("list")
def listing(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """List broadcasts, the newest first."""
    with open_api(load_settings()) as api:
        found = list(pages(api, "broadcasts", "broadcasts", most=limit))
    if as_json:
        print_json(*found)
        return
    columns = ("broadcast", "name", "state", "template", "starts", "users", "done")
    rows = [
        (
            one["broadcast_id"],
            one["name"],
            word(one["state"]),
            one["template_id"],
            moment(one["starts_at"]),
            one["expected"],
            one["done"],
        )
        for one in found
    ]
    console().print(table(columns, rows) if rows else "No broadcasts.")


@app.command()
def show(
    broadcast_id: BroadcastId,
    follow: Follow = False,
    interval: Interval = 1.0,
    as_json: Json = False,
) -> None:
    """How far a broadcast has come. `tidings batch show ID` tells what became of its notifications, and
    `tidings batch pause`, `resume` and `cancel` act on it."""
    with open_api(load_settings()) as api:
        answer = api.get("broadcasts", str(broadcast_id))
        _tell(api, answer, follow, interval, as_json=as_json)


def _tell(
    api: Api, answer: dict[str, Any], follow: bool, interval: float, *, as_json: bool
) -> None:
    answers = _followed(api, answer, interval) if follow else iter([answer])
    if as_json:
        for one in answers:
            print_json(one)
    else:
        watch(console(), answers, _view)


def _followed(api: Api, answer: dict[str, Any], interval: float) -> Iterator[dict[str, Any]]:
    """Each time that it is another, until all were reached."""
    yield answer
    while answer["state"] not in _ENDED:
        time.sleep(interval)
        last, answer = answer, api.get("broadcasts", answer["broadcast_id"])
        if answer != last:
            yield answer


def _view(answer: dict[str, Any]) -> RenderableType:
    heading = text(answer["broadcast_id"], "bold").append("  ").append_text(word(answer["state"]))
    users = f" of {answer['expected']:,}" if answer["expected"] else ""
    facts = [
        answer["name"] or "",
        f"{answer['done']:,}{users} users done",
        f"{answer['refused']:,} could not be reached" if answer["refused"] else "",
        answer["problem"] or "",
        f"begins {moment(answer['starts_at'])}" if answer["state"] == "scheduled" else "",
    ]
    heading.append_text(text("\n" + ", ".join(fact for fact in facts if fact)))
    bar = ProgressBar(total=max(answer["expected"] or 1, 1), completed=answer["done"], width=60)
    why = [refusals(answer["refusals"])] if answer["refusals"] else []
    return Group(heading, bar, *why)
