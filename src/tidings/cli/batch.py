"""`tidings batch`: what was sent in bulk, followed, paused, resumed, cancelled and tried again."""

import time
from collections.abc import Iterator
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar

from tidings.cli.client import Api, open_api
from tidings.cli.config import load_settings
from tidings.cli.output import Json, console, moment, print_json, table, text, word
from tidings.cli.refusals import refusals
from tidings.cli.watching import watch

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Bulk sends.")

_PAGE = 200

BatchId = Annotated[UUID, typer.Argument(metavar="ID")]


@app.command("list")
def listing(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """List batches, the newest first."""
    with open_api(load_settings()) as api:
        found = list(_found(api, limit))
    if as_json:
        print_json(*found)
        return
    columns = ("batch", "name", "state", "sealed", "opened", "expected", "lines")
    console().print(table(columns, [_row(one) for one in found]) if found else "No batches.")


@app.command()
def show(
    batch_id: BatchId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until it is complete.")] = False,
    interval: Annotated[
        float, typer.Option(min=0.1, max=60, help="Seconds between two looks when following.")
    ] = 1.0,
    as_json: Json = False,
) -> None:
    """What became of a batch: its counts, and why some were not sent."""
    with open_api(load_settings()) as api:
        if not follow:
            answer = api.get("batches", str(batch_id))
            print_json(answer) if as_json else console().print(_view(answer))
            return
        answers = _followed(api, str(batch_id), interval)
        if as_json:
            for answer in answers:
                print_json(answer)
        else:
            watch(console(), answers, _view)


@app.command()
def pause(batch_id: BatchId, as_json: Json = False) -> None:
    """Send no more of it until it is resumed."""
    _act(batch_id, "pause", "Paused. `tidings batch resume` goes on.", as_json=as_json)


@app.command()
def resume(batch_id: BatchId, as_json: Json = False) -> None:
    """Go on sending it."""
    _act(batch_id, "resume", "It goes on.", as_json=as_json)


@app.command()
def cancel(batch_id: BatchId, as_json: Json = False) -> None:
    """Cancel all that has not been sent, for good."""
    _act(batch_id, "cancel", "Cancelled. What was being sent at that moment is.", as_json=as_json)


@app.command()
def retry(
    batch_id: BatchId,
    include_unknown: Annotated[
        bool,
        typer.Option("--include-unknown", help="Also what may have arrived; it may arrive twice."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Try again what failed."""
    document = {"include_unknown": include_unknown}
    _act(batch_id, "retry", "What failed is tried again.", document, as_json=as_json)


def _act(batch_id: UUID, what: str, said: str, document: Any = None, *, as_json: bool) -> None:
    with open_api(load_settings()) as api:
        answer = api.post("batches", str(batch_id), what, document=document or {})
    if as_json:
        print_json(answer)
    else:
        typer.echo(said)


def _found(api: Api, limit: int) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while limit > 0:
        page = api.get("batches", cursor=cursor, limit=min(limit, _PAGE))
        yield from page["batches"]
        limit -= len(page["batches"])
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    sealed = "yes" if one["sealed"] else "no"
    opened = moment(one["opened_at"])
    state = word(one["state"])
    return (one["batch_id"], one["name"], state, sealed, opened, one["expected"], one["lines"])


def _followed(api: Api, batch_id: str, interval: float) -> Iterator[dict[str, Any]]:
    """Each time that it is another, until it is complete."""
    last: dict[str, Any] | None = None
    while True:
        answer: dict[str, Any] = api.get("batches", batch_id)
        if answer != last:
            yield answer
            last = answer
        if answer["complete"]:
            return
        time.sleep(interval)


def _view(answer: dict[str, Any]) -> RenderableType:
    counts = [
        (word(status), f"{count:,}") for status, count in answer["deliveries"].items() if count
    ]
    parts: list[RenderableType] = [
        _heading(answer),
        _bar(answer),
        table(("deliveries", ""), counts),
    ]
    if answer["refusals"]:
        parts.append(refusals(answer["refusals"]))
    if answer["unsent"]:
        rows = [
            (f"{one['count']:,}", one["channel"], word(one["status"]), one["text"] or one["reason"])
            for one in answer["unsent"]
        ]
        parts.append(table(("not sent", "channel", "status", "why"), rows))
    return Group(*parts)


def _heading(answer: dict[str, Any]) -> RenderableType:
    heading = text(answer["batch_id"], "bold").append("  ")
    state = "complete" if answer["complete"] else answer["state"]
    heading.append_text(word(state))
    expected = f" of {answer['expected']:,} expected" if answer["expected"] else ""
    facts = [
        answer["name"] or "",
        f"{answer['accepted']:,} accepted{expected}",
        f"{answer['refused']:,} refused" if answer["refused"] else "",
        "" if answer["sealed"] else "not sealed: more may come",
        f"{answer['rate']:,.0f} ended a second" if answer["rate"] else "",
    ]
    return heading.append_text(text("\n" + ", ".join(fact for fact in facts if fact)))


def _bar(answer: dict[str, Any]) -> RenderableType:
    """How many deliveries have ended."""
    total = sum(answer["deliveries"].values())
    ended = total - answer["deliveries"]["pending"]
    return ProgressBar(total=max(total, 1), completed=ended, width=60)
