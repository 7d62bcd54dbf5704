"""The steps of a plan: what is to be done to one template, layout, partial or brand of the server."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tidings.cli.source_files import Mistake
from tidings.domain.shared import SharedKind

Kind = SharedKind | Literal["template"]
_Change = Literal["create", "update", "publish", "restore", "refresh", "archive", "remove"]
_Rest = Literal["unchanged", "refused", "waiting"]
Action = _Change | _Rest
DONE: Mapping[str, str] = {
    "create": "created",
    "update": "updated",
    "publish": "published",
    "restore": "restored",
    "refresh": "refreshed",
    "archive": "archived",
    "remove": "removed",
}
"""What an action is called when it is done."""
_AT_REST = frozenset({"unchanged", "refused", "waiting"})
Files = Mapping[str, str]
"""Texts by name."""


@dataclass(frozen=True, slots=True)
class Step:
    """action: publish means that it is there as a draft; refresh, that it is published anew with what it shares;
    waiting, that something before it went wrong. archived: it is taken back first. before, after: as files, of the
    server and of the folder. document: as the API takes it, without its id. source: its folder or file. version: of the server;
    after the step, the one it made. older: what its current version uses that is, or is about to be, another
    version, as layout/main."""

    kind: Kind
    id: str
    action: Action
    before: Files = field(default_factory=dict, repr=False)
    after: Files = field(default_factory=dict, repr=False)
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)
    source: Path | None = None
    version: int | None = None
    archived: bool = False
    older: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    warnings: tuple[Mistake, ...] = ()

    @property
    def changes(self) -> bool:
        return self.action not in _AT_REST

    @property
    def of_template(self) -> bool:
        return self.kind == "template"

    def __str__(self) -> str:
        return self.kind if self.kind == "brand" else f"{self.kind} {self.id}"

    def as_json(self, result: str) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "id": self.id,
            "result": result,
            "version": self.version,
            "outdated": list(self.older),
            "problems": [
                {
                    "file": str(one.file),
                    "line": one.line or None,
                    "column": one.column or None,
                    "message": one.message,
                }
                for one in self.mistakes
            ],
            "warnings": list(map(str, self.warnings)),
        }


def diff(before: Files, after: Files, old: str, new: str) -> Iterator[str]:
    """Unified, file by file."""
    for name in sorted(before.keys() | after.keys()):
        yield from difflib.unified_diff(
            before.get(name, "").splitlines(),
            after.get(name, "").splitlines(),
            f"{old}/{name}",
            f"{new}/{name}",
            lineterm="",
        )


def summary(steps: Iterable[Step]) -> str:
    """As `1 to create, 2 to update`; empty where there is nothing to do."""
    counts: dict[str, int] = {}
    for step in steps:
        if step.changes:
            counts[step.action] = counts.get(step.action, 0) + 1
    return ", ".join(f"{count} to {action}" for action, count in counts.items())
