"""`--dry-run`: what would become of it, as tables."""

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import orjson
import typer
from rich.console import Group, RenderableType
from rich.syntax import Syntax

from tidings.cli.client import Api
from tidings.cli.file_stream import chunks
from tidings.cli.output import console, moment, print_json, table, text, word
from tidings.cli.refusals import refusals
from tidings.cli.send_file import opened

DryRun: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Tell what would become of it; store and send nothing.")
]


def rehearse(api: Api, *path: str, document: dict[str, Any], as_json: bool) -> None:
    answer = api.send("POST", *path, body=orjson.dumps({**document, "dry_run": True}))
    _tell(answer, as_json=as_json)


def rehearse_file(api: Api, path: Path, *, as_json: bool) -> None:
    """As one stream, of any length."""
    with opened(path) as file:
        [answer] = api.stream(
            *("notifications", "bulk"), body=chunks(file), headers={}, dry_run="true"
        )
    _tell(answer, as_json=as_json)


def _tell(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        console().print(_view(answer))


def _view(answer: dict[str, Any]) -> RenderableType:
    heading = text("Dry run: nothing was stored or sent.", "bold")
    facts = [
        f"{answer['users']:,} users" if "users" in answer else "",
        f"{answer['lines']:,} lines" if "lines" in answer else "",
        f"{answer['accepted']:,} would be accepted, {answer['would_send']:,} of them sent",
        f"{answer['repeated']:,} were accepted before" if answer["repeated"] else "",
        f"{answer['refused']:,} would be refused" if answer["refused"] else "",
    ]
    heading.append("\n" + ", ".join(fact for fact in facts if fact))
    parts: list[RenderableType] = [heading]
    if answer["outcomes"]:
        parts.append(table(("channel", "status", "reason", "deliveries", "why"), _outcomes(answer)))
    if answer["refusals"]:
        parts.append(refusals(answer["refusals"]))
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
