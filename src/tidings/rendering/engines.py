"""The engines, by the name that a template has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from tidings.domain.templates import EngineName
from tidings.rendering import jinja_uses, liquid_uses
from tidings.rendering.engine import Field
from tidings.rendering.jinja import JinjaField
from tidings.rendering.liquid import LiquidField
from tidings.rendering.uses import Use


class MakeField(Protocol):
    def __call__(self, path: str, source: str, *, html: bool = False) -> Field:
        """path: as email.html; html: whether what is printed is escaped. Raises TemplateSourceError."""
        ...


@dataclass(frozen=True, slots=True)
class Engine:
    """field: compiles one. read: adds to a Use what data a source takes."""

    field: MakeField
    read: Callable[[str, Use], None]


ENGINES: Mapping[EngineName, Engine] = {
    "jinja": Engine(JinjaField, jinja_uses.read),
    "liquid": Engine(LiquidField, liquid_uses.read),
}
"""For what is to be stored: what would fail whatever the data is, is a mistake."""

ACCEPTED: Mapping[EngineName, Engine] = {
    "jinja": Engine(partial(JinjaField, accepted=True), jinja_uses.read),
    "liquid": Engine(partial(LiquidField, accepted=True), liquid_uses.read),
}
"""For what was stored, perhaps by a release that knew less: it is sent as far as it goes, which may be all the way round what
cannot work."""
