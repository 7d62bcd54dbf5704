"""`tidings segment`: users chosen by their attributes."""

from typing import Annotated

import typer

from tidings.cli.arguments import json_object
from tidings.cli.client import open_api
from tidings.cli.config import load_settings
from tidings.cli.output import Json, console, print_json, table
from tidings.cli.topic import pages
from tidings.domain.filters import AttributeType

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Segments.")

SegmentId = Annotated[str, typer.Argument(metavar="ID")]
Filter = Annotated[str, typer.Option("--filter", metavar="JSON|@FILE", help="Who belongs to it.")]


@app.command("list")
def listing(as_json: Json = False) -> None:
    """List segments."""
    with open_api(load_settings()) as api:
        found = list(pages(api, "segments", "segments"))
    if as_json:
        print_json(*found)
        return
    rows = [(one["id"], one["name"]) for one in found]
    console().print(table(("segment", "name"), rows) if rows else "No segments.")


@app.command()
def put(
    segment_id: SegmentId,
    filter: Filter,
    name: Annotated[str | None, typer.Option(help="For people.")] = None,
    as_json: Json = False,
) -> None:
    """Make a segment, or change it."""
    document = {"filter": json_object("--filter", filter), **({"name": name} if name else {})}
    with open_api(load_settings()) as api:
        answer = api.put("segments", segment_id, document=document)
        size = api.get("segments", segment_id, "size")["users"]
    print_json(answer) if as_json else typer.echo(f"{segment_id}: saved; {size:,} users now.")


@app.command()
def show(segment_id: SegmentId) -> None:
    """A segment with its filter and its size, as JSON."""
    with open_api(load_settings()) as api:
        found = api.get("segments", segment_id)
        print_json({**found, **api.get("segments", segment_id, "size")})


@app.command()
def delete(segment_id: SegmentId) -> None:
    """Delete a segment; its users stay."""
    with open_api(load_settings()) as api:
        api.send("DELETE", "segments", segment_id)
    typer.echo(f"{segment_id}: deleted.")


@app.command()
def attributes(as_json: Json = False) -> None:
    """List the declared attributes, which segments can choose by."""
    with open_api(load_settings()) as api:
        found = api.get("attributes")
    if as_json:
        print_json(*found["attributes"])
        return
    rows = [(one["name"], one["type"], one["description"]) for one in found["attributes"]]
    console().print(table(("attribute", "type", "description"), rows) if rows else "None.")
    if found["filling"]:
        typer.secho("The values of users are still being read.", dim=True, err=True)


@app.command()
def declare(
    name: Annotated[str, typer.Argument(metavar="ATTRIBUTE")],
    kind: Annotated[AttributeType, typer.Argument(metavar="TYPE")],
    description: Annotated[str, typer.Option(help="For people.")] = "",
    as_json: Json = False,
) -> None:
    """Declare an attribute: string, number, boolean, date, or strings for a list of them. Its values are kept in
    the open, so that the database can choose by them."""
    document = {"type": kind, "description": description}
    with open_api(load_settings()) as api:
        answer = api.put("attributes", name, document=document)
    print_json(answer) if as_json else typer.echo(f"{name}: declared.")
