"""Subscriptions to events, as they come over the wire and go back."""

from datetime import UTC, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field, StrictBool, model_validator

from tidings.api.routes.suppressions import Category
from tidings.domain.channels import Channel
from tidings.domain.events import EventType, in_use
from tidings.domain.suppressions import SuppressionReason
from tidings.intake.request import Name, TemplateId, WebUrl, Wire
from tidings.providers.webhook.send import OURS
from tidings.store.event_subscriptions import Subscription

Types = Annotated[list[EventType], Field(min_length=1, max_length=len(EventType))]
Headers = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")],
        Annotated[str, Field(max_length=2_000, pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$")],
    ],
    Field(max_length=20),
]
Templates = Annotated[list[TemplateId], Field(max_length=100)]
Categories = Annotated[list[Category], Field(max_length=100)]
Channels = Annotated[list[Channel], Field(max_length=len(Channel))]


class SubscriptionWish(Wire):
    """url: is called with POST. event_types: what it is told. template_ids, categories, channels: only of these; empty
    for all. headers: further header fields of each call; their values are not shown again."""

    url: WebUrl
    event_types: Types
    name: Name | None = None
    template_ids: Templates = Field(default_factory=list)
    categories: Categories = Field(default_factory=list)
    channels: Channels = Field(default_factory=list)
    headers: Headers = Field(default_factory=dict)
    enabled: StrictBool = True

    @model_validator(mode="after")
    def _headers_are_free(self) -> Self:
        _check_headers(self.headers)
        return self


class SubscriptionChange(Wire):
    """What is given changes; the rest stays. enabled: true also takes the endpoint off the suppression list, where it
    came because it was gone or did nothing but fail."""

    url: WebUrl | None = None
    event_types: Types | None = None
    name: Name | None = None
    template_ids: Templates | None = None
    categories: Categories | None = None
    channels: Channels | None = None
    headers: Headers | None = None
    enabled: StrictBool | None = None

    @model_validator(mode="after")
    def _headers_are_free(self) -> Self:
        _check_headers(self.headers or {})
        return self


class Rotation(Wire):
    """overlap: hours for which calls are signed with the former secrets, too."""

    overlap: Annotated[float, Field(ge=0, le=720, strict=True)] = 24.0


class SecretView(BaseModel):
    """hint: how it ends. until: when one that was replaced is used no more; null for the newest."""

    hint: str
    until: datetime | None


class SubscriptionView(BaseModel):
    """url, headers, secrets: null where this key ring does not open them. headers: names only. blocked: why nothing is
    sent there at the moment although it is enabled, as the endpoint is on the suppression list; null where it is not."""

    subscription_id: UUID
    name: str
    url: str | None
    event_types: list[str]
    template_ids: list[str]
    categories: list[str]
    channels: list[str]
    headers: list[str] | None
    secrets: list[SecretView] | None
    enabled: bool
    blocked: SuppressionReason | None
    created_at: datetime
    updated_at: datetime


class NewSubscriptionView(SubscriptionView):
    """secret: of the signatures (Standard Webhooks); shown this once."""

    secret: str


class SubscriptionPage(BaseModel):
    subscriptions: list[SubscriptionView]


class Testing(BaseModel):
    """notification_id: what tells the event; its status says what became of it."""

    notification_id: UUID


def viewed(one: Subscription, blocked: SuppressionReason | None) -> SubscriptionView:
    """blocked: why its endpoint is on the suppression list."""
    endpoint, now = one.endpoint, datetime.now(UTC)
    return SubscriptionView(
        subscription_id=one.id,
        name=one.name,
        url=endpoint and endpoint.url,
        event_types=sorted(one.wants.types),
        template_ids=list(one.wants.template_ids),
        categories=list(one.wants.categories),
        channels=list(one.wants.channels),
        headers=None if endpoint is None else list(endpoint.headers),
        secrets=None
        if endpoint is None
        else [
            SecretView(hint=f"…{each.text[-4:]}", until=each.until)
            for each in in_use(endpoint.secrets, now)
        ],
        enabled=one.enabled,
        blocked=blocked,
        created_at=one.created_at,
        updated_at=one.updated_at,
    )


def _check_headers(headers: dict[str, str]) -> None:
    for name in headers:
        if name.lower() in OURS or name.lower().startswith("webhook-"):
            raise ValueError(f"headers: {name} is set by Tidings")
