"""`tidings limits`."""

from typing import Any

import typer

from tidings.cli.client import open_api
from tidings.cli.config import load_settings
from tidings.cli.output import Json, console, moment, print_json, table

app = typer.Typer(add_completion=False)

_NARROWS = ("account", "channel", "category", "template", "api_key")


@app.command()
def limits(as_json: Json = False) -> None:
    """Show the rate limits, and how far they are used up."""
    with open_api(load_settings()) as api:
        found = api.get("limits")["limits"]
    if as_json:
        print_json(*found)
        return
    columns = ("limit", "rate", "counts", "holds for", "over", "used", "room again")
    rows = [row for one in found for row in _rows(one)]
    console().print(table(columns, rows) if rows else "No rate limits: see `[limits.NAME]`.")


def _rows(one: dict[str, Any]) -> list[tuple[str, ...]]:
    """One for each that is counted by itself, and for a limit that has not been used, one all the same."""
    holds_for = ", ".join(f"{name} {one[name]}" for name in _NARROWS if one[name]) or "all"
    uses = one["uses"] or [{"subject": None, "used": None, "next_at": None}]
    return [
        (
            one["name"],
            one["rate"],
            use["subject"] or _counted(one["scope"]),
            holds_for,
            one["over"],
            "" if use["used"] is None else f"{use['used']} of {one['count']}",
            moment(use["next_at"]) if use["next_at"] else "",
        )
        for use in uses
    ]


def _counted(scope: str) -> str:
    return "everything" if scope == "global" else f"each {scope.replace('_', ' ')}"
