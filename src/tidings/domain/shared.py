"""What templates share: layouts, partials and the brand. A version of a template keeps those it was stored with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tidings.domain.messages import JSON

SharedKind = Literal["layout", "partial", "brand"]

BRAND = "brand"
"""The id of the one brand, and its name in templates."""


@dataclass(frozen=True, slots=True)
class SharedVersion:
    """One layout (html or mjml, with `{{ content }}` where a body goes), partial (text) or brand (any values), in one
    of its versions."""

    kind: SharedKind
    id: str
    version: int
    content: Mapping[str, JSON] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Shared:
    """By id, as a version of a template was stored with it."""

    layouts: Mapping[str, SharedVersion] = field(default_factory=dict)
    partials: Mapping[str, SharedVersion] = field(default_factory=dict)
    brand: SharedVersion | None = None

    @property
    def parts(self) -> list[SharedVersion]:
        brand = [] if self.brand is None else [self.brand]
        return [*self.layouts.values(), *self.partials.values(), *brand]


NOTHING_SHARED = Shared()


def to_document(shared: Shared) -> list[JSON]:
    """For storing; read back by of_document()."""
    return [
        {"kind": one.kind, "id": one.id, "version": one.version, "content": dict(one.content)}
        for one in shared.parts
    ]


def of_document(document: list[dict[str, JSON]]) -> Shared:
    return shared_of(SharedVersion(**one) for one in document)  # type: ignore[arg-type] # as written by to_document()


def shared_of(parts: Iterable[SharedVersion]) -> Shared:
    """Sorted by kind."""
    found = list(parts)
    return Shared(
        layouts={one.id: one for one in found if one.kind == "layout"},
        partials={one.id: one for one in found if one.kind == "partial"},
        brand=next((one for one in found if one.kind == "brand"), None),
    )
