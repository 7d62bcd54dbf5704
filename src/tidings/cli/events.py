"""`tidings events`: subscriptions of applications to what becomes of messages."""

from typing import Annotated, Any

import orjson
import typer

from tidings.cli.client import open_api
from tidings.cli.config import load_settings
from tidings.cli.output import Json, console, moment, print_json, table, text
from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.events import EventType

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Tell applications what becomes of messages, by signed calls.",
)

_PATH = "event-subscriptions"

Id = Annotated[str, typer.Argument(metavar="ID", help="Of the subscription.")]
Types = Annotated[
    list[EventType] | None,
    typer.Option("--type", "-t", help="What it is told; several times for several."),
]
Named = Annotated[str | None, typer.Option("--name", help="For people.")]
OfTemplates = Annotated[
    list[str] | None, typer.Option("--template", help="Only of these templates.")
]
OfCategories = Annotated[
    list[str] | None, typer.Option("--category", help="Only of these categories.")
]
OfChannels = Annotated[
    list[Channel] | None, typer.Option("--channel", help="Only of these channels.")
]
Headers = Annotated[
    list[str] | None,
    typer.Option("--header", "-H", metavar="NAME:VALUE", help="A further header of each call."),
]


@app.command("list")
def listing(as_json: Json = False) -> None:
    """List the subscriptions, the newest first."""
    with open_api(load_settings()) as api:
        found = api.get(_PATH)["subscriptions"]
    if as_json:
        print_json(*found)
        return
    columns = ("id", "name", "url", "events", "state")
    shown = table(columns, [_row(one) for one in found]) if found else "No subscriptions."
    console().print(shown)


@app.command()
def subscribe(
    url: Annotated[str, typer.Argument(metavar="URL", help="Is called with POST.")],
    types: Types = None,
    name: Named = None,
    template: OfTemplates = None,
    category: OfCategories = None,
    channel: OfChannels = None,
    header: Headers = None,
    as_json: Json = False,
) -> None:
    """Be told of events from now on; without --type, of all. Prints the secret of the signatures, this once."""
    given = _given(name, template, category, channel, header)
    document = {"url": url, "event_types": types or list(EventType), **given}
    with open_api(load_settings()) as api:
        _tell_secret(api.post(_PATH, document=document), as_json=as_json)


@app.command()
def change(
    subscription_id: Id,
    url: Annotated[str | None, typer.Option(help="Is called with POST.")] = None,
    types: Types = None,
    name: Named = None,
    template: OfTemplates = None,
    category: OfCategories = None,
    channel: OfChannels = None,
    header: Headers = None,
    as_json: Json = False,
) -> None:
    """Change what is given; the rest stays."""
    document = _given(name, template, category, channel, header)
    document |= {"url": url} if url else {}
    document |= {"event_types": types} if types else {}
    if not document:
        raise typer.BadParameter("say what is to change; see --help")
    _change(subscription_id, document, "changed", as_json=as_json)


@app.command()
def enable(subscription_id: Id, as_json: Json = False) -> None:
    """Tell it again; also where its endpoint was left alone because it did nothing but fail."""
    _change(subscription_id, {"enabled": True}, "enabled", as_json=as_json)


@app.command()
def disable(subscription_id: Id, as_json: Json = False) -> None:
    """Tell it nothing until it is enabled; what happens meanwhile is not told later."""
    _change(subscription_id, {"enabled": False}, "disabled", as_json=as_json)


@app.command()
def remove(subscription_id: Id) -> None:
    """Tell it nothing any more, and forget it."""
    with open_api(load_settings()) as api:
        api.send("DELETE", _PATH, subscription_id)
    console().print(text(f"{subscription_id}: removed."))


@app.command()
def rotate(
    subscription_id: Id,
    overlap: Annotated[
        float, typer.Option(min=0, max=720, help="Hours for which the former secret signs, too.")
    ] = 24,
    as_json: Json = False,
) -> None:
    """Sign with a new secret. Prints it, this once."""
    with open_api(load_settings()) as api:
        answer = api.post(_PATH, subscription_id, "rotate-secret", document={"overlap": overlap})
    _tell_secret(answer, as_json=as_json)


@app.command("test")
def try_endpoint(subscription_id: Id, as_json: Json = False) -> None:
    """Send an event of the type "test", to try the endpoint."""
    with open_api(load_settings()) as api:
        answer = api.post(_PATH, subscription_id, "test", document={})
    if as_json:
        print_json(answer)
        return
    notification_id = answer["notification_id"]
    console().print(text(f"On its way. See: tidings status {notification_id}"))


@app.command()
def told(
    subscription_id: Id,
    status: Annotated[DeliveryStatus | None, typer.Option(help="Only with this status.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many.")] = 20,
    as_json: Json = False,
) -> None:
    """What it was told, the newest first."""
    with open_api(load_settings()) as api:
        page = api.get(_PATH, subscription_id, "events", status=status, limit=limit)
    found = page["notifications"]
    if as_json:
        print_json(*found)
        return
    rows = [
        (one["notification_id"], one["template_id"], one["status"], moment(one["timestamp"]))
        for one in found
    ]
    shown = table(("id", "event", "status", "when"), rows) if rows else "Nothing yet."
    console().print(shown)


def _change(subscription_id: str, document: dict[str, Any], said: str, *, as_json: bool) -> None:
    with open_api(load_settings()) as api:
        answer = api.send("PATCH", _PATH, subscription_id, body=orjson.dumps(document))
    print_json(answer) if as_json else console().print(text(f"{subscription_id}: {said}."))


def _given(
    name: str | None,
    template: list[str] | None,
    category: list[str] | None,
    channel: list[Channel] | None,
    header: list[str] | None,
) -> dict[str, Any]:
    given = {
        "name": name,
        "template_ids": template,
        "categories": category,
        "channels": channel,
        "headers": _headers(header) if header else None,
    }
    return {key: value for key, value in given.items() if value is not None}


def _headers(lines: list[str]) -> dict[str, str]:
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise typer.BadParameter(f"{line!r} is not NAME:VALUE", param_hint="--header")
        headers[name.strip()] = value.strip()
    return headers


def _tell_secret(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    out = console()
    out.print(text(f"Subscription {answer['subscription_id']}"))
    out.print(text(f"Secret, shown this once: {answer['secret']}"))


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    state = "disabled" if not one["enabled"] else one["blocked"] or "enabled"
    types = one["event_types"]
    events = "all" if len(types) == len(EventType) else ", ".join(types)
    return one["subscription_id"], one["name"], one["url"] or "(unreadable)", events, state
