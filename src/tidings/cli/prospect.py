"""`tidings user explain`: whether a user would get a template now, and why."""

from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType

from tidings.cli import send_options as options
from tidings.cli.client import open_api
from tidings.cli.config import load_settings
from tidings.cli.explain import of_delivery
from tidings.cli.output import Json, console, print_json, text


def explain(
    user_id: Annotated[str, typer.Argument(metavar="ID")],
    template: Annotated[str, typer.Option("--template", "-t", help="Template id.")],
    priority: options.PriorityOption = None,
    as_json: Json = False,
) -> None:
    """Whether a user would get a template now, over which channels, and why. Nothing is sent."""
    with open_api(load_settings()) as api:
        answer = api.get("users", user_id, "explain", template_id=template, priority=priority)
    if as_json:
        print_json(answer)
        return
    console().print(_view(answer))


def _view(answer: dict[str, Any]) -> RenderableType:
    would = (
        text("would get it", "bold green")
        if answer["would_send"]
        else text("would not get it", "yellow")
    )
    heading = (
        text(answer["user_id"], "bold")
        .append(" ")
        .append_text(would)
        .append(
            f"  {answer['template_id']} v{answer['template_version']}, category {answer['category']}"
        )
    )
    refused = [text(answer["refused"], "red")] if answer["refused"] else []
    return Group(
        heading, *refused, *(part for one in answer["channels"] for part in of_delivery(one))
    )
