"""Categories: what holds for all notifications of a kind."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, StrictBool, field_validator, model_validator

from tidings.api.authentication import CanEditTemplates, CanRead
from tidings.api.bodies import StrictJson
from tidings.api.paging import Limit
from tidings.api.parts import Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.api.routes.preferences import CategoryId, Choices
from tidings.api.times import HoursView
from tidings.domain.categories import Cadence, Cap, Category
from tidings.domain.limits import SECOND, Over, Rate
from tidings.domain.send_times import SendWindow
from tidings.intake.request import Name, Wire
from tidings.store import categories

router = APIRouter(prefix="/categories", tags=["categories"], route_class=StrictJson)

After = Annotated[
    CategoryId | None, Query(alias="cursor", description="`next_cursor` of the page before.")
]
_SHORTEST = 60  # seconds: shorter is a rate limit, not a cap


class CapView(Wire):
    """rate: as 3/d, to one address in any stretch of that time. over: whether what is beyond it is skipped or waits."""

    rate: Annotated[str, Field(max_length=50)]
    over: Over = "skip"

    @field_validator("rate")
    @classmethod
    def _is_a_rate(cls, value: str) -> str:
        rate = Rate.parse(value)
        if rate.period < _SHORTEST * SECOND:
            raise ValueError("must be over a minute or longer")
        return str(rate)


class CategoryUpdate(Wire):
    """channels: on or off for those who did not choose; on, where it is not named. mandatory: nobody can turn it
    off. window: outside of it nothing is sent, by the clock of the recipient. quiet_hours: whether it waits for
    their end. digest: how often, for those who did not choose."""

    name: Name | None = None
    channels: Choices = Field(default_factory=dict)
    mandatory: StrictBool = False
    cap: CapView | None = None
    window: HoursView | None = None
    quiet_hours: StrictBool = True
    digest: Cadence = Cadence.AT_ONCE

    @model_validator(mode="after")
    def _mandatory_is_sent(self) -> "CategoryUpdate":
        if self.mandatory and (self.cap or not all(self.channels.values())):
            raise ValueError("what is mandatory has no cap, and is on in every channel")
        return self


class CategoryView(CategoryUpdate):
    id: CategoryId


class CategoryPage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    categories: list[CategoryView]
    next_cursor: str | None


@router.get("", responses=problems())
async def listed(parts: Wired, _: CanRead, cursor: After = None, limit: Limit = 50) -> CategoryPage:
    """Declared categories, in the order of their ids."""
    rows = await categories.listed(parts.pool, after=cursor or "", limit=limit)
    return CategoryPage(
        categories=[_view(row) for row in rows],
        next_cursor=rows[-1].id if len(rows) == limit else None,
    )


@router.put("/{category_id}", responses=problems(413))
async def save(
    category_id: CategoryId, body: CategoryUpdate, parts: Wired, _: CanEditTemplates
) -> CategoryView:
    """Declare a category, or replace what was declared. It holds at once, for what waits, too."""
    category = Category(
        id=category_id,
        name=body.name or category_id,
        channels=body.channels,
        mandatory=body.mandatory,
        cap=Cap(Rate.parse(body.cap.rate), body.cap.over) if body.cap else None,
        window=body.window.read(SendWindow) if body.window else None,
        quiet_hours=body.quiet_hours,
        digest=body.digest,
    )
    await categories.put(parts.pool, category)
    return _view(category)


@router.get("/{category_id}", responses=problems(404))
async def read(category_id: CategoryId, parts: Wired, _: CanRead) -> CategoryView:
    """A declared category."""
    found = await categories.find(parts.pool, category_id)
    if found is None:
        raise _no_category()
    return _view(found)


@router.delete("/{category_id}", status_code=204, response_class=Response, responses=problems(404))
async def delete(category_id: CategoryId, parts: Wired, _: CanEditTemplates) -> None:
    """Take back what was declared: the category is on, everywhere and at all times."""
    if not await categories.remove(parts.pool, category_id):
        raise _no_category()


def _no_category() -> Problem:
    return Problem(Code.NOT_FOUND, "No category with this id was declared.")


def _view(category: Category) -> CategoryView:
    return CategoryView(
        id=category.id,
        name=category.name,
        channels=dict(category.channels),
        mandatory=category.mandatory,
        cap=CapView(rate=str(category.cap.rate), over=category.cap.over) if category.cap else None,
        window=HoursView.of(category.window),
        quiet_hours=category.quiet_hours,
        digest=category.digest,
    )
