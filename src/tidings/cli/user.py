"""`tidings user`: users, one by one and many at once, and all that is held about one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from tidings.cli import preferences, prospect, user_import
from tidings.cli.arguments import json_object
from tidings.cli.client import Api, ProblemError, open_api
from tidings.cli.config import load_settings
from tidings.cli.errors import CommandError
from tidings.cli.output import Json, console, moment, print_json, table, text

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Users.")

_PAGE = 200
_ATTRIBUTES = "--attributes"

UserId = Annotated[str, typer.Argument(metavar="ID")]


@app.command("list")
def listing(
    email: Annotated[str | None, typer.Option(help="Whose address this is.")] = None,
    phone: Annotated[str | None, typer.Option(help="Whose number this is.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """List users, in the order of their ids."""
    with open_api(load_settings()) as api:
        found = list(_found(api, {"email": email, "phone": phone}, limit))
    if as_json:
        print_json(*found)
        return
    columns = ("user", "email", "phone", "locale", "time zone", "changed")
    console().print(table(columns, [_row(one) for one in found]) if found else "No users.")


@app.command()
def show(user_id: UserId, as_json: Json = False) -> None:
    """Show a user and their devices."""
    with open_api(load_settings()) as api:
        user = api.get("users", user_id)
        devices = api.get("users", user_id, "devices")["devices"]
    if as_json:
        print_json({**user, "devices": devices})
        return
    rows = [(name, _shown(value)) for name, value in user.items() if value not in (None, {})]
    rows += [("device", " ".join(filter(None, map(one.get, _DEVICE)))) for one in devices]
    console().print(table(("", ""), rows))


@app.command("set")
def change(
    user_id: UserId,
    email: Annotated[str | None, typer.Option(help="Empty takes it away.")] = None,
    phone: Annotated[str | None, typer.Option(help="As +15551234567.")] = None,
    locale: Annotated[str | None, typer.Option(help="As de-AT.")] = None,
    timezone: Annotated[str | None, typer.Option(help="As Europe/Vienna.")] = None,
    attributes: Annotated[
        str | None,
        typer.Option(_ATTRIBUTES, metavar="JSON", help="JSON, or @FILE; null takes one away."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a user, or change what is named of one."""
    given = {"email": email, "phone": phone, "locale": locale, "timezone": timezone}
    document: dict[str, Any] = {
        name: value or None for name, value in given.items() if value is not None
    }
    if attributes is not None:
        document["attributes"] = json_object(_ATTRIBUTES, attributes)
    with open_api(load_settings()) as api:
        answer = _saved(api, user_id, document)
    print_json(answer) if as_json else console().print(text(f"{user_id} is stored."))


@app.command()
def delete(user_id: UserId) -> None:
    """Forget a user, their devices and choices; what was sent stays on record."""
    with open_api(load_settings()) as api:
        api.send("DELETE", "users", user_id)
    console().print(text(f"{user_id} is forgotten."))


@app.command()
def erase(
    user_id: UserId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Erase a person, for good: of what was sent only what became of it is kept."""
    if not yes:
        typer.confirm(f"Erase all that is held about {user_id}, for good?", abort=True, err=True)
    with open_api(load_settings()) as api:
        answer = api.send("POST", "users", user_id, "erase")
    if as_json:
        print_json(answer)
    else:
        count = answer["notifications"]
        console().print(
            text(f"{user_id} is erased; {count:,} notifications are kept without them.")
        )
    if not answer["complete"]:
        raise CommandError(
            "Messages to them are being sent at this moment.", "The same command again finishes it."
        )


@app.command()
def export(
    user_id: UserId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; standard output without it.")
    ] = None,
) -> None:
    """Everything that is held about a user, as JSON lines."""
    with open_api(load_settings()) as api:
        entries = api.lines("users", user_id, "export")
        if output is None:
            for entry in entries:
                print_json(entry)
            return
        count = _write(entries, output)
    console(stderr=True).print(f"{count:,} entries are in {output}.")


@app.command("import")
def bring(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines or CSV; - for stdin.")],
    kind: Annotated[
        user_import.Kind | None,
        typer.Option(
            "--format", help="By default what the file's name ends with; else JSON lines."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Create and change many users. What a line does not name stays as it is."""
    with open_api(load_settings()) as api:
        user_import.run(api, path, kind, as_json=as_json)


app.add_typer(preferences.app, name="preferences")
app.command("explain")(prospect.explain)


def _found(api: Api, wanted: dict[str, str | None], limit: int) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while limit > 0:
        page = api.get("users", **wanted, cursor=cursor, limit=min(limit, _PAGE))
        yield from page["users"]
        limit -= len(page["users"])
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _saved(api: Api, user_id: str, document: dict[str, Any]) -> Any:
    try:
        return api.send("PATCH", "users", user_id, body=orjson.dumps(document))
    except ProblemError as problem:
        if problem.code != "not_found":
            raise
    fresh = {name: value for name, value in document.items() if value is not None}
    return api.put("users", user_id, document=fresh)


def _write(entries: Iterator[Any], output: Path) -> int:
    count = 0
    try:
        with output.open("wb") as written:
            for count, entry in enumerate(entries, start=1):  # noqa: B007 - counted
                written.write(orjson.dumps(entry) + b"\n")
    except OSError as error:
        raise CommandError(f"Cannot write {output}: {error.strerror}.") from None
    return count


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    names = ("user_id", "email", "phone", "locale", "timezone")
    return (*(one[name] for name in names), moment(one["updated_at"]))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


_DEVICE = ("platform", "hint", "state", "reason", "device_id")
