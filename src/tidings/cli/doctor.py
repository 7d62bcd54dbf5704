"""`tidings doctor`."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

import typer

from tidings.cli.examination import Finding, examine
from tidings.cli.leaving import leave
from tidings.cli.output import Json, console, print_json, table, word
from tidings.settings import Settings, SettingsError, load

app = typer.Typer(add_completion=False)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check this installation and say what to mend. Changes nothing; exit status 1 if something fails.

    Looks at the settings, the data directory, the key ring, the database with its schema and clock, the
    provider accounts (it connects, and sends nothing), and whether the API answers.
    """
    try:
        findings = asyncio.run(_all(load()))
    except SettingsError as error:
        findings = [
            Finding("settings", "fail", line, "see docs/reference/settings.md")
            for line in str(error).splitlines()
        ]
    if as_json:
        print_json(*map(asdict, findings))
    else:
        _show(findings)
    leave(1 if any(finding.state == "fail" for finding in findings) else 0)


async def _all(settings: Settings) -> list[Finding]:
    return [finding async for finding in examine(settings)]


def _show(findings: Sequence[Finding]) -> None:
    rows = [(one.check, word(one.state), one.found, one.mend) for one in findings]
    console().print(table(("check", "", "found", "what to mend"), rows))
    failed = sum(one.state == "fail" for one in findings)
    warned = sum(one.state == "warn" for one in findings)
    if failed or warned:
        typer.echo(f"{failed} to mend, {warned} to look at.")
    else:
        typer.echo("All is well.")
