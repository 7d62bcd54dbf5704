"""`tidings suppression`: addresses that must not be sent to."""

import re
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from tidings.cli.client import Api, ProblemError, open_api
from tidings.cli.config import load_settings
from tidings.cli.errors import CommandError
from tidings.cli.moments import in_the_future
from tidings.cli.output import Json, console, moment, print_json, table, text
from tidings.domain.channels import Channel
from tidings.domain.suppressions import SuppressionReason

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Addresses that must not be sent to."
)

_PAGE = 200
_AT_ONCE = 1_000
_SHOWN = 20

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="An email, phone or other one.")]
ForChannel = Annotated[
    Channel | None, typer.Option("--channel", help="By default email or sms, as it looks.")
]
Why = Annotated[SuppressionReason, typer.Option("--reason", help="Why.")]
ForCategory = Annotated[
    str | None, typer.Option("--category", help="Only for this category of notifications.")
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="WHEN", help="A time, or how long: 12h, 30d.")
]
Note = Annotated[str | None, typer.Option("--note", help="For people.")]


@app.command("list")
def listing(
    address: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    channel: Annotated[Channel | None, typer.Option(help="Of this channel.")] = None,
    reason: Annotated[SuppressionReason | None, typer.Option(help="For this reason.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """List what must not be sent to, the newest first."""
    with open_api(load_settings()) as api:
        found = list(islice(_found(api, address, channel, reason), limit))
    if as_json:
        print_json(*found)
        return
    columns = ("address", "channel", "reason", "category", "since", "until", "note")
    shown = table(columns, [_row(one) for one in found]) if found else "No such addresses."
    console().print(shown)


@app.command()
def add(
    address: Address,
    channel: ForChannel = None,
    reason: Why = SuppressionReason.MANUAL,
    category: ForCategory = None,
    until: Until = None,
    note: Note = None,
    as_json: Json = False,
) -> None:
    """Send nothing to this address any more."""
    document = {**_entry(address, channel), **_more(reason, category, until, note)}
    with open_api(load_settings()) as api:
        answer = api.post("suppressions", document=document)
    print_json(answer) if as_json else console().print(text(f"{address} is on the list."))


@app.command()
def remove(address: Address, channel: ForChannel = None, as_json: Json = False) -> None:
    """Let this address be sent to again."""
    with open_api(load_settings()) as api:
        found = list(_found(api, address, channel, None))
        if not found:
            raise CommandError(f"{address} is not on the list.")
        for one in found:
            api.send("DELETE", "suppressions", one["suppression_id"])
    if as_json:
        print_json(*found)
    else:
        console().print(text(f"{address} is off the list."))


@app.command("import")
def bring(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="An address a line; - for stdin.")],
    channel: ForChannel = None,
    reason: Why = SuppressionReason.MANUAL,
    category: ForCategory = None,
    until: Until = None,
    note: Note = None,
    as_json: Json = False,
) -> None:
    """Put many addresses on the list. Exit status 1 if any was refused."""
    more = _more(reason, category, until, note)
    lines = iter(_lines(path))
    added = changed = 0
    refused: list[tuple[int, str]] = []
    with open_api(load_settings()) as api:
        while batch := list(islice(lines, _AT_ONCE)):
            entries = [(number, {**_entry(one, channel), **more}) for number, one in batch]
            new, old, wrong = _add_all(api, entries)
            added, changed = added + new, changed + old
            refused += wrong
    if as_json:
        print_json({"added": added, "changed": changed, "refused": len(refused)})
    out = console(stderr=True)
    out.print(f"{added:,} added, {changed:,} changed, {len(refused):,} refused.")
    if refused:
        out.print(table(("line", "problem"), refused[:_SHOWN]))
        raise typer.Exit(1)


def _add_all(
    api: Api, entries: list[tuple[int, dict[str, Any]]]
) -> tuple[int, int, list[tuple[int, str]]]:
    """How many were added and changed, and the lines that were refused, without which the others are sent again."""
    refused: list[tuple[int, str]] = []
    while entries:
        body = {"suppressions": [document for _, document in entries]}
        try:
            answer = api.post("suppressions", "bulk", document=body)
        except ProblemError as problem:
            wrong = {
                int(found[1]): one.message
                for one in problem.errors
                if (found := re.match(r"suppressions\.(\d+)", one.path))
            }
            if not wrong:
                raise
            refused += [(entries[at][0], message) for at, message in wrong.items()]
            entries = [entry for at, entry in enumerate(entries) if at not in wrong]
        else:
            return answer["added"], answer["changed"], sorted(refused)
    return 0, 0, sorted(refused)


def _found(
    api: Api, address: str | None, channel: Channel | None, reason: SuppressionReason | None
) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = api.get(
            "suppressions",
            address=address,
            channel=channel,
            reason=reason,
            cursor=cursor,
            limit=_PAGE,
        )
        yield from page["suppressions"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _entry(address: str, channel: Channel | None) -> dict[str, Any]:
    if channel is None:
        channel = Channel.SMS if address.startswith("+") else Channel.EMAIL
    return {"channel": channel, "address": address}


def _more(
    reason: SuppressionReason, category: str | None, until: str | None, note: str | None
) -> dict[str, Any]:
    ends = until and in_the_future(until).isoformat()
    given = {"category": category, "expires_at": ends, "note": note}
    return {"reason": reason, **{name: one for name, one in given.items() if one is not None}}


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """What is on each line, with its number; without the empty ones."""
    try:
        content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="FILE") from None
    for number, line in enumerate(content.decode("utf-8-sig", "replace").splitlines(), start=1):
        if stripped := line.strip():
            yield number, stripped


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    until = moment(one["expires_at"]) if one["active"] else "expired"
    return (
        one["address"] or "(erased)",
        one["channel"],
        one["reason"],
        one["category"],
        moment(one["created_at"]),
        until,
        one["note"],
    )
