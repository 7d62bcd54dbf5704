"""Whether a template, and what it shares, could be stored: asked before anything is."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from tidings.api.authentication import CanRead
from tidings.api.bodies import StrictJson
from tidings.api.parts import Wired
from tidings.api.problems import FieldError
from tidings.api.responses import problems
from tidings.api.routes.shared import LayoutUpdate, PartialUpdate
from tidings.api.routes.template_checks import Warned, mistaken
from tidings.api.routes.templates import TemplateCreate, proven
from tidings.domain.shared import BRAND, SharedVersion
from tidings.intake.request import Document, Wire
from tidings.rendering.bodies import check_layout, check_partial
from tidings.rendering.engine import TemplateSourceError
from tidings.rendering.source import SharedId

router = APIRouter(tags=["templates"], route_class=StrictJson)

_NOT_STORED = 0


class Proposal(Wire):
    """template: as it would be created, also where it is there already. layouts, partials (by id) and brand: in place
    of the server's; what is not given is the server's."""

    template: TemplateCreate | None = None
    layouts: Annotated[dict[SharedId, LayoutUpdate], Field(max_length=100)] = Field(
        default_factory=dict
    )
    partials: Annotated[dict[SharedId, PartialUpdate], Field(max_length=1_000)] = Field(
        default_factory=dict
    )
    brand: Document | None = None

    def shared(self) -> Iterator[SharedVersion]:
        for name, layout in self.layouts.items():
            content = layout.model_dump(exclude_none=True)
            yield SharedVersion("layout", name, _NOT_STORED, content)
        for name, partial in self.partials.items():
            yield SharedVersion("partial", name, _NOT_STORED, {"text": partial.text})
        if self.brand is not None:
            yield SharedVersion("brand", BRAND, _NOT_STORED, self.brand)


class Proof(BaseModel):
    """warnings: what is to be known of the template before it is sent."""

    warnings: list[Warned]


@router.post("/template-checks", responses=problems(413))
async def check(body: Proposal, parts: Wired, _: CanRead) -> Proof:
    """Look at a template, layouts, partials and a brand as a save would; nothing is stored."""
    given = list(body.shared())
    if mistakes := await asyncio.to_thread(_all_mistakes, given):
        raise mistaken(*mistakes)
    if body.template is None:
        return Proof(warnings=[])
    proof = await proven(parts, body.template.id, body.template, given)
    return Proof(warnings=proof[1])


def _all_mistakes(given: Sequence[SharedVersion]) -> list[FieldError]:
    return [error for one in given for error in _mistakes(one)]


def _mistakes(one: SharedVersion) -> Iterator[FieldError]:
    try:
        if one.kind == "layout":
            check_layout({name: str(text) for name, text in one.content.items()})
        elif one.kind == "partial":
            check_partial(str(one.content["text"]))
    except TemplateSourceError as error:
        yield FieldError(
            path=f"{one.kind}s.{one.id}.{error.path}",
            message=f"line {error.line}: {error.message}",
            line=error.line,
            column=error.column,
        )
