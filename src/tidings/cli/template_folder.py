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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidings.cli.source_files import FolderError, Mistake, read_text
from tidings.cli.template_document import DEFAULTS, Content, Template
from tidings.cli.template_files import DATA, KNOWN, MAIN, content_files, files_of, parse, says
from tidings.domain.locales import canonical

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,4}){0,2}")
_BODIES = ("email.html", "email.md", "email.mjml")


def around(path: Path) -> Path | None:
    """The template's folder that a path is, or is a file or a language of; None where there is none."""
    folder = path if path.is_dir() else path.parent
    if (folder / MAIN).is_file():
        return folder
    above = folder.absolute().parent
    of_language = _LANGUAGE.fullmatch(folder.absolute().name)
    return above if of_language and (above / MAIN).is_file() else None


def read(folder: Path) -> Template:
    """Raises FolderError with all that is wrong."""
    mistakes: list[Mistake] = []
    settings, content = _folder(folder, mistakes)
    locales: dict[str, Content] = {}
    folders: dict[str, Path] = {}
    for path in languages(folder):
        tag = _tag(path)
        other = folders.setdefault(tag, path)
        if other != path:
            said = f"is the language {tag}, as {other.name} is: keep one of them"
            mistakes.append(Mistake(path, 0, said))
        _, locales[tag] = _folder(path, mistakes)
        mistakes += [
            Mistake(path / name, 0, "belongs to the template, not to a language")
            for name in (MAIN, *DATA)
            if (path / name).exists()
        ]
    if mistakes:
        raise FolderError(mistakes)
    return Template(
        id=folder.resolve().name,
        name=settings.get("name", folder.resolve().name),
        category=settings.get("category", DEFAULTS["category"]),
        on_unknown=settings.get("on_unknown", DEFAULTS["on_unknown"]),
        content=content,
        deduplicate_seconds=settings.get("deduplicate_seconds"),
        locale=settings.get("locale"),
        locales=locales,
        variables=settings.get("variables"),
        sample=settings.get("sample"),
        digest_window=settings.get("digest_window"),
        engine=settings.get("engine", DEFAULTS["engine"]),
        track_opens=settings.get("track_opens"),
        track_clicks=settings.get("track_clicks"),
    )


def write(folder: Path, template: Template) -> None:
    """Make the folder say exactly this; files that are not a template's stay. Raises OSError."""
    _write(folder, dict(files_of(template)))
    for tag in {path.name for path in languages(folder)} | set(template.locales):
        inner = folder / tag
        _write(inner, dict(content_files(template.locales.get(tag, {}))))
        if not any(inner.iterdir()):
            inner.rmdir()


def files(template: Template) -> dict[str, str]:
    """Its text by name, as they stand in its folder; those of a language as de/sms.txt."""
    found = dict(files_of(template))
    for tag, content in template.locales.items():
        found |= {f"{tag}/{name}": text for name, text in content_files(content)}
    return found


def known(folder: Path) -> list[Path]:
    """The files in it that are a template's, and that remove() deletes."""
    return [
        path
        for inner in (folder, *languages(folder))
        for path in (inner / name for name in KNOWN)
        if path.is_file()
    ]


def remove(folder: Path) -> None:
    """Delete its files; the folder stays where it has others. Raises OSError."""
    for path in known(folder):
        path.unlink()
    for inner in (*languages(folder), folder):
        if not any(inner.iterdir()):
            inner.rmdir()


def languages(folder: Path) -> list[Path]:
    """The folders inside, one for each language."""
    if not folder.is_dir():
        return []
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_dir() and _LANGUAGE.fullmatch(path.name)
    ]


def _tag(path: Path) -> str:
    """Its language as the API writes it; what is no language tag is left for the API to refuse."""
    try:
        return canonical(path.name)
    except ValueError:
        return path.name


def _folder(
    folder: Path, mistakes: list[Mistake]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Settings, and content by channel, of the files of one folder."""
    settings: dict[str, Any] = {}
    content: dict[str, dict[str, Any]] = {}
    inside = languages(folder)
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "README")) or path in inside:
            continue
        if path.is_dir():
            mistakes.append(Mistake(path, 0, "is not the tag of a language, such as de or pt-BR"))
            continue
        try:
            channel, fields = parse(path, read_text(path))
        except FolderError as error:
            mistakes += error.mistakes
        else:
            (content.setdefault(channel, {}) if channel else settings).update(fields)
    first, *others = [name for name in _BODIES if (folder / name).is_file()] or [""]
    for name in others:
        said = f"is the email's body, as {first} is: keep one of them"
        mistakes.append(Mistake(folder / name, 0, said))
    return settings, content


def _write(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in KNOWN:
        path = folder / name
        if name not in files:
            path.unlink(missing_ok=True)
        elif not says(path, files[name]):
            path.write_bytes(files[name].encode())
