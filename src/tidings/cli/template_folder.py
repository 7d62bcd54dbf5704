"""A template as a folder, pleasant to edit and to keep in git.

    templates/
      welcome_email/            the template's id
        template.toml           name, category, on_unknown, engine, deduplicate_seconds, digest_window, track_opens,
                                track_clicks, locale; may be empty
        email.subject.txt       one file for each field of each channel,
        email.html              or email.md (Markdown) or email.mjml
        email.layout.txt        the id of the layout that it is put into
        email.text.txt
        sms.txt
        email.toml              its headers and tags
        push.toml               or one for a channel with several short ones
        in_app.toml
        webhook.json            the payload; null to send the notification's data as it is
        variables.json          the data that it takes, as a JSON Schema
        sample.json             an example of it
        de/                     the same files, for those who read German

A text file's last line feed belongs to the file and not to the text.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pydantic_core

from tidings.cli import toml_text
from tidings.domain.locales import canonical

MAIN = "template.toml"
_SETTINGS = (
    *("name", "category", "on_unknown", "engine"),
    *("deduplicate_seconds", "digest_window", "locale"),
    *("track_opens", "track_clicks"),
)
_NUMBERS = frozenset({"deduplicate_seconds", "digest_window"})
_SWITCHES = frozenset({"track_opens", "track_clicks"})
_CADENCE = "cadence"  # the digest_window that is no number
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,4}){0,2}")
_DEFAULTS = {"category": "transactional", "on_unknown": "resend", "engine": "jinja"}

_TEXTS: Mapping[str, tuple[str, str]] = {
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
_TABLES: Mapping[str, tuple[str, Sequence[str]]] = {
    "email.toml": ("email", _EMAIL_OPTIONS),
    "push.toml": ("push", ("title", "body", "url", *_PUSH_OPTIONS)),
    "in_app.toml": ("in_app", ("title", "body", "url")),
}
_JSON: Mapping[str, tuple[str, str]] = {"webhook.json": ("webhook", "payload")}
_DATA: Mapping[str, str] = {"variables.json": "variables", "sample.json": "sample"}
KNOWN = (MAIN, *_DATA, *_TEXTS, *_TABLES, *_JSON)
"""The files that a template's folder may have; README files and hidden ones do not matter."""


Content = Mapping[str, Mapping[str, Any]]
"""By channel."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """Where it is and what it is. line: counted from 1; 0 where it is not known."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: {self.message}"
            if self.line
            else f"{self.file}: {self.message}"
        )


class FolderError(Exception):
    """The folder does not hold a template."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("; ".join(map(str, mistakes)))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class Template:
    """As the API takes it."""

    id: str
    name: str
    category: str
    on_unknown: str
    content: Content = field(repr=False)
    deduplicate_seconds: int | None = None
    locale: str | None = None
    locales: Mapping[str, Content] = field(default_factory=dict, repr=False)
    variables: Mapping[str, Any] | None = field(default=None, repr=False)
    sample: Mapping[str, Any] | None = field(default=None, repr=False)
    digest_window: int | str | None = None
    engine: str = "jinja"
    track_opens: bool | None = None
    track_clicks: bool | None = None

    @classmethod
    def of_answer(cls, answer: Mapping[str, Any]) -> "Template":
        return cls(
            answer["id"],
            answer["name"],
            answer["category"],
            answer["on_unknown"],
            answer["content"],
            answer.get("deduplicate_seconds"),
            answer.get("locale"),
            answer.get("locales") or {},
            answer.get("variables"),
            answer.get("sample"),
            (answer.get("digest") or {}).get("window"),
            answer.get("engine", _DEFAULTS["engine"]),
            answer.get("track_opens"),
            answer.get("track_clicks"),
        )

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "category": self.category,
            "on_unknown": self.on_unknown,
            "engine": self.engine,
            "deduplicate_seconds": self.deduplicate_seconds,
            "content": self.content,
            "locale": self.locale,
            "locales": self.locales,
            "variables": self.variables,
            "sample": self.sample,
            "digest": None if self.digest_window is None else {"window": self.digest_window},
            "track_opens": self.track_opens,
            "track_clicks": self.track_clicks,
        }


def find(paths: Sequence[Path]) -> list[Path]:
    """The templates' folders that these name: a folder itself, the folder around several, or a file of
    one. Raises FolderError."""
    found: dict[Path, None] = {}
    for path in paths:
        folder = path.parent if path.is_file() else path
        inside = (
            [folder]
            if (folder / MAIN).is_file()
            else sorted(one.parent for one in folder.glob(f"*/{MAIN}"))
        )
        if not inside:
            raise FolderError(
                [Mistake(path, 0, f"no template here: a template is a folder with a {MAIN}")]
            )
        found.update(dict.fromkeys(inside))
    return list(found)


def read(folder: Path) -> Template:
    """Raises FolderError with all that is wrong."""
    mistakes: list[Mistake] = []
    settings, content = _folder(folder, mistakes)
    locales: dict[str, Content] = {}
    for path in _languages(folder):
        _, locales[_tag(path)] = _folder(path, mistakes)
        mistakes += [
            Mistake(path / name, 0, "belongs to the template, not to a language")
            for name in (MAIN, *_DATA)
            if (path / name).exists()
        ]
    if mistakes:
        raise FolderError(mistakes)
    return Template(
        id=folder.resolve().name,
        name=settings.get("name", folder.resolve().name),
        category=settings.get("category", _DEFAULTS["category"]),
        on_unknown=settings.get("on_unknown", _DEFAULTS["on_unknown"]),
        content=content,
        deduplicate_seconds=settings.get("deduplicate_seconds"),
        locale=settings.get("locale"),
        locales=locales,
        variables=settings.get("variables"),
        sample=settings.get("sample"),
        digest_window=settings.get("digest_window"),
        engine=settings.get("engine", _DEFAULTS["engine"]),
        track_opens=settings.get("track_opens"),
        track_clicks=settings.get("track_clicks"),
    )


def _kind(name: str) -> tuple[str, type]:
    if name in _SWITCHES:
        return "true or false", bool
    return ("a number", int) if name in _NUMBERS else ("a text", str)


def _tag(path: Path) -> str:
    """Its language as the API writes it; what is no language tag is left for the API to refuse."""
    try:
        return canonical(path.name)
    except ValueError:
        return path.name


def _languages(folder: Path) -> list[Path]:
    """The folders inside, one for each language."""
    if not folder.is_dir():
        return []
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_dir() and _LANGUAGE.fullmatch(path.name)
    ]


def _folder(
    folder: Path, mistakes: list[Mistake]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Settings, and content by channel, of the files of one folder."""
    settings: dict[str, Any] = {}
    content: dict[str, dict[str, Any]] = {}
    languages = _languages(folder)
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "README")) or path in languages:
            continue
        try:
            channel, fields = _parse(path, _text(path))
        except FolderError as error:
            mistakes += error.mistakes
        else:
            (content.setdefault(channel, {}) if channel else settings).update(fields)
    return settings, content


def write(folder: Path, template: Template) -> None:
    """Make the folder say exactly this; files that are not a template's stay. Raises OSError."""
    _write(folder, dict(_files(template)))
    for tag in {path.name for path in _languages(folder)} | set(template.locales):
        inner = folder / tag
        _write(inner, dict(_content_files(template.locales.get(tag, {}))))
        if not any(inner.iterdir()):
            inner.rmdir()


def files(template: Template) -> dict[str, str]:
    """Its text by name, as they stand in its folder; those of a language as de/sms.txt."""
    found = dict(_files(template))
    for tag, content in template.locales.items():
        found |= {f"{tag}/{name}": text for name, text in _content_files(content)}
    return found


def _write(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in KNOWN:
        path = folder / name
        if name not in files:
            path.unlink(missing_ok=True)
        elif not _says(path, files[name]):
            path.write_bytes(files[name].encode())


def locate(folder: Path, path: str, message: str) -> Mistake:
    """Where in the folder a problem of the API is. path: as the API names the field, e.g.
    content.email.html; message: may begin with `line N: `."""
    found = re.match(r"line (\d+): (.*)", message, re.DOTALL)
    line, said = (int(found[1]), found[2]) if found else (0, message)
    first, _, rest = path.partition(".")
    if first == "locales" and rest:
        tag, _, rest = rest.partition(".")
        inner = next((one for one in _languages(folder) if _same(one.name, tag)), folder / tag)
        return locate(inner, f"content.{rest}", message)
    if first != "content":
        return _beside(folder, path, said)
    channel, _, name = rest.partition(".")
    for file, target in _TEXTS.items():
        if target == (channel, name):
            return Mistake(folder / file, line, said)
    for file, (owner, _) in _TABLES.items():
        if owner == channel and (folder / file).is_file():
            return Mistake(folder / file, _line_of(folder / file, name, line), said)
    if channel == "webhook" and name.startswith("payload"):
        return Mistake(folder / "webhook.json", 0, f"{name}: {said}")
    return Mistake(folder, 0, f"{path}: {said}" if path else said)


def _beside(folder: Path, path: str, said: str) -> Mistake:
    """Of what is no content."""
    for file, name in _DATA.items():
        if path.startswith(name) and (folder / file).is_file():
            return Mistake(folder / file, 0, f"{path}: {said}")
    return Mistake(folder / MAIN, _line_of(folder / MAIN, path), said)


def _same(one: str, other: str) -> bool:
    return one.replace("_", "-").lower() == other.replace("_", "-").lower()


def _parse(path: Path, text: str) -> tuple[str, dict[str, Any]]:
    """The channel that a file belongs to, and the fields that it gives; for template.toml no channel."""
    name = path.name
    if name == MAIN:
        return "", _table(path, text, _SETTINGS)
    if name in _DATA:
        return "", {_DATA[name]: _object(path, text)}
    if name in _TEXTS:
        channel, field_name = _TEXTS[name]
        return channel, {field_name: text.removesuffix("\n")}
    if name in _TABLES:
        channel, names = _TABLES[name]
        return channel, _table(path, text, names)
    if name in _JSON:
        channel, field_name = _JSON[name]
        value = _json(path, text)
        return channel, {} if value is None else {field_name: value}
    raise FolderError([Mistake(path, 0, f"not a template's file; those are {', '.join(KNOWN)}")])


def _says(path: Path, text: str) -> bool:
    """Whether the file is there and says the same, if in other words: then it is left as it is, with its
    comments and its order."""
    try:
        return _parse(path, _text(path)) == _parse(path, text)
    except FolderError:
        return False


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise FolderError([Mistake(path, line, "not UTF-8")]) from None
    except OSError as error:
        raise FolderError([Mistake(path, 0, error.strerror or "cannot be read")]) from None


def _table(path: Path, text: str, names: Sequence[str]) -> dict[str, Any]:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at line (\d+)", str(error))
        raise FolderError([Mistake(path, int(at[1]) if at else 0, f"not TOML: {error}")]) from None
    mistakes = [
        Mistake(
            path,
            _line_in(text, name),
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


def _json(path: Path, text: str) -> Any:
    try:
        return pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        at = re.search(r"at line (\d+)", str(error))
        raise FolderError([Mistake(path, int(at[1]) if at else 0, f"not JSON: {error}")]) from None


def _object(path: Path, text: str) -> Any:
    value = _json(path, text)
    if not isinstance(value, dict):
        raise FolderError([Mistake(path, 0, "must be a JSON object")])
    return value


def _files(template: Template) -> Iterator[tuple[str, str]]:
    settings = {"name": template.name} if template.name != template.id else {}
    settings |= {"category": template.category, "on_unknown": template.on_unknown}
    if template.engine != _DEFAULTS["engine"]:
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
            yield file, f"{orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()}\n"
    yield from _content_files(template.content)


def _content_files(content: Content) -> Iterator[tuple[str, str]]:
    for file, (channel, name) in _TEXTS.items():
        if (value := content.get(channel, {}).get(name)) is not None:
            yield file, f"{value}\n"
    for file, (channel, names) in _TABLES.items():
        given = content.get(channel, {})
        if table := {name: given[name] for name in names if given.get(name) not in (None, "")}:
            yield file, toml_text.dump(table)
    for file, (channel, name) in _JSON.items():
        given = content.get(channel, {"": ""})
        # A channel without any field is there too: null says so, and that the data itself is sent.
        if name in given or not given:
            value = orjson.dumps(given.get(name), option=orjson.OPT_INDENT_2).decode()
            yield file, f"{value}\n"


def _line_of(path: Path, name: str, within: int = 1) -> int:
    """The line of a field's text, or one within it, in a TOML file; 0 where it is not found."""
    try:
        text = _text(path)
    except FolderError:
        return 0
    first = _line_in(text, name)
    if not first:
        return 0
    opened = text.splitlines()[first - 1].rstrip().endswith(('"""', "'''"))
    return first + max(within, 1) - 1 + opened


def _line_in(text: str, name: str) -> int:
    found = re.search(rf"^\s*[\"']?{re.escape(name)}[\"']?\s*=", text, re.MULTILINE)
    return text.count("\n", 0, found.end()) + 1 if found else 0
