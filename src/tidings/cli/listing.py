"""`tidings list`."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from tidings.cli.client import Api, open_api
from tidings.cli.config import load_settings
from tidings.cli.moments import in_the_past
from tidings.cli.output import Json, console, moment, print_json, table, word
from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus

app = typer.Typer(add_completion=False)

_PAGE = 200
_WHEN = "A time, or how long ago: 30m, 2h, 7d."


@app.command("list")
def listing(
    status: Annotated[DeliveryStatus | None, typer.Option(help="Status of the whole.")] = None,
    channel: Annotated[Channel | None, typer.Option(help="With a delivery over it.")] = None,
    template: Annotated[str | None, typer.Option("--template", "-t", help="Template id.")] = None,
    correlation_id: Annotated[str | None, typer.Option(help="As given with the send.")] = None,
    user: Annotated[str | None, typer.Option(help="User id of the recipient.")] = None,
    recipient: Annotated[str | None, typer.Option(help="An email, phone or other address.")] = None,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help=_WHEN)] = None,
    until: Annotated[str | None, typer.Option(metavar="WHEN", help=_WHEN)] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """List notifications, the newest first."""
    wanted = {
        "status": status,
        "channel": channel,
        "template_id": template,
        "correlation_id": correlation_id,
        "user_id": user,
        "recipient": recipient,
        "since": since and in_the_past(since).isoformat(),
        "until": until and in_the_past(until).isoformat(),
    }
    with open_api(load_settings()) as api:
        found = _found(api, wanted, limit)
        if as_json:
            for one in found:
                print_json(one)
            return
        rows = [_row(one) for one in found]
    columns = ("notification", "accepted", "status", "channel", "template", "priority")
    console().print(table((*columns, "correlation id"), rows) if rows else "No notifications.")


def _found(api: Api, wanted: dict[str, Any], limit: int) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while limit > 0:
        page = api.get("notifications", **wanted, cursor=cursor, limit=min(limit, _PAGE))
        yield from page["notifications"]
        limit -= len(page["notifications"])
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    return (
        one["notification_id"],
        moment(one["accepted_at"]),
        word(one["status"]),
        one["channel"],
        f"{one['template_id']} v{one['template_version']}",
        one["priority"],
        one["correlation_id"],
    )
