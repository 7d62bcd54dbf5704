"""What templates share: layouts, partials and the brand; and the templates that use older ones."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, model_validator

from tidings.api.authentication import CanEditTemplates, CanRead
from tidings.api.bodies import StrictJson
from tidings.api.paging import Limit
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, FieldError, Problem
from tidings.api.responses import problems
from tidings.api.routes.template_checks import mistaken
from tidings.domain.messages import JSON
from tidings.domain.shared import BRAND, SharedKind
from tidings.intake.request import Document, Name, Wire
from tidings.rendering.bodies import check_layout, check_partial
from tidings.rendering.engine import TemplateSourceError
from tidings.rendering.source import Body, SharedId
from tidings.store import shared
from tidings.store.shared import Stored

router = APIRouter(tags=["templates"], route_class=StrictJson)

After = Annotated[
    Name | None, Query(alias="cursor", description="`next_cursor` of the page before.")
]


class LayoutUpdate(Wire):
    """One of html and mjml, with `{{ content }}` where a template's body goes."""

    html: Body | None = None
    mjml: Body | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "LayoutUpdate":
        if (self.html is None) == (self.mjml is None):
            raise ValueError("a layout is either html or mjml")
        return self


class PartialUpdate(Wire):
    """text: a piece of a template, put in by `{% include "id" %}`."""

    text: Body


class LayoutView(BaseModel):
    id: str
    version: int
    html: str | None
    mjml: str | None
    created_at: datetime


class PartialView(BaseModel):
    id: str
    version: int
    text: str
    created_at: datetime


class BrandView(BaseModel):
    """values: what templates see as `brand`. version: 0 before there is one."""

    version: int
    values: dict[str, Any]


class BrandUpdate(Wire):
    """values: any, such as a name, colours, the address of a logo."""

    values: Document


class LayoutPage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    layouts: list[LayoutView]
    next_cursor: str | None


class PartialPage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    partials: list[PartialView]
    next_cursor: str | None


class Outdated(BaseModel):
    """parts: what it uses that has a newer version, as layout/main."""

    template_id: str
    parts: list[str]


class OutdatedTemplates(BaseModel):
    templates: list[Outdated]


@router.get("/layouts", responses=problems())
async def layouts(parts: Wired, _: CanRead, cursor: After = None, limit: Limit = 50) -> LayoutPage:
    """Layouts, in the order of their ids."""
    found = await shared.listed(parts.pool, "layout", after=cursor or "", limit=limit)
    return LayoutPage(layouts=[_layout(one) for one in found], next_cursor=_next(found, limit))


@router.put("/layouts/{layout_id}", responses=problems(413))
async def save_layout(
    layout_id: SharedId, body: LayoutUpdate, parts: Wired, key: CanEditTemplates
) -> LayoutView:
    """Store a layout, or its next version. Templates keep the one they were stored with."""
    content = body.model_dump(exclude_none=True)
    try:
        await asyncio.to_thread(check_layout, content)
    except TemplateSourceError as error:
        raise _misspelt(error) from None
    return _layout(await _save(parts, "layout", layout_id, content, key))


@router.get("/layouts/{layout_id}", responses=problems(404))
async def read_layout(layout_id: SharedId, parts: Wired, _: CanRead) -> LayoutView:
    """A layout's newest version."""
    return _layout(await _find(parts, "layout", layout_id))


@router.delete("/layouts/{layout_id}", status_code=204, responses=problems(404))
async def remove_layout(layout_id: SharedId, parts: Wired, key: CanEditTemplates) -> Response:
    """No template can be stored with it any more; those that were keep theirs."""
    return await _remove(parts, "layout", layout_id, key)


@router.get("/partials", responses=problems())
async def partials(
    parts: Wired, _: CanRead, cursor: After = None, limit: Limit = 50
) -> PartialPage:
    """Partials, in the order of their ids."""
    found = await shared.listed(parts.pool, "partial", after=cursor or "", limit=limit)
    return PartialPage(partials=[_partial(one) for one in found], next_cursor=_next(found, limit))


@router.put("/partials/{partial_id}", responses=problems(413))
async def save_partial(
    partial_id: SharedId, body: PartialUpdate, parts: Wired, key: CanEditTemplates
) -> PartialView:
    """Store a partial, or its next version. Templates keep the one they were stored with."""
    try:
        await asyncio.to_thread(check_partial, body.text)
    except TemplateSourceError as error:
        raise _misspelt(error) from None
    return _partial(await _save(parts, "partial", partial_id, {"text": body.text}, key))


@router.get("/partials/{partial_id}", responses=problems(404))
async def read_partial(partial_id: SharedId, parts: Wired, _: CanRead) -> PartialView:
    """A partial's newest version."""
    return _partial(await _find(parts, "partial", partial_id))


@router.delete("/partials/{partial_id}", status_code=204, responses=problems(404))
async def remove_partial(partial_id: SharedId, parts: Wired, key: CanEditTemplates) -> Response:
    """No template can be stored with it any more; those that were keep theirs."""
    return await _remove(parts, "partial", partial_id, key)


@router.get("/brand", responses=problems())
async def read_brand(parts: Wired, _: CanRead) -> BrandView:
    """What templates see as `brand`."""
    return _brand(await shared.find(parts.pool, "brand", BRAND))


@router.put("/brand", responses=problems(413))
async def save_brand(body: BrandUpdate, parts: Wired, key: CanEditTemplates) -> BrandView:
    """Store the brand's next version. Templates keep the one they were stored with."""
    return _brand(await _save(parts, "brand", BRAND, body.values, key))


@router.get("/outdated-templates", responses=problems())
async def outdated(parts: Wired, _: CanRead) -> OutdatedTemplates:
    """The templates whose current version uses what has a newer version since."""
    found = await shared.outdated(parts.pool)
    return OutdatedTemplates(
        templates=[Outdated(template_id=one, parts=used) for one, used in found.items()]
    )


async def _find(parts: Parts, kind: SharedKind, shared_id: str) -> Stored:
    found = await shared.find(parts.pool, kind, shared_id)
    if found is None:
        raise Problem(Code.NOT_FOUND, f"There is no {kind} {shared_id!r}.")
    return found


async def _save(
    parts: Parts, kind: SharedKind, shared_id: str, content: dict[str, JSON], key: CanEditTemplates
) -> Stored:
    async with parts.pool.acquire() as connection:
        stored = await shared.save(connection, kind, shared_id, content, created_by=key.id)
    assert stored is not None
    return stored


async def _remove(
    parts: Parts, kind: SharedKind, shared_id: str, key: CanEditTemplates
) -> Response:
    await _find(parts, kind, shared_id)
    async with parts.pool.acquire() as connection:
        await shared.save(connection, kind, shared_id, None, created_by=key.id)
    return Response(status_code=204)


def _misspelt(error: TemplateSourceError) -> Problem:
    return mistaken(
        FieldError(
            path=error.path,
            message=f"line {error.line}: {error.message}",
            line=error.line,
            column=error.column,
        )
    )


def _next(found: Any, limit: int) -> str | None:
    return found[-1].shared.id if len(found) == limit else None


def _layout(stored: Stored) -> LayoutView:
    one = stored.shared
    html, mjml = one.content.get("html"), one.content.get("mjml")
    return LayoutView(
        id=one.id,
        version=one.version,
        html=None if html is None else str(html),
        mjml=None if mjml is None else str(mjml),
        created_at=stored.created_at,
    )


def _partial(stored: Stored) -> PartialView:
    one = stored.shared
    return PartialView(
        id=one.id,
        version=one.version,
        text=str(one.content["text"]),
        created_at=stored.created_at,
    )


def _brand(stored: Stored | None) -> BrandView:
    if stored is None:
        return BrandView(version=0, values={})
    return BrandView(version=stored.shared.version, values=dict(stored.shared.content))
