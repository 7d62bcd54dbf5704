"""The pages of the documentation, and the blocks of code in them.

A block of `sh` or `python` is run. One of `console` is not, and says why in the line before it:
`<!-- not run: REASON -->`. Lines `<!-- shows: TEXT -->` behind a block tell what its output holds, and
`<!-- used -->` before a block of `toml` makes it part of the settings of the installation that is used.
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted(DOCS.rglob("*.md")),
]

_BLOCK = re.compile(
    r"(?:^ *<!-- (?P<before>[^\n]*?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```\n"
    r"(?P<after>(?: *<!-- shows: [^\n]* -->\n)*)",
    re.MULTILINE | re.DOTALL,
)
_SHOWS = re.compile(r"<!-- shows: (.*?) -->")
_FENCED = re.compile(r"^ *```.*?^ *```\n", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """language: of the fence. before: the comment in the line before it."""

    page: Path
    language: str
    text: str
    before: str
    shows: tuple[str, ...]

    @property
    def runs(self) -> bool:
        return self.language in {"sh", "python"}


def blocks(page: Path) -> Iterator[Block]:
    for found in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield Block(
            page,
            found["language"],
            textwrap.dedent(found["text"]),
            found["before"] or "",
            tuple(_SHOWS.findall(found["after"])),
        )


def all_blocks(language: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.language == language]


def name_of(thing: Path | Block) -> str:
    """For the names of tests."""
    page = thing if isinstance(thing, Path) else thing.page
    return str(page.relative_to(ROOT))


def links(page: Path) -> list[str]:
    return _LINK.findall(_FENCED.sub("", page.read_text(encoding="utf-8")))


def anchors(page: Path) -> set[str]:
    """What a link can name behind a #, as GitHub makes it of headings."""
    headings = _HEADING.findall(_FENCED.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
