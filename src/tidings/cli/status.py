"""`tidings status`."""

import contextlib
import time
from collections.abc import Iterator
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live

from tidings.cli.client import Api, open_api
from tidings.cli.config import load_settings
from tidings.cli.output import Json, console, moment, print_json, table, text, word
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.reasons import Reason

app = typer.Typer(add_completion=False)

_REACHED = {DeliveryStatus.SENT, DeliveryStatus.DELIVERED}
_TEXTS = {reason.value: reason.text for reason in Reason}


@app.command()
def status(
    notification_id: Annotated[UUID, typer.Argument(metavar="ID")],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Until every delivery has ended.")
    ] = False,
    interval: Annotated[
        float, typer.Option(min=0.1, max=60, help="Seconds between two looks when following.")
    ] = 0.5,
    as_json: Json = False,
) -> None:
    """What became of a notification: its deliveries, and what happened when.

    With --follow, the exit status is 1 when it reached nobody: neither sent nor delivered over any channel.
    """
    with open_api(load_settings()) as api:
        if not follow:
            answer = api.get("notifications", str(notification_id), "status")
            print_json(answer) if as_json else console().print(_view(answer))
            return
        changes = _changes(api, str(notification_id), interval)
        last = _printed(changes) if as_json else _show(console(), changes)
    if last not in _REACHED:
        raise typer.Exit(1)


def _changes(api: Api, notification_id: str, interval: float) -> Iterator[dict[str, Any]]:
    """The status, each time that it is another, until every delivery has ended."""
    last: dict[str, Any] | None = None
    while True:
        answer: dict[str, Any] = api.get("notifications", notification_id, "status")
        if answer != last:
            yield answer
            last = answer
        if all(one["status"] != DeliveryStatus.PENDING for one in answer["deliveries"]):
            return
        time.sleep(interval)


def _printed(changes: Iterator[dict[str, Any]]) -> str:
    """The status that it ended with."""
    last = ""
    for answer in changes:
        print_json(answer)
        last = answer["status"]
    return last


def _show(out: Console, changes: Iterator[dict[str, Any]]) -> str:
    """The status that it ended with."""
    last = ""
    with contextlib.ExitStack() as stack:
        live = (
            stack.enter_context(Live(console=out, auto_refresh=False)) if out.is_terminal else None
        )
        for answer in changes:
            if live:
                live.update(_view(answer), refresh=True)
            else:
                out.print(_view(answer))
            last = answer["status"]
    return last


def _view(answer: dict[str, Any]) -> RenderableType:
    deliveries = answer["deliveries"]
    columns = ("channel", "account", "status", "reason", "attempts", "next attempt")
    return Group(
        _heading(answer),
        table(columns, [_delivery(one) for one in deliveries]),
        table(("when", "channel", "what", "reason"), _timeline(answer)),
    )


def _heading(answer: dict[str, Any]) -> RenderableType:
    facts = [
        f"{answer['template_id']} v{answer['template_version']}",
        f"priority {answer['priority']}",
        f"correlation id {answer['correlation_id']}" if answer["correlation_id"] else "",
        f"user {answer['user_id']}" if answer["user_id"] else "",
        f"replay of {answer['replay_of']}" if answer.get("replay_of") else "",
        f"not before {moment(answer['send_at'])}" if answer["send_at"] else "",
        f"expires {moment(answer['expires_at'])}" if answer["expires_at"] else "",
    ]
    heading = text(answer["notification_id"], "bold").append("  ")
    heading.append_text(word(answer["status"]))
    return heading.append_text(text("\n" + ", ".join(fact for fact in facts if fact)))


def _delivery(one: dict[str, Any]) -> tuple[Any, ...]:
    account = f"{one['account']} ({one['provider']})" if one["provider"] else one["account"]
    waits = "being sent" if one["in_flight"] else moment(one["next_attempt_at"])
    told = one.get("waiting_for") or one
    reason = _reason(told["reason"], told["detail"])
    return (one["channel"], account, word(one["status"]), reason, one["attempts"], waits)


def _timeline(answer: dict[str, Any]) -> list[tuple[Any, ...]]:
    events = [
        (event["timestamp"], one["channel"], event)
        for one in answer["deliveries"]
        for event in one["events"]
    ]
    rows = [(moment(answer["accepted_at"]), "", word("accepted"), "")]
    for timestamp, channel, event in sorted(events, key=lambda one: one[0]):
        attempt = event.get("attempt")
        what = word(event["outcome"] if attempt else event["type"])
        if attempt:
            what = text(f"attempt {attempt}: ").append_text(what)
        why = _reason(event.get("reason"), event.get("detail"))
        rows.append((moment(timestamp), channel, what, why))
    return rows


def _reason(code: str | None, detail: str | None) -> str:
    """The code's text; the code itself where a newer API has one that is not known here."""
    if code is None:
        return detail or ""
    said = _TEXTS.get(code, code)
    return f"{said} ({detail})" if detail else said
