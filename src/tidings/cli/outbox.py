"""`tidings outbox`."""

from collections.abc import Iterator
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer

from tidings.cli.client import Api, open_api
from tidings.cli.config import load_settings
from tidings.cli.errors import CommandError
from tidings.cli.output import Json, console, moment, print_json, table, text
from tidings.domain.channels import Channel
from tidings.domain.ids import MAX_DELIVERIES

app = typer.Typer(add_completion=False)

_PAGE = 200


@app.command()
def outbox(
    message: Annotated[
        UUID | None, typer.Argument(metavar="ID", help="A notification or one of its deliveries.")
    ] = None,
    channel: Annotated[Channel | None, typer.Option(help="Only this channel.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """Look at the messages that were kept instead of sent: all, or with an ID those in full."""
    with open_api(load_settings()) as api:
        kept = list(_of(api, message, channel) if message else _newest(api, channel, limit))
    if message and not kept:
        raise CommandError(
            "The outbox holds no message of this notification or delivery.",
            "Only accounts of the provider `outbox` keep messages; `tidings accounts` lists them.",
        )
    if as_json:
        print_json(*kept)
    elif message:
        for one in kept:
            _show(one)
            typer.echo()
    else:
        columns = ("delivery", "stored", "channel", "account", "to", "subject")
        rows = [_row(one) for one in kept]
        console().print(table(columns, rows) if rows else "The outbox is empty.")


def _newest(
    api: Api, channel: Channel | None, limit: int, cursor: str | None = None
) -> Iterator[dict[str, Any]]:
    while limit > 0:
        page = api.get("outbox", channel=channel, cursor=cursor, limit=min(limit, _PAGE))
        yield from page["messages"]
        limit -= len(page["messages"])
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _of(api: Api, message: UUID, channel: Channel | None) -> list[dict[str, Any]]:
    """The delivery with this id, or those of the notification with this id, whose ids follow it."""
    behind = UUID(int=message.int + MAX_DELIVERIES + 1)
    near = [
        one
        for one in _newest(api, channel, MAX_DELIVERIES + 1, cursor=str(behind))
        if UUID(one["delivery_id"]) >= message
    ]
    return [one for one in near if UUID(one["delivery_id"]) == message] or near[::-1]


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    content = one["content"]
    subject = next(
        (content[name] for name in ("subject", "title", "body", "type") if content.get(name)), ""
    )
    shown = " ".join(str(subject).split())
    return (
        one["delivery_id"],
        moment(one["stored_at"]),
        one["channel"],
        one["account"],
        one["address"],
        shown if len(shown) <= 60 else shown[:59] + "…",
    )


def _show(one: dict[str, Any]) -> None:
    out = console()
    out.print(text(f"{one['channel']}  {one['delivery_id']}", "bold"))
    for name in ("address", "account"):
        out.print(text(f"{name:<10}", "dim").append_text(text(one[name])))
    out.print(text(f"{'stored':<10}", "dim").append(moment(one["stored_at"])))
    for name, value in one["content"].items():
        if value in (None, ""):
            continue
        written = (
            value
            if isinstance(value, str)
            else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
        )
        if "\n" in written or len(written) > 60:
            out.print(text(f"{name}", "dim"))
            out.print(text(written), soft_wrap=True)
        else:
            out.print(text(f"{name:<10}", "dim").append_text(text(written)), soft_wrap=True)
