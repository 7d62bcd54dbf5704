"""The versions of a template: what changed, which one is current, and whether it is in use."""

import difflib
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, Field

from tidings.api.authentication import CanEditTemplates, CanRead
from tidings.api.bodies import StrictJson
from tidings.api.numbers import whole_number
from tidings.api.parts import Wired
from tidings.api.responses import problems
from tidings.api.routes.templates import TemplateView, find, not_found, view_of
from tidings.domain.messages import JSON
from tidings.domain.templates import changes, untranslated
from tidings.intake.request import TemplateId, Wire
from tidings.store import templates

router = APIRouter(prefix="/templates/{template_id}", tags=["templates"], route_class=StrictJson)

Number = Annotated[int, Field(ge=1, le=2**31 - 1), BeforeValidator(whole_number)]
NumberInQuery = Annotated[int | None, Query(ge=1, le=2**31 - 1)]


class VersionLine(BaseModel):
    version: int
    name: str
    created_at: datetime | None
    published_at: datetime | None


class VersionList(BaseModel):
    """current_version: what new notifications get; null before one is published. archived_at: since when
    it takes no new notifications. versions: the newest first."""

    id: str
    current_version: int | None
    latest_version: int
    archived_at: datetime | None
    versions: list[VersionLine]


class Publication(Wire):
    version: Number


class FieldChange(BaseModel):
    """diff: a unified diff of the two."""

    path: str
    before: Any
    after: Any
    diff: str


class Difference(BaseModel):
    before: int
    after: int
    changes: list[FieldChange]


class Translations(BaseModel):
    """missing: by language, the fields that its readers get in the default's language."""

    id: str
    version: int
    locale: str | None
    missing: dict[str, list[str]]


@router.get("/versions", responses=problems(404))
async def versions(template_id: TemplateId, parts: Wired, _: CanRead) -> VersionList:
    """All versions of a template, drafts included."""
    return await _versions(parts, template_id)


@router.post("/publish", responses=problems(404, 413))
async def publish(
    template_id: TemplateId, body: Publication, parts: Wired, _: CanEditTemplates
) -> TemplateView:
    """Make a version the current one: a draft, or an older one to roll back to."""
    async with parts.pool.acquire() as connection:
        template = await templates.publish(connection, template_id, body.version)
    if template is None:
        raise not_found()
    parts.templates.forget(template_id)
    return view_of(template)


@router.post("/archive", responses=problems(404, 413))
async def archive(template_id: TemplateId, parts: Wired, _: CanEditTemplates) -> VersionList:
    """Take no new notifications; those that were accepted are still sent."""
    return await _set_archived(parts, template_id, archived=True)


@router.post("/restore", responses=problems(404, 413))
async def restore(template_id: TemplateId, parts: Wired, _: CanEditTemplates) -> VersionList:
    """Take new notifications again."""
    return await _set_archived(parts, template_id, archived=False)


@router.get("/diff", responses=problems(404))
async def diff(
    template_id: TemplateId,
    parts: Wired,
    _: CanRead,
    before: NumberInQuery = None,
    after: NumberInQuery = None,
) -> Difference:
    """What differs between two versions. Without `before` it is the current one, without `after` the
    latest."""
    state = await templates.state(parts.pool, template_id)
    if state is None:
        raise not_found()
    old = await find(parts, template_id, before or state.current or state.latest)
    new = await find(parts, template_id, after or state.latest)
    return Difference(
        before=old.version,
        after=new.version,
        changes=[
            FieldChange(
                path=one.path,
                before=one.before,
                after=one.after,
                diff=_unified(one.before, one.after, f"v{old.version}", f"v{new.version}"),
            )
            for one in changes(old, new)
        ],
    )


@router.get("/translations", responses=problems(404))
async def translations(
    template_id: TemplateId, parts: Wired, _: CanRead, version: NumberInQuery = None
) -> Translations:
    """What is not written in each of a template's languages."""
    found = await find(parts, template_id, version)
    return Translations(
        id=template_id, version=found.version, locale=found.locale, missing=untranslated(found)
    )


async def _versions(parts: Wired, template_id: str) -> VersionList:
    state = await templates.state(parts.pool, template_id)
    if state is None:
        raise not_found()
    return VersionList(
        id=template_id,
        current_version=state.current,
        latest_version=state.latest,
        archived_at=state.archived_at,
        versions=[
            VersionLine(
                version=one.version,
                name=one.name,
                created_at=one.created_at,
                published_at=one.published_at,
            )
            for one in await templates.history(parts.pool, template_id)
        ],
    )


async def _set_archived(parts: Wired, template_id: str, *, archived: bool) -> VersionList:
    async with parts.pool.acquire() as connection:
        if await templates.archive(connection, template_id, archived=archived) is None:
            raise not_found()
    parts.templates.forget(template_id)
    return await _versions(parts, template_id)


def _unified(before: JSON, after: JSON, old: str, new: str) -> str:
    lines = difflib.unified_diff(_lines(before), _lines(after), old, new, lineterm="")
    return "\n".join(lines)


def _lines(value: JSON) -> list[str]:
    if value is None:
        return []
    text = (
        value
        if isinstance(value, str)
        else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    )
    return text.splitlines()
