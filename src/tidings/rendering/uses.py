"""How a template uses the data: what is read from a source of any engine, and is told as a JSON Schema.

A variable is required unless the template itself allows for its absence. What is looped over is a list, what has members
is an object, what a filter for numbers or dates takes is one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from tidings.domain.messages import JSON

KINDS = {
    **dict.fromkeys(("number", "money", "percent", "plural", "round", "abs"), "number"),
    **dict.fromkeys(("date", "time", "datetime", "relative"), "moment"),
    **dict.fromkeys(("listed", "join"), "list"),
}
"""What the filters of all engines take."""


@dataclass(slots=True)
class Use:
    """How a value is used. kind: empty where it is not known. tested: whether it may be null, since what is
    done with it depends on its truth."""

    required: bool = False
    tested: bool = False
    kind: str = ""
    members: dict[str, "Use"] = field(default_factory=dict)
    items: "Use | None" = None

    def member(self, name: str, *, sure: bool) -> "Use":
        found = self.members.setdefault(name, Use())
        found.required |= sure
        return found

    def item(self) -> "Use":
        self.kind = "list"
        if self.items is None:
            self.items = Use()
        return self.items

    def schema(self) -> dict[str, JSON]:
        if self.members and self.kind == "list":
            return {}  # used as both: nothing can be said
        if self.members:
            return {"type": self._type("object"), **self.object()}
        if self.kind == "list":
            items: JSON = {} if self.items is None else self.items.schema()
            return {"type": self._type("array"), **({"items": items} if items else {})}
        if not self.kind:
            return {}
        shown: dict[str, JSON] = {"examples": [_MOMENT]} if self.kind == "moment" else {}
        return {"type": self._type(_TYPES[self.kind]), **shown}

    def _type(self, name: str | list[str]) -> JSON:
        names = [name] if isinstance(name, str) else name
        if self.tested:
            names = sorted({*names, "null"})
        return cast("JSON", names if len(names) > 1 else names[0])

    def object(self) -> dict[str, JSON]:
        required = sorted(name for name, one in self.members.items() if one.required)
        members = {name: one.schema() for name, one in sorted(self.members.items())}
        return {
            **({"required": cast("JSON", required)} if required else {}),
            "properties": cast("JSON", members),
        }


_MOMENT = "2030-01-31T09:30:00Z"
_TYPES: Mapping[str, str | list[str]] = {
    "number": ["number", "string"],
    "moment": ["number", "string"],
    "text": ["boolean", "null", "number", "string"],
}


Names = Mapping[str, Use | None]
"""Names that the template itself gives, and what they stand for; None where that is not known."""


def mark(use: Use | None, kind: str) -> None:
    """The first that is known of it goes before that it is written out."""
    if use is not None and use.kind in {"", "text"}:
        use.kind = kind
