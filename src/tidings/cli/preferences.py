"""`tidings user preferences`: what a user chose, and who changed it."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import orjson
import typer
from rich.text import Text

from tidings.cli.arguments import pairs
from tidings.cli.client import open_api
from tidings.cli.config import load_settings
from tidings.cli.output import Json, console, moment, print_json, table, text
from tidings.cli.topic import pages
from tidings.domain.channels import Channel

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="What a user chose to be told, where and when.",
)

_ALL = frozenset({"channels", "categories", "templates", "quiet_hours", "digests", "digest_time"})
_HOURS = re.compile(r"(\d\d:\d\d)-(\d\d:\d\d)")

UserId = Annotated[str, typer.Argument(metavar="ID")]
Paths = list[str] | None


@app.command()
def show(user_id: UserId, as_json: Json = False) -> None:
    """Show what a user chose; for the rest the categories' defaults hold."""
    with open_api(load_settings()) as api:
        found = api.get("users", user_id, "preferences")
    _tell(found, as_json=as_json)


@app.command("set")
def change(
    user_id: UserId,
    on: Annotated[
        Paths, typer.Option(metavar="PATH", help="As categories.news.email. Repeatable.")
    ] = None,
    off: Annotated[Paths, typer.Option(metavar="PATH", help="As channels.sms. Repeatable.")] = None,
    unset: Annotated[
        Paths,
        typer.Option(metavar="PATH", help="Take a choice back, or all below it. Repeatable."),
    ] = None,
    quiet_hours: Annotated[
        str | None, typer.Option(metavar="FROM-TO", help="As 22:00-07:00, by the user's clock.")
    ] = None,
    quiet_day: Annotated[
        list[str] | None,
        typer.Option(help="A weekday on which they begin; every day without it. Repeatable."),
    ] = None,
    digest: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CATEGORY=HOW",
            help="at_once, hourly, daily or weekly. Repeatable.",
        ),
    ] = None,
    digest_at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When daily and weekly ones come; 09:00 without it."),
    ] = None,
    digest_day: Annotated[
        str | None, typer.Option(help="When weekly ones come; monday without it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Change what is named; the rest stays. A path is channels.CHANNEL, categories.ID.CHANNEL or templates.ID.CHANNEL."""
    patch: dict[str, Any] = {}
    for option, value, paths in (("--on", True, on), ("--off", False, off)):
        for path in paths or ():
            _put(patch, _channel_path(option, path), value)
    for path in unset or ():
        _put(patch, _any_path(path), None)
    for category, how in pairs("--digest", digest or ()).items():
        _put(patch, ("digests", category), how)
    if quiet_hours is not None or quiet_day:
        patch["quiet_hours"] = _hours(quiet_hours, quiet_day)
    if digest_at is not None or digest_day is not None:
        given = {"at": digest_at, "weekday": digest_day}
        patch["digest_time"] = {name: one for name, one in given.items() if one is not None}
    if not patch:
        raise typer.BadParameter("name what to change")
    with open_api(load_settings()) as api:
        found = api.send("PATCH", "users", user_id, "preferences", body=orjson.dumps(patch))
    _tell(found, as_json=as_json)


@app.command()
def history(
    user_id: UserId,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """Who changed what, the newest first."""
    with open_api(load_settings()) as api:
        found = list(pages(api, "changes", "users", user_id, "preferences", "history", most=limit))
    if as_json:
        print_json(*found)
        return
    rows = [
        (
            moment(one["at"]),
            one["source"],
            each["path"],
            _shown(each["before"]),
            _shown(each["after"]),
        )
        for one in found
        for each in one["changes"]
    ]
    columns = ("when", "by", "what", "before", "after")
    console().print(table(columns, rows) if rows else "No changes.")


def _tell(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    rows = [(path, _shown(value)) for path, value in _choices(found)]
    console().print(table(("what", "chosen"), rows) if rows else "Nothing chosen.")


def _choices(found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """By their paths, as in the history."""
    for name in ("channels", "digests"):
        for one, value in found.get(name, {}).items():
            yield f"{name}.{one}", value
    for name in ("categories", "templates"):
        for one, choices in found.get(name, {}).items():
            for channel, value in choices.items():
                yield f"{name}.{one}.{channel}", value
    for name in ("quiet_hours", "digest_time"):
        if found.get(name) is not None:
            yield name, found[name]


def _shown(value: Any) -> Text:
    if value is None:
        return text("not chosen", "dim")
    if isinstance(value, bool):
        return text("on", "green") if value else text("off", "yellow")
    return text(_in_words(value) if isinstance(value, dict) else value)


def _in_words(value: dict[str, Any]) -> str:
    """Of quiet hours, or the time of digests."""
    if "from" not in value:
        return f"{value['at']}, weekly on {value['weekday']}"
    days: list[str] = value.get("days") or []
    on = "every day" if len(days) in {0, 7} else ", ".join(days)
    return f"{value['from']} to {value['to']}, {on}"


def _channel_path(option: str, path: str) -> tuple[str, ...]:
    found = _any_path(path)
    if found[0] in {"channels", "categories", "templates"} and found[-1] in set(Channel):
        return found
    raise typer.BadParameter(f"{path!r} does not end with a channel", param_hint=option)


def _any_path(path: str) -> tuple[str, ...]:
    """Ids may hold dots: a channel is what stands behind the last one. Raises typer.BadParameter."""
    name, _, rest = path.partition(".")
    if name not in _ALL:
        raise typer.BadParameter(f"{path!r} does not begin with one of {', '.join(sorted(_ALL))}")
    if not rest:
        return (name,)
    one, _, channel = rest.rpartition(".")
    if name in {"categories", "templates"} and one and channel in set(Channel):
        return name, one, channel
    return name, rest


def _put(patch: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Raises typer.BadParameter for what is changed in two ways at once."""
    *above, last = path
    for name in above:
        inner = patch.setdefault(name, {})
        if inner is None:
            raise typer.BadParameter(f"{'.'.join(path)} is named twice")
        patch = inner
    if last in patch:
        raise typer.BadParameter(f"{'.'.join(path)} is named twice")
    patch[last] = value


def _hours(hours: str | None, days: list[str] | None) -> dict[str, Any]:
    found = _HOURS.fullmatch(hours or "")
    if found is None:
        raise typer.BadParameter("write 22:00-07:00", param_hint="--quiet-hours")
    return {"from": found[1], "to": found[2], **({"days": days} if days else {})}
