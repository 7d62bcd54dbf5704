"""`--dry-run`: what would become of it, as tables."""

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import orjson
import typer
from rich.console import Group, RenderableType
from rich.syntax import Syntax

from tidings.cli.client import Api
from tidings.cli.errors import CommandError
from tidings.cli.output import console, moment, print_json, table, text, word
from tidings.cli.send_file import opened

_MOST_LINES = 10_000

DryRun: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Tell what would become of it; store and send nothing.")
]


def rehearse(api: Api, *path: str, document: dict[str, Any], as_json: bool) -> None:
    answer = api.send("POST", *path, body=orjson.dumps({**document, "dry_run": True}))
    if as_json:
        print_json(answer)
    else:
        console().print(_view(answer))


def rehearse_file(api: Api, path: Path, *, as_json: bool) -> None:
    """As one request. Raises CommandError for a file that is none of notifications, or too long."""
    with opened(path) as file:
        lines = [line.strip() for line in file if not line.isspace()]
    if len(lines) > _MOST_LINES:
        raise CommandError(
            f"A dry run takes up to {_MOST_LINES:,} lines, and these are {len(lines):,}.",
            f"Try the first ones: head -n {_MOST_LINES} {path} | tidings send --file - --dry-run",
        )
    try:
        items = [orjson.loads(line) for line in lines]
    except orjson.JSONDecodeError as error:
        raise CommandError(f"A line of {path} is not JSON: {error}.") from None
    if items and isinstance(items[0], dict) and items[0].keys() == {"defaults"}:
        raise CommandError(
            "A dry run takes no line of defaults.", "Write what they say into the lines."
        )
    rehearse(api, "notifications", "bulk", document={"notifications": items}, as_json=as_json)


def _view(answer: dict[str, Any]) -> RenderableType:
    heading = text("Dry run: nothing was stored or sent.", "bold")
    facts = [
        f"{answer['users']:,} users" if "users" in answer else "",
        f"{answer['accepted']:,} would be accepted, {answer['would_send']:,} of them sent",
        f"{answer['repeated']:,} were accepted before" if answer["repeated"] else "",
        f"{answer['refused']:,} would be refused" if answer["refused"] else "",
    ]
    heading.append("\n" + ", ".join(fact for fact in facts if fact))
    parts: list[RenderableType] = [heading]
    if answer["outcomes"]:
        parts.append(table(("channel", "status", "reason", "deliveries", "why"), _outcomes(answer)))
    if answer["refusals"]:
        rows = [(one["code"], f"{one['count']:,}", one["title"]) for one in answer["refusals"]]
        parts.append(table(("problem", "requests", "why"), rows))
    for sample in answer["samples"]:
        parts += _sample(sample)
    parts.append(text("\n" + _expected(answer["expected"])))
    return Group(*parts)


def _outcomes(answer: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (one["channel"], word(one["status"]), one["reason"], f"{one['count']:,}", one["text"])
        for one in answer["outcomes"]
    ]


def _sample(sample: dict[str, Any]) -> list[RenderableType]:
    language = f" ({sample['locale']})" if sample["locale"] else ""
    title = text(f"\nThe first one over {sample['channel']}{language}", "bold")
    if sample["content"] is None:
        return [title, text(f"would not render: {sample['error']}", "red")]
    shown = orjson.dumps(sample["content"], option=orjson.OPT_INDENT_2).decode()
    return [title, Syntax(shown, "json", background_color="default", word_wrap=True)]


def _expected(expected: dict[str, Any]) -> str:
    if expected["limited_by"]:
        said = (
            f"The rate limit {expected['limited_by']} makes it take {expected['seconds']:,.0f} s."
        )
    else:
        said = "No rate limit holds it back."
    if expected["last_due_at"]:
        said += f" The last begins {moment(expected['last_due_at'])}."
    return said
