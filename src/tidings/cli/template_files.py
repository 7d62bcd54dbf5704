"""The files of a template's folder: which there are, and what each says."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from tidings.cli import toml_text
from tidings.cli.source_files import (
    FolderError,
    Mistake,
    line_of_field,
    parse_json,
    parse_object,
    parse_toml,
    read_text,
)
from tidings.cli.template_document import DEFAULTS, Content, Template

MAIN = "template.toml"
_SETTINGS = (
    *("name", "category", "on_unknown", "engine"),
    *("deduplicate_seconds", "digest_window", "locale"),
    *("track_opens", "track_clicks"),
)
_NUMBERS = frozenset({"deduplicate_seconds", "digest_window"})
_SWITCHES = frozenset({"track_opens", "track_clicks"})
_CADENCE = "cadence"  # the digest_window that is no number

TEXTS: Mapping[str, tuple[str, str]] = {
    "email.subject.txt": ("email", "subject"),
    "email.html": ("email", "html"),
    "email.md": ("email", "markdown"),
    "email.mjml": ("email", "mjml"),
    "email.layout.txt": ("email", "layout"),
    "email.text.txt": ("email", "text"),
    "email.reply_to.txt": ("email", "reply_to"),
    "email.from.txt": ("email", "from"),
    "sms.txt": ("sms", "body"),
    "chat.txt": ("chat", "body"),
    "webhook.type.txt": ("webhook", "type"),
}
_EMAIL_OPTIONS = ("tags", "headers")
_PUSH_OPTIONS = (
    *("image", "ttl", "priority", "badge", "sound"),
    *("data", "android", "ios", "web"),  # tables, which in TOML come after all else
)
"""The API checks what is in them."""
TABLES: Mapping[str, tuple[str, Sequence[str]]] = {
    "email.toml": ("email", _EMAIL_OPTIONS),
    "push.toml": ("push", ("title", "body", "url", *_PUSH_OPTIONS)),
    "in_app.toml": ("in_app", ("title", "body", "url")),
}
_JSON: Mapping[str, tuple[str, str]] = {"webhook.json": ("webhook", "payload")}
DATA: Mapping[str, str] = {"variables.json": "variables", "sample.json": "sample"}
KNOWN = (MAIN, *DATA, *TEXTS, *TABLES, *_JSON)
"""The files that a template's folder may have; README files and hidden ones do not matter."""


def parse(path: Path, text: str) -> tuple[str, dict[str, Any]]:
    """The channel that a file belongs to, and the fields that it gives; for what is no content no channel.
    Raises FolderError."""
    name = path.name
    if name == MAIN:
        return "", _table(path, text, _SETTINGS)
    if name in DATA:
        return "", {DATA[name]: parse_object(path, text)}
    if name in TEXTS:
        channel, field_name = TEXTS[name]
        return channel, {field_name: text.removesuffix("\n")}
    if name in TABLES:
        channel, names = TABLES[name]
        return channel, _table(path, text, names)
    if name in _JSON:
        channel, field_name = _JSON[name]
        value = parse_json(path, text)
        return channel, {} if value is None else {field_name: value}
    raise FolderError([Mistake(path, 0, f"not a template's file; those are {', '.join(KNOWN)}")])


def says(path: Path, text: str) -> bool:
    """Whether the file is there and says the same, if in other words: then it is left as it is, with its
    comments and its order."""
    try:
        return parse(path, read_text(path)) == parse(path, text)
    except FolderError:
        return False


def files_of(template: Template) -> Iterator[tuple[str, str]]:
    """Names and texts, without those of its languages."""
    settings = {"name": template.name} if template.name != template.id else {}
    settings |= {"category": template.category, "on_unknown": template.on_unknown}
    if template.engine != DEFAULTS["engine"]:
        settings["engine"] = template.engine
    if template.locale is not None:
        settings["locale"] = template.locale
    text = toml_text.dump(settings)
    if template.deduplicate_seconds is not None:
        text += f"deduplicate_seconds = {template.deduplicate_seconds}\n"
    if template.digest_window is not None:
        text += f"digest_window = {orjson.dumps(template.digest_window).decode()}\n"
    for name in sorted(_SWITCHES):
        if (switch := getattr(template, name)) is not None:
            text += f"{name} = {str(switch).lower()}\n"
    yield MAIN, text
    for file, value in (("variables.json", template.variables), ("sample.json", template.sample)):
        if value is not None:
            yield file, json_text(value)
    yield from content_files(template.content)


def content_files(content: Content) -> Iterator[tuple[str, str]]:
    """Names and texts of one language."""
    for file, (channel, name) in TEXTS.items():
        if (value := content.get(channel, {}).get(name)) is not None:
            yield file, f"{value}\n"
    for file, (channel, names) in TABLES.items():
        given = content.get(channel, {})
        if table := {name: given[name] for name in names if given.get(name) not in (None, "")}:
            yield file, toml_text.dump(table)
    for file, (channel, name) in _JSON.items():
        given = content.get(channel, {"": ""})
        # A channel without any field is there too: null says so, and that the data itself is sent.
        if name in given or not given:
            yield file, json_text(given.get(name))


def json_text(value: Any) -> str:
    """As it is written into a file."""
    return f"{orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()}\n"


def _table(path: Path, text: str, names: Sequence[str]) -> dict[str, Any]:
    table = parse_toml(path, text)
    mistakes = [
        Mistake(
            path,
            line_of_field(text, name),
            f"{name} must be {_kind(name)[0]}"
            if name in names
            else f"{name} is not known; known: {', '.join(names)}",
        )
        for name, value in table.items()
        if name not in names
        or not (
            name in (*_EMAIL_OPTIONS, *_PUSH_OPTIONS)
            or type(value) is _kind(name)[1]
            or (name == "digest_window" and value == _CADENCE)
        )
    ]
    if mistakes:
        raise FolderError(mistakes)
    return table


def _kind(name: str) -> tuple[str, type]:
    if name in _SWITCHES:
        return "true or false", bool
    return ("a number", int) if name in _NUMBERS else ("a text", str)
