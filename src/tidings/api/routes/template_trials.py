"""Templates tried before they are used: previewed, sent as a test, and asked for the data that they take."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, Field

from tidings.api.authentication import CanRead, CanSend
from tidings.api.bodies import StrictJson
from tidings.api.parts import Wired
from tidings.api.problems import FieldError, of_refusal
from tidings.api.responses import problems
from tidings.api.routes.template_checks import Warned, compiled, warnings_of
from tidings.api.routes.template_versions import Number, NumberInQuery
from tidings.api.routes.templates import find
from tidings.domain.channels import Channel
from tidings.domain.locales import chosen
from tidings.domain.messages import JSON, SmsContent
from tidings.domain.samples import sample
from tidings.domain.segments import segments
from tidings.domain.templates import TemplateVersion
from tidings.intake.drafting import Receipt, Submission
from tidings.intake.refusals import misfit
from tidings.intake.request import Document, Recipient, SendRequest, TemplateId, Wire
from tidings.rendering.checking import Given, Shown, as_rendered
from tidings.rendering.context import context_of
from tidings.rendering.deriving import derived
from tidings.rendering.engine import RenderingError
from tidings.rendering.locating import place_of

router = APIRouter(prefix="/templates/{template_id}", tags=["templates"], route_class=StrictJson)


def _reader(value: dict[str, Any]) -> dict[str, Any]:
    for name in ("locale", "timezone"):
        if not isinstance(value.get(name), str | None):
            raise ValueError(f"{name} must be a text")  # noqa: TRY004 - pydantic wants this one
    return value


PreviewRecipient = Annotated[Document, AfterValidator(_reader)]


class PreviewRequest(Wire):
    """data as in a send; the version's sample if not given. version: the current one if not given."""

    data: Document | None = None
    recipient: PreviewRecipient = Field(default_factory=dict)
    version: Number | None = None


class PreviewError(BaseModel):
    """origin: the layout or partial that the place is in, as partials.footer.text; null for the channel's own content. line and column count from 1, where they are known."""

    reason: str
    detail: str
    origin: str | None = None
    line: int | None = None
    column: int | None = None


class SmsSize(BaseModel):
    """encoding: gsm7, or ucs2 as soon as one character needs it. units: of 7 or 16 bits. parts: what a
    carrier sends and bills."""

    encoding: str
    units: int
    parts: int


class Preview(BaseModel):
    """What each channel would be sent, and what would fail. locales: the language of each channel, null for that
    of the template itself. sms: the size of the text message. misfits: where the data is not what the version
    declares, so that it would be refused."""

    template_id: str
    version: int
    rendered: dict[Channel, Any]
    errors: dict[Channel, PreviewError]
    locales: dict[Channel, str | None]
    sms: SmsSize | None = None
    misfits: list[FieldError]
    warnings: list[Warned]


class TestRequest(Wire):
    """recipient as in a send. version: the current one if not given, a draft too. data: the version's sample if
    not given."""

    recipient: Recipient
    channels: Annotated[list[Channel], Field(min_length=1, max_length=6)] | None = None
    data: Document | None = None
    version: Number | None = None


class TestSent(BaseModel):
    notification_id: UUID
    version: int


class Variables(BaseModel):
    """declared: null where nothing is. derived: made from what the version uses. sample: the editor's, or one that
    was made up from the schema."""

    id: str
    version: int
    declared: dict[str, Any] | None
    derived: dict[str, Any]
    sample: dict[str, Any]


@router.post("/preview", responses=problems(404, 413))
async def preview(
    template_id: TemplateId, body: PreviewRequest, parts: Wired, _: CanRead
) -> Preview:
    """Render with sample data; nothing is stored or sent."""
    template = await find(parts, template_id, body.version)
    data = _data(template, body.data)
    return await asyncio.to_thread(_previewed, template, data, body.recipient)


def _previewed(
    template: TemplateVersion, data: Mapping[str, JSON], recipient: Mapping[str, Any]
) -> Preview:
    """Beside the event loop, which answers others meanwhile: a template may take seconds to reach its limits."""
    context = context_of(
        as_rendered(template, data),
        {"user_id": None, "locale": None, "timezone": None, **recipient},
    )
    shown: list[Shown] = []
    errors: dict[Channel, PreviewError] = {}
    locales: dict[Channel, str | None] = {}
    for channel, render in compiled(template.template_id, template).items():
        tags = [tag for tag, written in template.locales.items() if channel in written]
        locale = locales[channel] = chosen(recipient.get("locale"), tags)
        try:
            shown.append(Shown(channel, locale, render(context), Given.SAMPLE))
        except RenderingError as error:
            origin, line, column = place_of(template, locale, error) or (None, None, None)
            errors[channel] = PreviewError(
                reason=error.reason,
                detail=error.detail,
                origin=origin,
                line=line,
                column=column,
            )
    return Preview(
        template_id=template.template_id,
        version=template.version,
        rendered={one.channel: asdict(one.content) for one in shown},
        errors=errors,
        locales=locales,
        sms=next(
            (_size(one.content) for one in shown if isinstance(one.content, SmsContent)), None
        ),
        misfits=_misfits(template, data),
        warnings=warnings_of(shown),
    )


@router.post("/test", status_code=202, responses=problems(404, 413))
async def send_test(
    template_id: TemplateId, body: TestRequest, parts: Wired, key: CanSend
) -> TestSent:
    """Send a version, also a draft, to these addresses, as it would be sent. It has `test` in its metadata, and
    counts for no deduplication."""
    template = await find(parts, template_id, body.version)
    data = _data(template, body.data)
    if template.contract and (found := template.contract.mismatches(data)):
        raise of_refusal(misfit(found))
    request = SendRequest(
        template_id=template_id,
        recipient=body.recipient,
        channel_preferences=body.channels,
        data=dict(as_rendered(template, data)),
        metadata={"test": "true"},
    )
    # At once, and apart from what is deduplicated or gathered in earnest.
    pinned = replace(template, deduplicate_seconds=None, digest=None, contract=None)
    result = await parts.intake.accept(Submission(key.id, key.number, request, b"", pinned=pinned))
    if not isinstance(result, Receipt):
        raise of_refusal(result)
    return TestSent(notification_id=result.notification_id, version=template.version)


@router.get("/variables", responses=problems(404))
async def variables(
    template_id: TemplateId, parts: Wired, _: CanRead, version: NumberInQuery = None
) -> Variables:
    """The data that a version takes, as JSON Schemas: what it declares, and what it uses."""
    template = await find(parts, template_id, version)
    used = await asyncio.to_thread(derived, template)
    declared = template.contract and dict(template.contract.schema)
    made = template.sample or sample(declared or used, whole=True)
    return Variables(
        id=template_id,
        version=template.version,
        declared=declared,
        derived=used,
        sample=dict(made),
    )


def _data(template: TemplateVersion, given: Mapping[str, JSON] | None) -> Mapping[str, JSON]:
    return given if given is not None else template.sample or {}


def _misfits(template: TemplateVersion, data: Mapping[str, JSON]) -> list[FieldError]:
    found = template.contract.mismatches(data) if template.contract else ()
    return [FieldError(path=one.path, message=one.message) for one in found]


def _size(content: SmsContent) -> SmsSize:
    return SmsSize(**asdict(segments(content.body)))
