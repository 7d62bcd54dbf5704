"""What an editor may write for each channel; checked when a template is saved."""

from collections.abc import Mapping
from typing import Annotated, Any

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    model_validator,
)

from tidings.domain.channels import Channel
from tidings.domain.documents import check_document, check_text
from tidings.domain.locales import canonical
from tidings.domain.mail_headers import check_header_name
from tidings.rendering.push_source import PushOptions


def _payload(value: Any) -> Any:
    check_document(value, nul=False)
    return value


def _sender(value: str) -> str:
    """By its domain the account is chosen, before anything is rendered."""
    if "{{" in value or "{%" in value:
        raise ValueError("the sender is the same for all, and holds no placeholders")
    try:
        validate_email(
            value, allow_display_name=True, check_deliverability=False, test_environment=True
        )
    except EmailNotValidError:
        # The exception repeats the address, and it may be shown.
        raise ValueError("allowed is an address, as Shop <shop@example.com>") from None
    return value


Line = Annotated[str, Field(min_length=1, max_length=2_000), AfterValidator(check_text)]
Body = Annotated[str, Field(min_length=1, max_length=200_000), AfterValidator(check_text)]
Payload = Annotated[JsonValue, AfterValidator(_payload)]


SharedId = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.-]+$")]


HeaderName = Annotated[str, AfterValidator(check_header_name)]
Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]


class Source(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class EmailSource(Source):
    """from: whom it is from, where that is not the account's own address. One of html, markdown and mjml, which become HTML; or text, or both. Text is made from the other when it is not
    given. layout: the id of a layout, which the body is put into. headers: beside those that a message has anyway.
    tags: words by which the provider groups its statistics."""

    subject: Line
    sender: Annotated[Line, AfterValidator(_sender)] | None = Field(default=None, alias="from")
    html: Body | None = None
    markdown: Body | None = None
    mjml: Body | None = None
    text: Body | None = None
    reply_to: Line | None = None
    layout: SharedId | None = None
    headers: Annotated[dict[HeaderName, Line], Field(min_length=1, max_length=10)] | None = None
    tags: Annotated[list[Tag], Field(min_length=1, max_length=9)] | None = None

    @model_validator(mode="after")
    def _has_a_body(self) -> "EmailSource":
        bodies = [one for one in (self.html, self.markdown, self.mjml) if one is not None]
        if not bodies and self.text is None:
            raise ValueError("an email needs html, markdown or mjml, or text, or both")
        if len(bodies) > 1:
            raise ValueError("an email has one of html, markdown and mjml")
        if self.layout is not None and not bodies:
            raise ValueError("a layout needs a body of html, markdown or mjml")
        return self


class SmsSource(Source):
    body: Body


class PushSource(PushOptions):
    title: Line
    body: Body
    url: Line | None = None


class InAppSource(Source):
    title: Line
    body: Body
    url: Line | None = None


class WebhookSource(Source):
    """payload: any JSON whose strings are templates; without it, the notification's data is sent.
    type: the event's name; the template's id without it."""

    type: Line | None = None
    payload: Payload = None


class ChatSource(Source):
    body: Body


class TemplateContent(Source):
    """Content by channel; at least one."""

    email: EmailSource | None = None
    sms: SmsSource | None = None
    push: PushSource | None = None
    in_app: InAppSource | None = None
    webhook: WebhookSource | None = None
    chat: ChatSource | None = None

    @model_validator(mode="after")
    def _has_a_channel(self) -> "TemplateContent":
        if not self.by_channel():
            raise ValueError("a template needs content for at least one channel")
        return self

    def by_channel(self) -> dict[Channel, dict[str, Any]]:
        """What is stored: only what was given."""
        given = self.model_dump(exclude_none=True, by_alias=True)
        return {Channel(name): source for name, source in given.items()}


LanguageTag = Annotated[str, Field(max_length=35), AfterValidator(canonical)]
"""As de, de-AT or zh-Hant; kept in that way of writing."""

Locales = Annotated[dict[LanguageTag, TemplateContent], Field(max_length=100)]
"""Content by language. A channel that a language lacks falls back: from de-AT to de, then to the default."""


def by_locale(locales: Mapping[str, TemplateContent]) -> dict[str, dict[Channel, dict[str, Any]]]:
    """What is stored."""
    return {tag: content.by_channel() for tag, content in sorted(locales.items())}
