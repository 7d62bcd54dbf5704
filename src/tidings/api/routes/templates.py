"""Templates: create, update as a new version, read, list, preview."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from tidings.api.authentication import CanEditTemplates, CanRead
from tidings.api.bodies import StrictJson
from tidings.api.numbers import whole_number
from tidings.api.paging import Limit
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, FieldError, Problem
from tidings.api.responses import problems
from tidings.domain.channels import Channel
from tidings.domain.messages import SmsContent
from tidings.domain.planning import OnUnknown
from tidings.domain.segments import segments
from tidings.domain.templates import Edition, TemplateVersion
from tidings.intake.request import Document, Name, TemplateId, Wire
from tidings.rendering.compiled import Render, compile_content
from tidings.rendering.context import context_of
from tidings.rendering.engine import RenderingError, TemplateSourceError
from tidings.rendering.source import LanguageTag, Locales, TemplateContent, by_locale
from tidings.store import templates

router = APIRouter(prefix="/templates", tags=["templates"], route_class=StrictJson)


class TemplateUpdate(Wire):
    """on_unknown: whether a message that may have been sent is sent again (resend: at least once) or
    left for a person (hold: at most once). deduplicate_seconds: for so long after a send, a repeat to the
    same recipient is accepted and not sent. locale: the language of content. locales: content for those
    who read another one. draft: stored, and not used until it is published."""

    name: Name | None = None
    category: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.-]+$")] = (
        "transactional"
    )
    on_unknown: OnUnknown = "resend"
    deduplicate_seconds: (
        Annotated[int, Field(ge=1, le=31_536_000), BeforeValidator(whole_number)] | None
    ) = None
    content: TemplateContent
    locale: LanguageTag | None = None
    locales: Locales = Field(default_factory=dict)
    draft: bool = False

    @model_validator(mode="after")
    def _translates_what_is_there(self) -> "TemplateUpdate":
        there = self.content.by_channel().keys()
        for tag, translated in self.locales.items():
            for channel in translated.by_channel().keys() - there:
                raise ValueError(f"locales.{tag} has {channel}, which content does not have")
        return self

    def edition(self, template_id: str) -> Edition:
        return Edition(
            name=self.name or template_id,
            category=self.category,
            on_unknown=self.on_unknown,
            deduplicate_seconds=self.deduplicate_seconds,
            content=self.content.by_channel(),
            locale=self.locale,
            locales=by_locale(self.locales),
        )


class TemplateCreate(TemplateUpdate):
    id: TemplateId


class TemplateView(BaseModel):
    """published_at: when this version first became the current one; null for a draft."""

    id: str
    version: int
    name: str
    category: str
    on_unknown: OnUnknown
    deduplicate_seconds: int | None
    content: dict[Channel, Any]
    locale: str | None
    locales: dict[str, dict[Channel, Any]]
    created_at: datetime | None
    published_at: datetime | None


class TemplatePage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    templates: list[TemplateView]
    next_cursor: str | None


def _reader(value: dict[str, Any]) -> dict[str, Any]:
    for name in ("locale", "timezone"):
        if not isinstance(value.get(name), str | None):
            raise ValueError(f"{name} must be a text")  # noqa: TRY004 - pydantic wants this one
    return value


PreviewRecipient = Annotated[Document, AfterValidator(_reader)]


class PreviewRequest(Wire):
    """data as in a send; version: the current one if not given."""

    data: Document = Field(default_factory=dict)
    recipient: PreviewRecipient = Field(default_factory=dict)
    version: Annotated[int, Field(ge=1, le=2**31 - 1), BeforeValidator(whole_number)] | None = None


class PreviewError(BaseModel):
    reason: str
    detail: str


class SmsSize(BaseModel):
    """encoding: gsm7, or ucs2 as soon as one character needs it. units: of 7 or 16 bits. parts: what a
    carrier sends and bills."""

    encoding: str
    units: int
    parts: int


class Preview(BaseModel):
    """What each channel would be sent, and what would fail. sms: the size of the text message."""

    template_id: str
    version: int
    rendered: dict[Channel, Any]
    errors: dict[Channel, PreviewError]
    sms: SmsSize | None = None


@router.post("", status_code=201, responses=problems(409, 413))
async def create(body: TemplateCreate, parts: Wired, key: CanEditTemplates) -> TemplateView:
    """Store a template as version 1."""
    edition = _checked(body.id, body)
    async with parts.pool.acquire() as connection:
        try:
            template = await templates.create(
                connection, body.id, edition, draft=body.draft, created_by=key.id
            )
        except templates.TemplateExistsError:
            raise Problem(Code.TEMPLATE_EXISTS, "PUT it to store a new version.") from None
    parts.templates.forget(body.id)
    return view_of(template)


@router.put("/{template_id}", responses=problems(404, 413))
async def update(
    template_id: TemplateId, body: TemplateUpdate, parts: Wired, key: CanEditTemplates
) -> TemplateView:
    """Store the next version and make it current, unless it is a draft. Notifications accepted before
    keep theirs."""
    edition = _checked(template_id, body)
    async with parts.pool.acquire() as connection:
        template = await templates.update(
            connection, template_id, edition, draft=body.draft, created_by=key.id
        )
    if template is None:
        raise not_found()
    parts.templates.forget(template_id)
    return view_of(template)


@router.get("/{template_id}", responses=problems(404))
async def read(
    template_id: TemplateId,
    parts: Wired,
    _: CanRead,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> TemplateView:
    """A template: its current version, or the one asked for."""
    return view_of(await find(parts, template_id, version))


@router.get("", responses=problems())
async def listed(
    parts: Wired,
    _: CanRead,
    cursor: Annotated[Name | None, Query(description="`next_cursor` of the page before.")] = None,
    limit: Limit = 50,
    archived: Annotated[bool, Query(description="Those that are archived, instead.")] = False,
) -> TemplatePage:
    """The current versions, ordered by id; of a template that has only drafts, the latest."""
    found = await templates.listed(parts.pool, after=cursor or "", limit=limit, archived=archived)
    return TemplatePage(
        templates=[view_of(template) for template, _ in found],
        next_cursor=found[-1][0].template_id if len(found) == limit else None,
    )


@router.post("/{template_id}/preview", responses=problems(404, 413))
async def preview(
    template_id: Annotated[TemplateId, Path()], body: PreviewRequest, parts: Wired, _: CanRead
) -> Preview:
    """Render with sample data; nothing is stored or sent."""
    template = await find(parts, template_id, body.version)
    context = context_of(
        body.data, {"user_id": None, "locale": None, "timezone": None, **body.recipient}
    )
    rendered: dict[Channel, Any] = {}
    errors: dict[Channel, PreviewError] = {}
    sms: SmsSize | None = None
    for channel, render in _compiled(template_id, template).items():
        try:
            message = render(context)
            rendered[channel] = asdict(message)
            if isinstance(message, SmsContent):
                sms = SmsSize(**asdict(segments(message.body)))
        except RenderingError as error:
            errors[channel] = PreviewError(reason=error.reason, detail=error.detail)
    return Preview(
        template_id=template_id,
        version=template.version,
        rendered=rendered,
        errors=errors,
        sms=sms,
    )


async def find(parts: Parts, template_id: str, version: int | None) -> TemplateVersion:
    """The version asked for, or the current one, or the latest where none is published. Raises
    Problem."""
    if version is None:
        state = await templates.state(parts.pool, template_id)
        version = (state.current or state.latest) if state else 0
    wanted = (template_id, version)
    found = (await templates.versions(parts.pool, [wanted])).get(wanted)
    if found is None:
        raise not_found()
    return found


def _compiled(template_id: str, edition: Edition) -> dict[Channel, Render]:
    return compile_content(template_id, edition.content, edition.locales, edition.locale)


def _checked(template_id: str, body: TemplateUpdate) -> Edition:
    """Compile before storing: a template that does not compile is never saved."""
    edition = body.edition(template_id)
    try:
        _compiled(template_id, edition)
    except TemplateSourceError as error:
        where = "content" if error.locale is None else f"locales.{error.locale}"
        path = f"{where}.{error.path}"
        message = f"line {error.line}: {error.message}"
        raise Problem(
            Code.INVALID_TEMPLATE,
            f"{path}, line {error.line}, column {error.column}: {error.message}",
            [
                FieldError(
                    path=path,
                    message=message,
                    channel=error.path.partition(".")[0],
                    locale=error.locale,
                    line=error.line,
                    column=error.column,
                )
            ],
        ) from None
    return edition


def not_found() -> Problem:
    return Problem(Code.NOT_FOUND, "There is no template with this id and version.")


def view_of(template: TemplateVersion) -> TemplateView:
    return TemplateView(
        id=template.template_id,
        version=template.version,
        name=template.name,
        category=template.category,
        on_unknown=template.on_unknown,
        deduplicate_seconds=template.deduplicate_seconds,
        content=dict(template.content),
        locale=template.locale,
        locales={tag: dict(content) for tag, content in template.locales.items()},
        created_at=template.created_at,
        published_at=template.published_at,
    )
