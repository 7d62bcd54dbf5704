"""`tidings dead-letters`: what failed for good, listed, shown with its attempts, replayed and discarded."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

import typer
from rich.console import Group, RenderableType
from rich.progress import Progress, SpinnerColumn, TextColumn

from tidings.cli.client import Api, ProblemError, open_api, patiently
from tidings.cli.config import load_settings
from tidings.cli.moments import in_the_past
from tidings.cli.output import Json, console, moment, print_json, table, text, word
from tidings.domain.channels import Channel
from tidings.domain.dead_letters import FailedForGood, Surmountable
from tidings.domain.reasons import Reason

app = typer.Typer(add_completion=False, no_args_is_help=True, help="What failed for good.")

_PAGE = 200
_AT_ONCE = 1_000
_PATIENCE = 60.0  # seconds for which a busy or restarting API is asked again
_NOBODY_CHOSEN = "give IDs, a filter such as --channel, or --all"

_WHEN = "A time, or how long ago: 30m, 2h, 7d."
Ids = Annotated[list[UUID] | None, typer.Argument(metavar="ID", help="Of deliveries.")]
Over = Annotated[Channel | None, typer.Option("--channel", help="Only over this channel.")]
Status = Annotated[FailedForGood | None, typer.Option("--status", help="Only with this status.")]
Why = Annotated[
    Reason | None, typer.Option("--reason", help="Only for this reason.", metavar="CODE")
]
Template = Annotated[str | None, typer.Option("--template", "-t", help="Template id.")]
Account = Annotated[str | None, typer.Option("--account", help="Whose provider refused it last.")]
Batch = Annotated[
    UUID | None, typer.Option("--batch", help="Only of this bulk send.", metavar="ID")
]
Since = Annotated[str | None, typer.Option("--since", metavar="WHEN", help=_WHEN)]
Until = Annotated[str | None, typer.Option("--until", metavar="WHEN", help=_WHEN)]
All = Annotated[bool, typer.Option("--all", help="All that wait.")]


@app.command("list")
def listing(
    state: Annotated[
        Literal["waiting", "replayed", "discarded", "any"], typer.Option(help="Only in this state.")
    ] = "waiting",
    channel: Over = None,
    status: Status = None,
    reason: Why = None,
    template: Template = None,
    account: Account = None,
    batch: Batch = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """List dead letters; what failed last comes first."""
    wanted = _filter(channel, status, reason, template, account, batch, since, until)
    if state != "any":
        wanted["state"] = state
    with open_api(load_settings()) as api:
        found = list(_found(api, wanted, limit))
    if as_json:
        print_json(*found)
        return
    columns = ("delivery", "failed", "channel", "status", "why", "account", "template", "state")
    console().print(table(columns, map(_row, found)) if found else "No dead letters.")


@app.command()
def show(
    delivery_id: Annotated[UUID, typer.Argument(metavar="ID", help="Of the delivery.")],
    as_json: Json = False,
) -> None:
    """A dead letter with its attempts, and what became of its replays."""
    with open_api(load_settings()) as api:
        answer = api.get("dead-letters", str(delivery_id))
    print_json(answer) if as_json else console().print(_view(answer))


@app.command()
def replay(
    delivery_ids: Ids = None,
    everything: All = False,
    channel: Over = None,
    status: Status = None,
    reason: Why = None,
    template: Template = None,
    account: Account = None,
    batch: Batch = None,
    since: Since = None,
    until: Until = None,
    template_version: Annotated[
        Literal["pinned", "current"],
        typer.Option(help="The one that it was accepted with, or the current one."),
    ] = "pinned",
    despite: Annotated[
        list[Surmountable] | None, typer.Option(help="Replay also what this would keep from it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Send once more, as new notifications over the same channel to the same address.

    Each is replayed once. Broken off, the same command goes on.
    """
    wanted = _filter(channel, status, reason, template, account, batch, since, until)
    how = {"template_version": template_version, "despite": list(despite or ())}
    _check(delivery_ids, wanted, everything=everything)
    with open_api(load_settings()) as api:
        if delivery_ids:
            _each(api, delivery_ids, "replay", how, as_json=as_json)
            return
        total = _replay_all(api, {**_chosen(wanted), **how})
    if as_json:
        print_json(total)
        return
    typer.echo(f"{total['replayed']:,} replayed.")
    if total["skipped"]:
        rows = [(f"{one['count']:,}", one["reason"], one["text"]) for one in total["skipped"]]
        console().print(table(("not replayed", "reason", "why"), rows))


@app.command()
def discard(
    delivery_ids: Ids = None,
    everything: All = False,
    channel: Over = None,
    status: Status = None,
    reason: Why = None,
    template: Template = None,
    account: Account = None,
    batch: Batch = None,
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
) -> None:
    """Lay aside: they are kept, and not replayed with others."""
    wanted = _filter(channel, status, reason, template, account, batch, since, until)
    _check(delivery_ids, wanted, everything=everything)
    with open_api(load_settings()) as api:
        if delivery_ids:
            _each(api, delivery_ids, "discard", {}, as_json=as_json)
            return
        count = _discard_all(api, _chosen(wanted))
    print_json({"discarded": count}) if as_json else typer.echo(f"{count:,} discarded.")


def _filter(
    channel: Channel | None,
    status: FailedForGood | None,
    reason: Reason | None,
    template: str | None,
    account: str | None,
    batch: UUID | None,
    since: str | None,
    until: str | None,
) -> dict[str, Any]:
    given = {
        "channel": channel,
        "status": status,
        "reason": reason,
        "template_id": template,
        "account": account,
        "batch_id": batch and str(batch),
        "since": since and in_the_past(since).isoformat(),
        "until": until and in_the_past(until).isoformat(),
    }
    return {name: value for name, value in given.items() if value is not None}


def _check(ids: Sequence[UUID] | None, wanted: dict[str, Any], *, everything: bool) -> None:
    """One of the three ways to say which. Raises typer.BadParameter."""
    if sum(map(bool, (ids, wanted, everything))) != 1:
        raise typer.BadParameter(f"{_NOBODY_CHOSEN}; only one of these")


def _chosen(wanted: dict[str, Any]) -> dict[str, Any]:
    chosen: dict[str, Any] = {"filter": wanted} if wanted else {"all": True}
    return {**chosen, "limit": _AT_ONCE}


def _found(api: Api, wanted: dict[str, Any], limit: int) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while limit > 0:
        page = api.get("dead-letters", **wanted, cursor=cursor, limit=min(limit, _PAGE))
        yield from page["dead_letters"]
        limit -= len(page["dead_letters"])
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _each(
    api: Api, ids: Sequence[UUID], what: str, document: dict[str, Any], *, as_json: bool
) -> None:
    """One by one; the exit status is 1 when one could not be done."""
    failed = False
    for one in ids:
        try:
            answer = api.post("dead-letters", str(one), what, document=document)
        except ProblemError as error:
            failed = True
            said = {
                "delivery_id": str(one),
                "problem": {"code": error.code, "detail": error.message},
            }
            line = text(f"{one}  ").append_text(word("refused")).append(f"  {error.message}")
        else:
            said = answer
            done = f"replayed as {answer['notification_id']}" if what == "replay" else "discarded"
            line = text(f"{one}  {done}")
        print_json(said) if as_json else console().print(line, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _replay_all(api: Api, document: dict[str, Any]) -> dict[str, Any]:
    replayed, skipped, texts = 0, Counter[str](), dict[str, str]()
    with _progress() as progress:
        task = progress.add_task("")
        cursor: str | None = None
        while True:
            page = _page(api, "replay", {**document, "cursor": cursor}, progress)
            replayed += page["replayed"]
            skipped.update({one["reason"]: one["count"] for one in page["skipped"]})
            texts |= {one["reason"]: one["text"] for one in page["skipped"]}
            said = f"{replayed:,} replayed, {skipped.total():,} not"
            progress.update(task, description=said)
            cursor = page["next_cursor"]
            if cursor is None:
                break
    rows = [
        {"reason": why, "text": texts[why], "count": count} for why, count in skipped.most_common()
    ]
    return {"replayed": replayed, "skipped": rows}


def _discard_all(api: Api, document: dict[str, Any]) -> int:
    count, more = 0, True
    with _progress() as progress:
        task = progress.add_task("")
        while more:
            page = _page(api, "discard", document, progress)
            count, more = count + page["discarded"], page["more"]
            progress.update(task, description=f"{count:,} discarded")
    return count


def _page(api: Api, what: str, document: dict[str, Any], progress: Progress) -> Any:
    """Over a restart of the API, too: what is done is not done again."""
    return patiently(
        lambda: api.post("dead-letters", what, document=document),
        _PATIENCE,
        lambda why: progress.console.print(f"{why} Waiting."),
    )


def _progress() -> Progress:
    out = console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=out, disable=not out.is_terminal, transient=True)


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    return (
        one["delivery_id"],
        moment(one["failed_at"]),
        one["channel"],
        word(one["status"]),
        one["reason"],
        one["account"],
        one["template_id"],
        word(one["state"]),
    )


def _view(answer: dict[str, Any]) -> RenderableType:
    heading = text(answer["delivery_id"], "bold").append("  ").append_text(word(answer["status"]))
    why = answer["text"] or answer["reason"] or ""
    detail = f" ({answer['detail']})" if answer["detail"] else ""
    facts = [
        f"{answer['channel']} of notification {answer['notification_id']}",
        f"template {answer['template_id']}",
        f"batch {answer['batch_id']}" if answer["batch_id"] else "",
        f"failed {moment(answer['failed_at'])}",
        answer["state"],
    ]
    heading.append_text(text(f"\n{why}{detail}\n" + ", ".join(fact for fact in facts if fact)))
    parts: list[RenderableType] = [heading]
    if answer["attempts"]:
        columns = ("attempt", "when", "account", "outcome", "reason", "detail")
        parts.append(table(columns, map(_attempt, answer["attempts"])))
    if answer["replays"]:
        rows = [(one["notification_id"], word(one["status"] or "")) for one in answer["replays"]]
        parts.append(table(("replayed as", "status"), rows))
    return Group(*parts)


def _attempt(one: dict[str, Any]) -> tuple[Any, ...]:
    return (
        one["number"],
        moment(one["started_at"]),
        one["account"],
        word(one["outcome"]),
        one["reason"],
        one["detail"],
    )
