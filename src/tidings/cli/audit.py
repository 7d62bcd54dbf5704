"""`tidings audit`."""

import asyncio

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from tidings.cli.config import load_settings
from tidings.cli.connected import connected
from tidings.cli.explained import explained
from tidings.cli.output import Json, console, print_json, table
from tidings.settings import Settings
from tidings.store.audit import CHECKS, Finding, audit

app = typer.Typer(add_completion=False)


@app.command("audit")
def audited(as_json: Json = False) -> None:
    """Check the whole database against what Tidings promises; the exit status is 1 when something breaks it.

    It changes nothing, and may run while Tidings works.
    """
    settings = load_settings()
    with explained():
        found = asyncio.run(_audit(settings))
    broken = [one for one in found if one.count]
    if as_json:
        print_json({"holds": not broken, "checks": [_document(one) for one in found]})
    elif broken:
        console().print(table(("check", "broken", "promise", "for example"), map(_row, broken)))
    else:
        typer.echo(f"All {len(found)} promises hold.")
    if broken:
        raise typer.Exit(1)


async def _audit(settings: Settings) -> list[Finding]:
    out = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    found = []
    async with connected(settings) as connection:
        with Progress(*columns, console=out, disable=not out.is_terminal) as progress:
            task = progress.add_task("checking", total=len(CHECKS))
            async for finding in audit(connection, lease=settings.worker.lease):
                found.append(finding)
                progress.update(task, advance=1)
    return found


def _document(one: Finding) -> dict[str, object]:
    return {
        "check": one.check.name,
        "promise": one.check.promise,
        "broken": one.count,
        "samples": list(one.samples),
    }


def _row(one: Finding) -> tuple[object, ...]:
    return (one.check.name, one.count, one.check.promise, "\n".join(list(one.samples)[:3]))
