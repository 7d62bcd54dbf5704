"""Templates: create, update as a new version, read, list, preview."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, BeforeValidator, Field

from tidings.api.authentication import CanEditTemplates, CanRead
from tidings.api.bodies import StrictJson
from tidings.api.paging import Limit
from tidings.api.parts import Wired
from tidings.api.problems import Code, FieldError, Problem
from tidings.api.responses import problems
from tidings.domain.channels import Channel
from tidings.domain.planning import OnUnknown
from tidings.domain.templates import TemplateVersion
from tidings.intake.request import Document, Name, TemplateId, Wire
from tidings.rendering.compiled import compile_content
from tidings.rendering.context import context_of
from tidings.rendering.engine import RenderingError, TemplateSourceError
from tidings.rendering.source import TemplateContent
from tidings.store import templates

router = APIRouter(prefix="/templates", tags=["templates"], route_class=StrictJson)


def _number(value: object) -> object:
    # Left alone, pydantic takes "1" and true for 1.
    if isinstance(value, bool | str):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic wants this one
    return value


class TemplateUpdate(Wire):
    """on_unknown: whether a message that may have been sent is sent again (resend: at least once) or
    left for a person (hold: at most once)."""

    name: Name | None = None
    category: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.-]+$")] = (
        "transactional"
    )
    on_unknown: OnUnknown = "resend"
    content: TemplateContent


class TemplateCreate(TemplateUpdate):
    id: TemplateId


class TemplateView(BaseModel):
    id: str
    version: int
    name: str
    category: str
    on_unknown: OnUnknown
    content: dict[Channel, Any]
    created_at: datetime | None


class TemplatePage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    templates: list[TemplateView]
    next_cursor: str | None


class PreviewRequest(Wire):
    """data as in a send; version: the current one if not given."""

    data: Document = Field(default_factory=dict)
    recipient: Document = Field(default_factory=dict)
    version: Annotated[int, Field(ge=1, le=2**31 - 1), BeforeValidator(_number)] | None = None


class PreviewError(BaseModel):
    reason: str
    detail: str


class Preview(BaseModel):
    """What each channel would be sent, and what would fail."""

    template_id: str
    version: int
    rendered: dict[Channel, Any]
    errors: dict[Channel, PreviewError]


@router.post("", status_code=201, responses=problems(409, 413))
async def create(body: TemplateCreate, parts: Wired, key: CanEditTemplates) -> TemplateView:
    """Store a template as version 1."""
    content = _checked(body.id, body.content)
    async with parts.pool.acquire() as connection:
        try:
            template = await templates.create(
                connection,
                body.id,
                name=body.name or body.id,
                category=body.category,
                on_unknown=body.on_unknown,
                content=content,
                created_by=key.id,
            )
        except templates.TemplateExistsError:
            raise Problem(Code.TEMPLATE_EXISTS, "PUT it to store a new version.") from None
    parts.templates.forget(body.id)
    return _view(template)


@router.put("/{template_id}", responses=problems(404, 413))
async def update(
    template_id: TemplateId, body: TemplateUpdate, parts: Wired, key: CanEditTemplates
) -> TemplateView:
    """Store the next version and make it current. Notifications accepted before keep theirs."""
    content = _checked(template_id, body.content)
    async with parts.pool.acquire() as connection:
        template = await templates.update(
            connection,
            template_id,
            name=body.name or template_id,
            category=body.category,
            on_unknown=body.on_unknown,
            content=content,
            created_by=key.id,
        )
    if template is None:
        raise _not_found()
    parts.templates.forget(template_id)
    return _view(template)


@router.get("/{template_id}", responses=problems(404))
async def read(
    template_id: TemplateId,
    parts: Wired,
    _: CanRead,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> TemplateView:
    """A template: its current version, or the one asked for."""
    return _view(await _find(parts, template_id, version))


@router.get("", responses=problems())
async def listed(
    parts: Wired,
    _: CanRead,
    cursor: Annotated[Name | None, Query(description="`next_cursor` of the page before.")] = None,
    limit: Limit = 50,
) -> TemplatePage:
    """The current versions, ordered by id."""
    found = await templates.listed(parts.pool, after=cursor or "", limit=limit)
    return TemplatePage(
        templates=[_view(template) for template in found],
        next_cursor=found[-1].template_id if len(found) == limit else None,
    )


@router.post("/{template_id}/preview", responses=problems(404, 413))
async def preview(
    template_id: Annotated[TemplateId, Path()], body: PreviewRequest, parts: Wired, _: CanRead
) -> Preview:
    """Render with sample data; nothing is stored or sent."""
    template = await _find(parts, template_id, body.version)
    context = context_of(
        body.data, {"user_id": None, "locale": None, "timezone": None, **body.recipient}
    )
    rendered: dict[Channel, Any] = {}
    errors: dict[Channel, PreviewError] = {}
    for channel, render in compile_content(template_id, template.content).items():
        try:
            rendered[channel] = asdict(render(context))
        except RenderingError as error:
            errors[channel] = PreviewError(reason=error.reason, detail=error.detail)
    return Preview(
        template_id=template_id, version=template.version, rendered=rendered, errors=errors
    )


async def _find(parts: Wired, template_id: str, version: int | None) -> TemplateVersion:
    if version is None:
        found = await templates.current(parts.pool, template_id)
    else:
        found = (await templates.versions(parts.pool, [(template_id, version)])).get(
            (template_id, version)
        )
    if found is None:
        raise _not_found()
    return found


def _checked(template_id: str, content: TemplateContent) -> Mapping[Channel, dict[str, Any]]:
    """Compile before storing: a template that does not compile is never saved."""
    sources = content.by_channel()
    try:
        compile_content(template_id, sources)
    except TemplateSourceError as error:
        path = f"content.{error.path}"
        message = f"line {error.line}: {error.message}"
        raise Problem(
            Code.INVALID_TEMPLATE, f"{path}, {message}", [FieldError(path=path, message=message)]
        ) from None
    return sources


def _not_found() -> Problem:
    return Problem(Code.NOT_FOUND, "There is no template with this id and version.")


def _view(template: TemplateVersion) -> TemplateView:
    return TemplateView(
        id=template.template_id,
        version=template.version,
        name=template.name,
        category=template.category,
        on_unknown=template.on_unknown,
        content=dict(template.content),
        created_at=template.created_at,
    )
