"""`tidings explain`."""

from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Group, RenderableType

from tidings.cli.client import open_api
from tidings.cli.config import load_settings
from tidings.cli.output import Json, console, moment, print_json, table, text, word

app = typer.Typer(add_completion=False)


@app.command()
def explain(
    notification_id: Annotated[UUID, typer.Argument(metavar="ID")], as_json: Json = False
) -> None:
    """Why somebody did or did not get a notification: each decision, channel by channel."""
    with open_api(load_settings()) as api:
        answer = api.get("notifications", str(notification_id), "explain")
    if as_json:
        print_json(answer)
        return
    console().print(_view(answer))


def _view(answer: dict[str, Any]) -> RenderableType:
    heading = text(answer["notification_id"], "bold").append(
        f"  {answer['template_id']} v{answer['template_version']}, category {answer['category']}, "
        f"priority {answer['priority']}, accepted {moment(answer['accepted_at'])}"
    )
    return Group(heading, *(part for one in answer["deliveries"] for part in of_delivery(one)))


def of_delivery(one: dict[str, Any]) -> list[RenderableType]:
    """Where it stands, or would, with the decisions that led there."""
    title = text(f"\n{one['channel']}: ", "bold")
    title.append_text(word(one["status"])).append(f"  {one['text']}")
    rows = [
        (moment(step["at"]), step["code"], _told(step), moment(step["until"]))
        for step in one["steps"]
    ]
    return [title, table(("when", "decision", "what it means", "until"), rows)]


def _told(step: dict[str, Any]) -> str:
    return f"{step['text']} ({step['detail']})" if step["detail"] else str(step["text"])
