"""`tidings topic`: topics, and who is subscribed to them."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from tidings.cli.client import Api, open_api
from tidings.cli.config import load_settings
from tidings.cli.output import Json, console, moment, print_json, table

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Topics and subscribers.")

_PAGE = 200
_AT_ONCE = 10_000

TopicId = Annotated[str, typer.Argument(metavar="ID")]
Users = Annotated[list[str] | None, typer.Argument(metavar="USER…")]
File = Annotated[
    typer.FileText | None,
    typer.Option("--file", "-f", help="User ids, one a line; - for standard input."),
]


@app.command("list")
def listing(as_json: Json = False) -> None:
    """List topics."""
    with open_api(load_settings()) as api:
        found = list(pages(api, "topics", "topics"))
    if as_json:
        print_json(*found)
        return
    rows = [(one["id"], one["name"], one["description"]) for one in found]
    console().print(table(("topic", "name", "description"), rows) if rows else "No topics.")


@app.command()
def put(
    topic_id: TopicId,
    name: Annotated[str | None, typer.Option(help="For people.")] = None,
    description: Annotated[str, typer.Option(help="For people.")] = "",
    as_json: Json = False,
) -> None:
    """Make a topic, or change it."""
    document = {"description": description, **({"name": name} if name else {})}
    with open_api(load_settings()) as api:
        answer = api.put("topics", topic_id, document=document)
    print_json(answer) if as_json else typer.echo(f"{topic_id}: saved.")


@app.command()
def delete(topic_id: TopicId) -> None:
    """Delete a topic with all its subscriptions."""
    with open_api(load_settings()) as api:
        api.send("DELETE", "topics", topic_id)
    typer.echo(f"{topic_id}: deleted.")


@app.command()
def subscribe(
    topic_id: TopicId, users: Users = None, file: File = None, as_json: Json = False
) -> None:
    """Subscribe users; those who are subscribed stay so."""
    _change(topic_id, ("subscribers",), users, file, "subscribed", as_json=as_json)


@app.command()
def unsubscribe(
    topic_id: TopicId, users: Users = None, file: File = None, as_json: Json = False
) -> None:
    """Unsubscribe users; those who are not subscribed stay so."""
    _change(topic_id, ("subscribers", "remove"), users, file, "unsubscribed", as_json=as_json)


@app.command()
def subscribers(
    topic_id: TopicId,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 50,
    as_json: Json = False,
) -> None:
    """List who is subscribed, in the order of the user ids."""
    with open_api(load_settings()) as api:
        found = list(pages(api, "subscriptions", "topics", topic_id, "subscribers", most=limit))
    if as_json:
        print_json(*found)
        return
    rows = [(one["user_id"], moment(one["since"])) for one in found]
    console().print(table(("user", "since"), rows) if rows else "Nobody.")


def pages(
    api: Api, name: str, *path: str, most: int | None = None, **query: Any
) -> Iterator[dict[str, Any]]:
    """The entries of a list, up to `most`."""
    cursor: str | None = None
    left = most
    while left is None or left > 0:
        page = api.get(
            *path, cursor=cursor, limit=_PAGE if left is None else min(left, _PAGE), **query
        )
        yield from page[name]
        left = None if left is None else left - len(page[name])
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _change(
    topic_id: str,
    path: tuple[str, ...],
    users: list[str] | None,
    file: typer.FileText | None,
    said: str,
    *,
    as_json: bool,
) -> None:
    if (file is None) == (not users):
        raise typer.BadParameter("name users, or --file")
    changed, total = 0, 0
    with open_api(load_settings()) as api:
        for several in _several(users or [], file):
            total += len(several)
            document = {"user_ids": several}
            changed += api.post("topics", topic_id, *path, document=document)["changed"]
    if as_json:
        print_json({"changed": changed})
    else:
        typer.echo(f"{changed:,} of {total:,} {said}; the others were so already.")


def _several(users: list[str], file: typer.FileText | None) -> Iterator[list[str]]:
    """As many as one request takes."""
    lines = (line.strip() for line in file) if file is not None else iter(users)
    several: list[str] = []
    for user_id in lines:
        if user_id:
            several.append(user_id)
        if len(several) == _AT_ONCE:
            yield several
            several = []
    if several:
        yield several
