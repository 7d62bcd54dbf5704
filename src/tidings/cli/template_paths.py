"""What the paths name that are given to a command: templates, and what they share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidings.cli import shared_folder, template_folder
from tidings.cli.source_files import FolderError, Mistake
from tidings.cli.template_files import MAIN

_NOTHING = (
    f"nothing to push here: a template is a folder with a {MAIN}; beside such folders, "
    "brand.json, layouts/ and partials/ have what they share"
)


@dataclass(frozen=True, slots=True)
class Found:
    """templates: their folders. shared: files of the brand, of partials and of layouts."""

    templates: list[Path]
    shared: list[Path]


def find(paths: Sequence[Path]) -> Found:
    """Each path is the folder around several, one template's folder, or a file of any. Raises FolderError."""
    templates: dict[Path, Path] = {}
    shared: dict[Path, Path] = {}
    for path in paths:
        own = template_folder.around(path)
        inside = [own] if own is not None else list(_templates(path))
        files = [] if own is not None else list(_shared(path))
        if not inside and not files:
            raise FolderError([Mistake(path, 0, _NOTHING)])
        templates |= {one.resolve(): one for one in inside}
        shared |= {one.resolve(): one for one in files}
    found = Found(list(templates.values()), list(shared.values()))
    if mistakes := list(_twice(found)):
        raise FolderError(mistakes)
    return found


def _twice(found: Found) -> Iterator[Mistake]:
    """Each push would store one in the other's place."""
    named = [(("template", folder.resolve().name), folder) for folder in found.templates]
    named += [(shared_folder.key(one), one) for one in found.shared if shared_folder.is_known(one)]
    first: dict[tuple[str, str], Path] = {}
    for (kind, name), path in named:
        other = first.setdefault((kind, name), path)
        if other != path:
            yield Mistake(path, 0, f"is the {kind} {name}, as {other} is: keep one of them")


def _templates(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(one.parent for one in path.glob(f"*/{MAIN}"))


def _shared(path: Path) -> Iterator[Path]:
    if path.resolve().name in shared_folder.FOLDERS and path.is_dir():
        yield from shared_folder.inside(path)
    elif path.is_dir():
        yield from shared_folder.files(path)
    elif shared_folder.is_shared(path):
        yield path
