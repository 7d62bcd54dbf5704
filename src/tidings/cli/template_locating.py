"""Where in a folder a problem is that the API found."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tidings.cli.client import FieldProblem, ProblemError
from tidings.cli.source_files import FolderError, Mistake, line_of_field, read_text
from tidings.cli.template_files import DATA, MAIN, TABLES, TEXTS
from tidings.cli.template_folder import languages

SHARED = frozenset({"layouts", "partials"})
_OF_FIELDS = frozenset({".toml", ".json"})
OF_CONTENT = frozenset({400, 413})
"""The statuses of problems that lie in what was sent. Others are with the request as a whole, and end a command."""


def mistakes_of(source: Path, problem: ProblemError) -> tuple[Mistake, ...]:
    """source: the folder of a template, or the file of what is shared."""
    found = tuple(_locate(source, one) for one in problem.errors)
    return found or (Mistake(source, 0, problem.message),)


def warnings_of(source: Path, answer: Mapping[str, Any]) -> tuple[Mistake, ...]:
    """What the API told of content that it took. source: as in mistakes_of()."""
    told = (FieldProblem.of(one) for one in answer.get("warnings", ()))
    return tuple(_locate(source, one) for one in told)


def _locate(source: Path, told: FieldProblem) -> Mistake:
    """Its path names the field as the API does, e.g. content.email.html, or template.content.email.html among others."""
    path = told.path.removeprefix("template.")
    if (file := _shared(source, path) or (source if source.is_file() else None)) is not None:
        return Mistake(file, told.line, told.message, told.column)
    found = _inside(source, path, told.line, told.message)
    # In a TOML file columns are others.
    exact = found.line and found.line == told.line and found.file.suffix not in _OF_FIELDS
    return replace(found, column=told.column) if exact else found


def _shared(source: Path, path: str) -> Path | None:
    """The file of a layout or partial that the path names, such as partials.footer.text: its folder lies beside those of
    the templates."""
    kind, _, rest = path.partition(".")
    if kind not in SHARED or not rest:
        return None
    root = source.parent.parent if source.is_file() else source.parent
    name = rest.rpartition(".")[0] or rest
    return next((one for one in sorted((root / kind).glob("*")) if one.stem == name), None)


def _inside(folder: Path, path: str, line: int, said: str) -> Mistake:
    first, _, rest = path.partition(".")
    if first == "locales" and rest:
        tag, _, rest = rest.partition(".")
        inner = next((one for one in languages(folder) if _same(one.name, tag)), folder / tag)
        return _inside(inner, f"content.{rest}", line, said)
    if first != "content":
        return _beside(folder, path, said)
    channel, _, name = rest.partition(".")
    for file, target in TEXTS.items():
        if target == (channel, name):
            return Mistake(folder / file, line, said)
    for file, (owner, _) in TABLES.items():
        if owner == channel and (folder / file).is_file():
            return Mistake(folder / file, _line_of(folder / file, name, line), said)
    if channel == "webhook" and name.startswith("payload"):
        return Mistake(folder / "webhook.json", 0, f"{name}: {said}")
    return Mistake(folder, 0, f"{path}: {said}" if path else said)


def _beside(folder: Path, path: str, said: str) -> Mistake:
    """Of what is no content."""
    for file, name in DATA.items():
        if path.startswith(name) and (folder / file).is_file():
            return Mistake(folder / file, 0, f"{path}: {said}")
    named = f"{path}: {said}" if path else said
    return Mistake(folder / MAIN, _line_of(folder / MAIN, path), named)


def _same(one: str, other: str) -> bool:
    return one.replace("_", "-").lower() == other.replace("_", "-").lower()


def _line_of(path: Path, name: str, within: int = 1) -> int:
    """The line of a field's text, or one within it, in a TOML file; 0 where it is not found."""
    try:
        text = read_text(path)
    except FolderError:
        return 0
    first = line_of_field(text, name)
    if not first:
        return 0
    opened = text.splitlines()[first - 1].rstrip().endswith(('"""', "'''"))
    return first + max(within, 1) - 1 + opened
