"""Subscriptions to events: what an application is told of, by signed calls to its own endpoint."""

import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids
from fastapi import APIRouter, Response

from tidings.api.authentication import CanManageAccounts
from tidings.api.bodies import StrictJson
from tidings.api.paging import Cursor, Limit
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.api.routes.notifications import NotificationPage, summaries
from tidings.api.routes.subscription_views import (
    NewSubscriptionView,
    Rotation,
    SubscriptionChange,
    SubscriptionPage,
    SubscriptionView,
    SubscriptionWish,
    Testing,
    viewed,
)
from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.events import TEST, Event, Secret, Wants, account_of, in_use
from tidings.domain.suppressions import SuppressionReason
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
    return SubscriptionPage(subscriptions=[viewed(one, blocked.get(one.id)) for one in found])


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
    return viewed(found, blocked.get(found.id))


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


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")


def _not_found() -> Problem:
    return Problem(Code.NOT_FOUND, "There is no such subscription.")
