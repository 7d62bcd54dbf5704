"""`tidings template` …: the versions of one template, previewed, tested and published."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pydantic_core
import typer

from tidings.cli.client import open_api
from tidings.cli.config import load_settings
from tidings.cli.errors import CommandError
from tidings.cli.output import Json, console, moment, print_json, table
from tidings.cli.template_files import json_text
from tidings.cli.template_known import known
from tidings.domain.channels import Channel

TemplateId = Annotated[str, typer.Argument(metavar="ID", help="The template.")]
Version = Annotated[
    int | None, typer.Option("--version", min=1, help="The published one if not given.")
]
Data = Annotated[
    str | None,
    typer.Option(metavar="JSON", help="The data, or @FILE; the version's sample if not given."),
]
Language = Annotated[str | None, typer.Option(metavar="TAG", help="Of the reader, as de-AT.")]


def versions(template_id: TemplateId, as_json: Json = False) -> None:
    """List the versions of a template, the newest first."""
    with open_api(load_settings()) as api, known(template_id):
        answer = api.get("templates", template_id, "versions")
    if as_json:
        print_json(answer)
        return
    rows = [
        (
            f"v{one['version']}",
            "current" if one["version"] == answer["current_version"] else _stage(one),
            one["name"],
            moment(one["created_at"]),
            moment(one["published_at"]),
        )
        for one in answer["versions"]
    ]
    console().print(table(("version", "stage", "name", "created", "published"), rows))
    if answer["archived_at"]:
        typer.echo(f"Archived since {moment(answer['archived_at'])}: it takes no notifications.")


def publish(
    template_id: TemplateId,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="The latest if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a version, usually a draft, the one that new notifications get."""
    with open_api(load_settings()) as api, known(template_id, version):
        chosen = version or api.get("templates", template_id, "versions")["latest_version"]
        answer = api.post("templates", template_id, "publish", document={"version": chosen})
    _said(answer, f"{template_id}: v{chosen} is the current version.", as_json=as_json)


def rollback(
    template_id: TemplateId,
    version: Annotated[
        int | None,
        typer.Option("--version", min=1, help="The one published before if not given."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make an older version the current one again."""
    with open_api(load_settings()) as api, known(template_id, version):
        state = api.get("templates", template_id, "versions")
        chosen = version or _before(state)
        answer = api.post("templates", template_id, "publish", document={"version": chosen})
    said = (
        f"{template_id}: v{chosen} is the current version, instead of v{state['current_version']}."
    )
    _said(answer, said, as_json=as_json)


def archive(template_id: TemplateId, as_json: Json = False) -> None:
    """Take no new notifications; those that were accepted are still sent."""
    with open_api(load_settings()) as api, known(template_id):
        answer = api.post("templates", template_id, "archive", document={})
    _said(answer, f"{template_id} is archived.", as_json=as_json)


def restore(template_id: TemplateId, as_json: Json = False) -> None:
    """Take new notifications again."""
    with open_api(load_settings()) as api, known(template_id):
        answer = api.post("templates", template_id, "restore", document={})
    _said(answer, f"{template_id} takes notifications again.", as_json=as_json)


def translations(template_id: TemplateId, version: Version = None, as_json: Json = False) -> None:
    """List what is not written in each of a template's languages; exit status 1 where something is not."""
    with open_api(load_settings()) as api, known(template_id, version):
        answer = api.get("templates", template_id, "translations", version=version)
    missing: dict[str, list[str]] = answer["missing"]
    if as_json:
        print_json(answer)
    else:
        rows = [(tag, ", ".join(fields) or "complete") for tag, fields in missing.items()]
        columns = ("language", "missing")
        console().print(table(columns, rows) if rows else "It is written in one language.")
    if any(missing.values()):
        raise typer.Exit(1)


def variables(template_id: TemplateId, version: Version = None) -> None:
    """Print the data that a template takes, as a JSON Schema: the declared one, or one made from what the
    template uses, to be saved as variables.json."""
    with open_api(load_settings()) as api, known(template_id, version):
        answer = api.get("templates", template_id, "variables", version=version)
    typer.echo(json_text(answer["declared"] or answer["derived"]), nl=False)


def preview(
    template_id: TemplateId,
    data: Data = None,
    locale: Language = None,
    version: Version = None,
    channel: Annotated[Channel | None, typer.Option(help="Only this channel.")] = None,
    html: Annotated[
        bool, typer.Option("--html", help="Only the HTML of the email, to be saved and looked at.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what each channel would be sent; exit status 1 where one would fail."""
    document = {"data": _data(data), "recipient": {"locale": locale}, "version": version}
    with open_api(load_settings()) as api, known(template_id, version):
        answer = api.post("templates", template_id, "preview", document=document)
    only = Channel.EMAIL if html else channel
    if as_json:
        print_json(answer)
    elif html:
        _print_html(answer)
    else:
        _show_content(answer, only)
    if not as_json:
        _show_remarks(answer, only)
    if answer["misfits"] or any(only in {None, one} for one in answer["errors"]):
        raise typer.Exit(1)


def send_test(
    template_id: TemplateId,
    email: Annotated[str | None, typer.Option(help="Send to this address.")] = None,
    phone: Annotated[str | None, typer.Option(help="Send to this number.")] = None,
    user: Annotated[str | None, typer.Option(help="Send to this user.")] = None,
    channel: Annotated[list[Channel] | None, typer.Option(help="Only these channels.")] = None,
    data: Data = None,
    locale: Language = None,
    version: Version = None,
    as_json: Json = False,
) -> None:
    """Send a version, also a draft, to an address of yours, as it would be sent."""
    if email is None and phone is None and user is None:
        raise CommandError("Give --email, --phone or --user.")
    recipient = {"email": email, "phone": phone, "user_id": user, "locale": locale}
    document = {
        "recipient": {name: value for name, value in recipient.items() if value is not None},
        "channels": channel or None,
        "data": _data(data),
        "version": version,
    }
    with open_api(load_settings()) as api, known(template_id, version):
        answer = api.post("templates", template_id, "test", document=document)
    said = f"v{answer['version']} is sent as {answer['notification_id']}."
    _said(answer, said, as_json=as_json)


COMMANDS: Mapping[str, Callable[..., None]] = {
    "versions": versions,
    "publish": publish,
    "rollback": rollback,
    "archive": archive,
    "restore": restore,
    "translations": translations,
    "variables": variables,
    "preview": preview,
    "test": send_test,
}


def _stage(version: dict[str, Any]) -> str:
    return "draft" if version["published_at"] is None else ""


def _before(state: dict[str, Any]) -> int:
    """The version that was published last before the current one."""
    current = state["current_version"]
    older: Sequence[int] = [
        one["version"]
        for one in state["versions"]
        if one["published_at"] is not None and current is not None and one["version"] < current
    ]
    if not older:
        raise CommandError(
            "No older version was published.", "`tidings template versions` lists them."
        )
    return older[0]


def _said(answer: Any, said: str, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        typer.echo(said)


def _data(given: str | None) -> Any:
    """The JSON object that is given, or that a file holds; None for none."""
    if given is None:
        return None
    try:
        written = Path(given[1:]).read_bytes() if given.startswith("@") else given
        data = pydantic_core.from_json(written, allow_inf_nan=False)
    except OSError as error:
        raise CommandError(f"--data cannot be read: {given[1:]}: {error.strerror}") from None
    except ValueError as error:
        raise CommandError(f"--data is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise CommandError("--data must be a JSON object.")
    return data


def _print_html(answer: dict[str, Any]) -> None:
    if Channel.EMAIL in answer["errors"]:
        return  # and what is wrong is told as with every channel
    page = answer["rendered"].get(Channel.EMAIL, {}).get("html")
    if not page:
        raise CommandError("The template has no email of HTML.")
    typer.echo(page)


def _show_content(answer: dict[str, Any], only: Channel | None) -> None:
    """As text, a field under its name."""
    for channel, content in answer["rendered"].items():
        if only in {None, channel}:
            language = answer["locales"][channel]
            typer.secho(f"{channel}{f' ({language})' if language else ''}", bold=True)
            rows = [
                (name, _shown(name, value))
                for name, value in content.items()
                if value not in (None, [], {})
            ]
            console().print(table(("field", "text"), rows))
    if answer["sms"] is not None and only in {None, Channel.SMS}:
        sms = answer["sms"]
        typer.echo(f"sms: {sms['parts']} part(s), {sms['units']} units of {sms['encoding']}")


def _shown(name: str, value: Any) -> str:
    """A page of HTML would push all else off the screen."""
    if name == "html":
        return f"{len(value):,} characters, which --html prints"
    return value if isinstance(value, str) else json_text(value).rstrip("\n")


def _show_remarks(answer: dict[str, Any], only: Channel | None) -> None:
    for one in answer["warnings"]:
        if only in {None, one["channel"]}:
            typer.secho(f"warning: {one['path']}: {one['message']}", fg="yellow", err=True)
    for one in answer["misfits"]:
        typer.secho(f"{one['path']} {one['message']}", fg="red", err=True)
    for channel, error in answer["errors"].items():
        if only in {None, channel}:
            place = [f"{name} {error[name]}" for name in ("line", "column") if error[name]]
            where = "".join(f", {one}" for one in place)
            typer.secho(f"{channel}{where}: {error['detail']}", fg="red", err=True)
