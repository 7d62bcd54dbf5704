"""What an editor may write for each channel; checked when a template is saved."""

from collections.abc import Mapping
from typing import Annotated, Any

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


def _payload(value: Any) -> Any:
    check_document(value, nul=False)
    return value


Line = Annotated[str, Field(min_length=1, max_length=2_000), AfterValidator(check_text)]
Body = Annotated[str, Field(min_length=1, max_length=200_000), AfterValidator(check_text)]
Payload = Annotated[JsonValue, AfterValidator(_payload)]


class Source(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class EmailSource(Source):
    """At least one of html and text; text is made from html when it is not given."""

    subject: Line
    html: Body | None = None
    text: Body | None = None
    reply_to: Line | None = None

    @model_validator(mode="after")
    def _has_a_body(self) -> "EmailSource":
        if self.html is None and self.text is None:
            raise ValueError("an email needs html, text, or both")
        return self


class SmsSource(Source):
    body: Body


class PushSource(Source):
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
        given = self.model_dump(exclude_none=True)
        return {Channel(name): source for name, source in given.items()}


LanguageTag = Annotated[str, Field(max_length=35), AfterValidator(canonical)]
"""As de, de-AT or zh-Hant; kept in that way of writing."""

Locales = Annotated[dict[LanguageTag, TemplateContent], Field(max_length=100)]
"""Content by language. A channel that a language lacks falls back: from de-AT to de, then to the default."""


def by_locale(locales: Mapping[str, TemplateContent]) -> dict[str, dict[Channel, dict[str, Any]]]:
    """What is stored."""
    return {tag: content.by_channel() for tag, content in sorted(locales.items())}
