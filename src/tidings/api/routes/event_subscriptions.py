"""Subscriptions to events: what an application is told of, by signed calls to its own endpoint."""

import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self
from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, StrictBool, model_validator

from tidings.api.authentication import CanManageAccounts
from tidings.api.bodies import StrictJson
from tidings.api.paging import Cursor, Limit
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.api.routes.notifications import NotificationPage, summaries
from tidings.api.routes.suppressions import Category
from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.events import TEST, Event, EventType, Secret, Wants, account_of, in_use
from tidings.domain.suppressions import SuppressionReason
from tidings.intake.request import Name, TemplateId, WebUrl, Wire
from tidings.store import event_subscriptions, listing, suppressions
from tidings.store.database import Connection
from tidings.store.event_subscriptions import Endpoint, Subscription
from tidings.store.listing import Filter
from tidings.tracking import relaying

router = APIRouter(
    prefix="/event-subscriptions", tags=["event subscriptions"], route_class=StrictJson
)

MOST = 100
"""Subscriptions there can be: each is looked at for every event."""
_SECRET_BYTES = 32

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

_OURS = frozenset(
    {"connection", "content-length", "content-type", "expect", "host", "te", "trailer", "upgrade"}
    | {"transfer-encoding"}
)


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


@router.post("", status_code=201, responses=problems(409, 413))
async def subscribe(
    body: SubscriptionWish, parts: Wired, _: CanManageAccounts
) -> NewSubscriptionView:
    """Be told of events from now on, by signed calls to an endpoint."""
    secret = _new_secret()
    subscription_id = uuids.uuid7()
    async with _changing(parts) as connection:
        if await event_subscriptions.count(connection) >= MOST:
            raise Problem(Code.TOO_MANY_SUBSCRIPTIONS, f"There can be {MOST} at the most.")
        made = Subscription(
            subscription_id,
            body.name or body.url,
            Endpoint(body.url, [Secret(secret)], body.headers),
            Wants(body.event_types, body.template_ids, body.categories, body.channels),
            body.enabled,
            datetime.now(UTC),
        )
        await event_subscriptions.put(connection, made, parts.keyring)
    return NewSubscriptionView(**(await _view(parts, subscription_id)).model_dump(), secret=secret)


@router.get("", responses=problems())
async def listed(parts: Wired, _: CanManageAccounts) -> SubscriptionPage:
    """All subscriptions, the newest first."""
    found = await event_subscriptions.listed(parts.pool, parts.keyring)
    blocked = await _blocked(parts, found)
    return SubscriptionPage(subscriptions=[_viewed(one, blocked.get(one.id)) for one in found])


@router.get("/{subscription_id}", responses=problems(404))
async def read(subscription_id: UUID, parts: Wired, _: CanManageAccounts) -> SubscriptionView:
    """One subscription."""
    return await _view(parts, subscription_id)


@router.patch("/{subscription_id}", responses=problems(404, 409, 413))
async def change(
    subscription_id: UUID, body: SubscriptionChange, parts: Wired, _: CanManageAccounts
) -> SubscriptionView:
    """Change what is given."""
    async with _changing(parts) as connection:
        one, endpoint = await _held(connection, parts, subscription_id)
        changed = _changed(one, endpoint, body)
        await event_subscriptions.put(connection, changed, parts.keyring)
        if body.enabled and changed.endpoint is not None:
            await _unblock(connection, parts, changed.endpoint.url)
    return await _view(parts, subscription_id)


@router.delete(
    "/{subscription_id}", status_code=204, response_class=Response, responses=problems(404)
)
async def remove(subscription_id: UUID, parts: Wired, _: CanManageAccounts) -> None:
    """Tell it nothing any more. What is on its way fails, as its account is gone."""
    async with _changing(parts) as connection:
        if not await event_subscriptions.remove(connection, subscription_id):
            raise _not_found()


@router.post("/{subscription_id}/rotate-secret", responses=problems(404, 409))
async def rotate(
    subscription_id: UUID, parts: Wired, _: CanManageAccounts, body: Rotation | None = None
) -> NewSubscriptionView:
    """Sign with a new secret, and for a while with the former ones, too."""
    secret, now = _new_secret(), datetime.now(UTC)
    end = now + timedelta(hours=(body or Rotation()).overlap)
    async with _changing(parts) as connection:
        one, endpoint = await _held(connection, parts, subscription_id)
        former = [
            Secret(each.text, min(end, each.until or end)) for each in in_use(endpoint.secrets, now)
        ]
        kept = [each for each in former if each.until is not None and each.until > now]
        rotated = replace(endpoint, secrets=[Secret(secret), *kept])
        await event_subscriptions.put(connection, replace(one, endpoint=rotated), parts.keyring)
    return NewSubscriptionView(**(await _view(parts, subscription_id)).model_dump(), secret=secret)


@router.post("/{subscription_id}/test", status_code=202, responses=problems(404, 409))
async def test(subscription_id: UUID, parts: Wired, _: CanManageAccounts) -> Testing:
    """Send an event of the type `test`, to try the endpoint."""
    now = datetime.now(UTC)
    async with _changing(parts) as connection:
        one, endpoint = await _held(connection, parts, subscription_id)
        if not one.enabled:
            raise Problem(Code.SUBSCRIPTION_DISABLED, "Enable it first.")
        event = Event(uuids.uuid7(), TEST, now, {"subscription_id": str(one.id)})
        made = relaying.telling(event, one.id, endpoint.url, None, uuids.uuid7())
        await relaying.store(connection, [made], parts.keyring)
    parts.wake()
    return Testing(notification_id=made.row.id)


@router.get("/{subscription_id}/events", responses=problems(404))
async def told(
    subscription_id: UUID,
    parts: Wired,
    _: CanManageAccounts,
    cursor: Cursor = None,
    limit: Limit = 50,
    status: DeliveryStatus | None = None,
) -> NotificationPage:
    """What it was told, the newest first: each event is a notification of its own, whose status shows the attempts.
    What failed for good is among the dead letters, and can be replayed there."""
    if await event_subscriptions.find(parts.pool, subscription_id, parts.keyring) is None:
        raise _not_found()
    wanted = Filter(status=status, correlation_id=account_of(subscription_id), events=True)
    page = await listing.page(parts.pool, wanted, before=cursor, limit=limit)
    return await summaries(parts, page)


@asynccontextmanager
async def _changing(parts: Parts) -> AsyncIterator[Connection]:
    """A transaction. Raises Problem where the tables that record events cannot be had for a moment."""
    try:
        async with parts.pool.acquire() as connection, connection.transaction():
            yield connection
    except asyncpg.LockNotAvailableError:
        detail = "Something long holds the tables that record events; try again."
        raise Problem(Code.UNAVAILABLE, detail) from None


async def _held(
    connection: Connection, parts: Parts, subscription_id: UUID
) -> tuple[Subscription, Endpoint]:
    """Locked. Raises Problem where it is not there, or its key is not."""
    found = await event_subscriptions.find(connection, subscription_id, parts.keyring, lock=True)
    if found is None:
        raise _not_found()
    if found.endpoint is None:
        detail = "What is stored of it cannot be opened with this key ring. Delete it and subscribe anew."
        raise Problem(Code.SUBSCRIPTION_UNREADABLE, detail)
    return found, found.endpoint


async def _view(parts: Parts, subscription_id: UUID) -> SubscriptionView:
    found = await event_subscriptions.find(parts.pool, subscription_id, parts.keyring)
    if found is None:
        raise _not_found()
    blocked = await _blocked(parts, [found])
    return _viewed(found, blocked.get(found.id))


async def _blocked(parts: Parts, found: list[Subscription]) -> dict[UUID, SuppressionReason]:
    """Those whose endpoint is on the suppression list."""
    hashes = {
        one.id: parts.keyring.address_hash(Channel.WEBHOOK, one.endpoint.url)
        for one in found
        if one.endpoint is not None
    }
    pairs = {(Channel.WEBHOOK, digest) for digest in hashes.values()}
    blocks = await suppressions.blocks_among(parts.pool, pairs, ()) if pairs else {}
    return {
        subscription_id: blocks[Channel.WEBHOOK, digest][0].reason
        for subscription_id, digest in hashes.items()
        if (Channel.WEBHOOK, digest) in blocks
    }


async def _unblock(connection: Connection, parts: Parts, url: str) -> None:
    digest = parts.keyring.address_hash(Channel.WEBHOOK, url)
    for reason in (SuppressionReason.BOUNCED, SuppressionReason.FAILING):
        await suppressions.lift(connection, Channel.WEBHOOK, [digest], reason)


def _changed(one: Subscription, endpoint: Endpoint, body: SubscriptionChange) -> Subscription:
    given: dict[str, Any] = body.model_dump(exclude_none=True)
    wants = one.wants
    return replace(
        one,
        name=given.get("name", one.name),
        endpoint=Endpoint(
            given.get("url", endpoint.url),
            endpoint.secrets,
            given.get("headers", endpoint.headers),
        ),
        wants=Wants(
            given.get("event_types", wants.types),
            given.get("template_ids", wants.template_ids),
            given.get("categories", wants.categories),
            given.get("channels", wants.channels),
        ),
        enabled=given.get("enabled", one.enabled),
    )


def _viewed(one: Subscription, blocked: SuppressionReason | None) -> SubscriptionView:
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
        if name.lower() in _OURS or name.lower().startswith("webhook-"):
            raise ValueError(f"headers: {name} is set by Tidings")


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")


def _not_found() -> Problem:
    return Problem(Code.NOT_FOUND, "There is no such subscription.")
