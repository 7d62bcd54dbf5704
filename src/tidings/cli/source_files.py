"""Files that people write, read so that each mistake has its line."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic_core


@dataclass(frozen=True, slots=True)
class Mistake:
    """Where it is and what it is. line and column: counted from 1; 0 where they are not known."""

    file: Path
    line: int
    message: str
    column: int = 0

    def __str__(self) -> str:
        place = ":".join(str(one) for one in (self.file, self.line, self.column) if one)
        return f"{place}: {self.message}"


class FolderError(Exception):
    """The folder does not hold what it is to hold."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("; ".join(map(str, mistakes)))
        self.mistakes = mistakes


def read_text(path: Path) -> str:
    """As it stands there, with the ends of its lines. Raises FolderError."""
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise FolderError([Mistake(path, line, "not UTF-8")]) from None
    except OSError as error:
        raise FolderError([Mistake(path, 0, error.strerror or "cannot be read")]) from None


def parse_toml(path: Path, text: str) -> dict[str, Any]:
    """path: whose text it is. Raises FolderError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at line (\d+)", str(error))
        raise FolderError([Mistake(path, int(at[1]) if at else 0, f"not TOML: {error}")]) from None


def parse_json(path: Path, text: str) -> Any:
    """path: whose text it is. Raises FolderError."""
    try:
        return pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        at = re.search(r"at line (\d+)", str(error))
        raise FolderError([Mistake(path, int(at[1]) if at else 0, f"not JSON: {error}")]) from None


def parse_object(path: Path, text: str) -> dict[str, Any]:
    """path: whose text it is. Raises FolderError."""
    value = parse_json(path, text)
    if not isinstance(value, dict):
        raise FolderError([Mistake(path, 0, "must be a JSON object")])
    return value


def line_of_field(text: str, name: str) -> int:
    """Where TOML gives a name its value, counted from 1; 0 where it does not."""
    found = re.search(rf"^\s*[\"']?{re.escape(name)}[\"']?\s*=", text, re.MULTILINE)
    return text.count("\n", 0, found.end()) + 1 if found else 0
