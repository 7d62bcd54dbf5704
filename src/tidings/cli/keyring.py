"""`tidings keyring`: the keys that seal what is secret."""

import asyncio
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tidings.bootstrap.foundation import open_keyring
from tidings.bootstrap.places import keyring_file
from tidings.cli.config import load_settings
from tidings.cli.connected import connected
from tidings.cli.errors import CommandError
from tidings.cli.explained import explained
from tidings.cli.output import Json, console, print_json, table
from tidings.settings import Settings
from tidings.store import ring_file, rotation
from tidings.store.database import Connection
from tidings.store.keyring import KeyRing, Keys, read_keys
from tidings.store.rotation import Count, Outcome

app = typer.Typer(add_completion=False, no_args_is_help=True)

_RESEAL = "tidings keyring rotate --reseal-only"


@app.callback()
def _keyring() -> None:
    """The key ring: AES-256-GCM keys that seal addresses, content and credentials in the database."""


@app.command()
def new() -> None:
    """Print a new key ring. Keep it where secrets are kept: what it seals, only it opens."""
    typer.echo(Keys.generate().dump())


@app.command()
def show(
    usage: Annotated[
        bool, typer.Option("--usage", help="Count what each key seals; looks at every row.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show which keys the ring has, and which one is active; never the keys themselves."""
    settings = load_settings()
    with explained():
        keys, where = _keys(settings)
        used = asyncio.run(_usage(settings)) if usage else None
    if as_json:
        print_json(
            {"from": where, "active": keys.active, "keys": sorted(keys.keys)}
            | ({} if used is None else {"usage": {str(k): v for k, v in _by_key(used).items()}})
        )
        return
    typer.echo(f"The key ring comes from {where}.")
    columns = ("key", "state", "values") if usage else ("key", "state")
    console().print(table(columns, _rows(keys, used)))


@app.command()
def rotate(
    reseal_only: Annotated[
        bool,
        typer.Option(
            "--reseal-only", help="Add no key; seal again what is not under the active one."
        ),
    ] = False,
    print_ring: Annotated[
        bool,
        typer.Option("--print", help="Only print the ring with one more key, made active."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Add a key, make it active, and seal everything again with it, while Tidings goes on working.

    It may be broken off at any time: nothing is lost, and --reseal-only goes on where it stopped.
    Processes that read the same file take up the new key by themselves, within a second. Where the
    ring comes from TIDINGS_KEYRING or is copied to several machines, put what --print shows there,
    restart the processes, and then run it with --reseal-only.
    """
    settings = load_settings()
    with explained():
        if print_ring:
            typer.echo(_keys(settings)[0].rotated().dump())
            return
        try:
            active, outcome = asyncio.run(_rotate(settings, add_key=not reseal_only))
        except KeyboardInterrupt:
            raise CommandError("Broken off; nothing is lost.", f"`{_RESEAL}` goes on.") from None
    if as_json:
        print_json(_document(active, outcome))
    else:
        _report(active, outcome)
    if outcome.unreadable or not outcome.complete:
        raise typer.Exit(1)


@app.command()
def retire(
    remove: Annotated[
        bool,
        typer.Option(
            "--remove", help="Take the keys that seal nothing out of the key ring's file."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check whether the older keys still seal anything; those that do not may be removed from the ring.

    It looks at every row. Backups made before need the older keys: keep a copy of the ring with those. The exit
    status is 1 while an older key seals something.
    """
    settings = load_settings()
    with explained():
        keys, _ = _keys(settings)
        path = keyring_file(settings)
        if remove and path is None:
            raise CommandError(
                "The key ring comes from TIDINGS_KEYRING, which this command cannot change.",
                "Without --remove it says which keys may be removed there.",
            )
        counted = asyncio.run(_old_keys(settings, keys))
        unused = sorted(key for key, count in counted.items() if not count)
        if remove and path is not None and unused:
            ring_file.remove_keys(path, unused)
    used = {key: count for key, count in sorted(counted.items()) if count}
    if as_json:
        in_use = {str(key): count for key, count in used.items()}
        print_json({"active": keys.active, "unused": unused, "removed": remove, "in_use": in_use})
    else:
        _report_old(unused, used, removed=remove)
    if used:
        raise typer.Exit(1)


async def _old_keys(settings: Settings, keys: Keys) -> dict[int, int]:
    async with connected(settings) as connection:
        await rotation.check(connection, open_keyring(settings))
        return await rotation.old_keys(connection, keys)


def _report_old(unused: list[int], used: dict[int, int], *, removed: bool) -> None:
    if not unused and not used:
        typer.echo("The ring has no older keys.")
    for key in unused:
        what = "was removed" if removed else "may be removed: backups made before need it"
        typer.echo(f"Key {key} seals nothing any more, and {what}.")
    for key, count in used.items():
        typer.echo(f"Key {key} still seals {count} values; `{_RESEAL}` seals them again.", err=True)


def _keys(settings: Settings) -> tuple[Keys, str]:
    """The ring and where it comes from. Raises SettingsError and KeyRingError."""
    path = keyring_file(settings)
    if path is not None:
        return read_keys(path), str(path)
    assert settings.keyring is not None
    return Keys.parse(settings.keyring.get_secret_value()), "TIDINGS_KEYRING"


async def _usage(settings: Settings) -> dict[str, dict[int, int]]:
    async with connected(settings) as connection:
        return await rotation.usage(connection)


def _by_key(used: dict[str, dict[int, int]]) -> dict[int, dict[str, int]]:
    keys = {key for counts in used.values() for key in counts}
    return {
        key: {name: counts[key] for name, counts in used.items() if key in counts}
        for key in sorted(keys)
    }


def _rows(keys: Keys, used: dict[str, dict[int, int]] | None) -> list[tuple[object, ...]]:
    """Keys that seal something but are not in the ring are shown too: they are missing."""
    counted = {key: sum(tables.values()) for key, tables in _by_key(used or {}).items()}
    rows: list[tuple[object, ...]] = []
    for key in sorted({*keys.keys, *counted}):
        state = "missing" if key not in keys.keys else "opens what it sealed"
        state = "active: seals" if key == keys.active else state
        rows.append((key, state) if used is None else (key, state, counted.get(key, 0)))
    return rows


async def _rotate(settings: Settings, *, add_key: bool) -> tuple[int, Outcome]:
    path = keyring_file(settings)
    if add_key and path is None:
        raise CommandError(
            "The key ring comes from TIDINGS_KEYRING, which this command cannot change.",
            "Put what `tidings keyring rotate --print` shows into TIDINGS_KEYRING of every process and\n"
            f"restart them; then run `{_RESEAL}`.",
        )
    async with connected(settings, hot=True) as connection:
        keyring = open_keyring(settings)
        await rotation.check(connection, keyring)
        if add_key and path is not None:
            ring_file.add_key(path)
            keyring = open_keyring(settings)
        return keyring.keys.active, await _reseal(connection, keyring)


async def _reseal(connection: Connection, keyring: KeyRing) -> Outcome:
    out = console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=out, disable=not out.is_terminal) as progress:
        task = progress.add_task("sealing again", total=await rotation.total(connection))

        def report(page: Count) -> None:
            progress.update(task, advance=page.rows, description=page.table)

        outcome = await rotation.reseal(connection, keyring, report)
        progress.update(task, description="done")
    return outcome


def _document(active: int, outcome: Outcome) -> dict[str, object]:
    return {
        "active": active,
        "complete": outcome.complete,
        "tables": {
            name: {
                "rows": count.rows,
                "resealed": count.resealed,
                "unreadable": count.unreadable,
                "left": count.passed_over,
            }
            for name, count in outcome.counts.items()
        },
    }


def _report(active: int, outcome: Outcome) -> None:
    rows = [
        (name, count.rows, count.resealed, count.unreadable or "")
        for name, count in outcome.counts.items()
    ]
    console().print(table(("table", "rows", "sealed again", "unreadable"), rows))
    if not outcome.complete:
        typer.echo(
            "Something goes on sealing with an older key: a process with another ring file or with\n"
            f"TIDINGS_KEYRING. Give it the new ring, restart it, then run `{_RESEAL}`.",
            err=True,
        )
    elif outcome.unreadable:
        typer.echo(
            f"{outcome.unreadable} values do not open with this ring and stay as they are: they were\n"
            "sealed with a key that it does not hold, or were changed in the database.",
            err=True,
        )
    else:
        typer.echo(
            f"Key {active} seals everything. The older keys stay in the ring: backups made before need them."
        )
