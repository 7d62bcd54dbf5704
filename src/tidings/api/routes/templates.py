"""Templates: create, update as a new version, read, list."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, Field, StrictBool, model_validator

from tidings.api.authentication import CanEditTemplates, CanRead
from tidings.api.bodies import StrictJson
from tidings.api.numbers import whole_number
from tidings.api.paging import Limit
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, FieldError, Problem
from tidings.api.responses import problems
from tidings.api.routes.template_checks import Warned, checked, mistaken
from tidings.api.sharing import with_shared
from tidings.domain.channels import Channel
from tidings.domain.contracts import Contract, WrongContractError
from tidings.domain.digests import DigestRule
from tidings.domain.planning import OnUnknown
from tidings.domain.shared import SharedVersion
from tidings.domain.templates import Edition, EngineName, TemplateVersion
from tidings.domain.tracking import TrackingChoice
from tidings.intake.request import Document, Name, TemplateId, Wire
from tidings.rendering.source import LanguageTag, Locales, TemplateContent, by_locale
from tidings.store import templates

router = APIRouter(prefix="/templates", tags=["templates"], route_class=StrictJson)


class Digest(Wire):
    """window: seconds from the first notification on, or "cadence" for as often as the user has chosen for the
    category."""

    window: (
        Annotated[int, Field(ge=1, le=2_678_400), BeforeValidator(whole_number)]
        | Literal["cadence"]
    )

    def rule(self) -> DigestRule:
        return DigestRule(None if self.window == "cadence" else self.window)

    @classmethod
    def of(cls, rule: DigestRule) -> "Digest":
        return cls(window="cadence" if rule.window is None else rule.window)


class TemplateUpdate(Wire):
    """engine: what it is written in, Jinja2 or Liquid. on_unknown: whether a message that may have been sent is sent again (resend: at least once) or
    left for a person (hold: at most once). deduplicate_seconds: for so long after a send, a repeat to the
    same recipient is accepted and not sent. digest: notifications to one user are gathered, and told by one; its
    data are `items`, `count`, `first` and `last`. track_opens, track_clicks: whether it is told who opens it and
    who follows its links; null leaves it to the settings. locale: the language of content. locales: content for those
    who read another one. variables: the data that it takes, as a JSON Schema (draft 2020-12); data that does
    not fit is refused. sample: an example of the data. draft: stored, and not used until it is published."""

    engine: EngineName = "jinja"
    name: Name | None = None
    category: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.-]+$")] = (
        "transactional"
    )
    on_unknown: OnUnknown = "resend"
    deduplicate_seconds: (
        Annotated[int, Field(ge=1, le=31_536_000), BeforeValidator(whole_number)] | None
    ) = None
    digest: Digest | None = None
    track_opens: StrictBool | None = None
    track_clicks: StrictBool | None = None
    content: TemplateContent
    locale: LanguageTag | None = None
    locales: Locales = Field(default_factory=dict)
    variables: Document | None = None
    sample: Document | None = None
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
            digest=None if self.digest is None else self.digest.rule(),
            tracking=TrackingChoice(self.track_opens, self.track_clicks),
            content=self.content.by_channel(),
            locale=self.locale,
            locales=by_locale(self.locales),
            contract=None if self.variables is None else Contract.declared(self.variables),
            sample=self.sample,
            engine=self.engine,
        )


class TemplateCreate(TemplateUpdate):
    id: TemplateId


class TemplateView(BaseModel):
    """published_at: when this version first became the current one; null for a draft. shared: the versions of
    layouts, partials and brand that it was stored with, as layout/main."""

    id: str
    version: int
    engine: EngineName
    name: str
    category: str
    on_unknown: OnUnknown
    deduplicate_seconds: int | None
    digest: Digest | None
    track_opens: bool | None
    track_clicks: bool | None
    content: dict[Channel, Any]
    locale: str | None
    locales: dict[str, dict[Channel, Any]]
    variables: dict[str, Any] | None
    sample: dict[str, Any] | None
    shared: dict[str, int]
    created_at: datetime | None
    published_at: datetime | None


class SavedTemplate(TemplateView):
    """warnings: what is to be known before it is sent; it is stored all the same."""

    warnings: list[Warned]


class TemplatePage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    templates: list[TemplateView]
    next_cursor: str | None


@router.post("", status_code=201, responses=problems(409, 413))
async def create(body: TemplateCreate, parts: Wired, key: CanEditTemplates) -> SavedTemplate:
    """Store a template as version 1."""
    edition, warnings = await proven(parts, body.id, body)
    async with parts.pool.acquire() as connection:
        try:
            template = await templates.create(
                connection, body.id, edition, draft=body.draft, created_by=key.id
            )
        except templates.TemplateExistsError:
            raise Problem(Code.TEMPLATE_EXISTS, "PUT it to store a new version.") from None
    parts.templates.forget(body.id)
    return saved(template, warnings)


@router.put("/{template_id}", responses=problems(404, 413))
async def update(
    template_id: TemplateId, body: TemplateUpdate, parts: Wired, key: CanEditTemplates
) -> SavedTemplate:
    """Store the next version and make it current, unless it is a draft. Notifications accepted before
    keep theirs."""
    edition, warnings = await proven(parts, template_id, body)
    async with parts.pool.acquire() as connection:
        template = await templates.update(
            connection, template_id, edition, draft=body.draft, created_by=key.id
        )
    if template is None:
        raise not_found()
    parts.templates.forget(template_id)
    return saved(template, warnings)


@router.post("/{template_id}/refresh", responses=problems(404))
async def refresh(template_id: TemplateId, parts: Wired, key: CanEditTemplates) -> SavedTemplate:
    """Store the current version anew, with the layouts, partials and brand of today, and make it current; where only
    drafts are there, the latest as a draft. Where nothing of it has changed, it stays as it is."""
    before = await find(parts, template_id, None)
    edition = await with_shared(parts.pool, before)
    warnings = await asyncio.to_thread(checked, template_id, edition)
    if edition.shared == before.shared:
        return saved(before, warnings)
    async with parts.pool.acquire() as connection:
        template = await templates.update(
            connection, template_id, edition, draft=before.published_at is None, created_by=key.id
        )
    if template is None:
        raise not_found()
    parts.templates.forget(template_id)
    return saved(template, warnings)


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


async def proven(
    parts: Parts, template_id: str, body: TemplateUpdate, given: Sequence[SharedVersion] = ()
) -> tuple[Edition, list[Warned]]:
    """What is stored of it. given: shared, in place of the newest. Raises Problem for what would fail when it is
    sent."""
    try:
        edition = body.edition(template_id)
    except WrongContractError as error:
        path = f"variables.{error.path}".rstrip(".")
        raise mistaken(FieldError(path=path, message=error.message)) from None
    edition = await with_shared(parts.pool, edition, given)
    return edition, await asyncio.to_thread(checked, template_id, edition)


def not_found() -> Problem:
    return Problem(Code.NOT_FOUND, "There is no template with this id and version.")


def saved(template: TemplateVersion, warnings: list[Warned]) -> SavedTemplate:
    return SavedTemplate(**view_of(template).model_dump(), warnings=warnings)


def view_of(template: TemplateVersion) -> TemplateView:
    return TemplateView(
        id=template.template_id,
        version=template.version,
        engine=template.engine,
        name=template.name,
        category=template.category,
        on_unknown=template.on_unknown,
        deduplicate_seconds=template.deduplicate_seconds,
        digest=None if template.digest is None else Digest.of(template.digest),
        track_opens=template.tracking.opens,
        track_clicks=template.tracking.clicks,
        content=dict(template.content),
        locale=template.locale,
        locales={tag: dict(content) for tag, content in template.locales.items()},
        variables=None if template.contract is None else dict(template.contract.schema),
        sample=None if template.sample is None else dict(template.sample),
        shared={f"{one.kind}/{one.id}": one.version for one in template.shared.parts},
        created_at=template.created_at,
        published_at=template.published_at,
    )
