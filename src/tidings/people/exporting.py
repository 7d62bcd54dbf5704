"""Everything that is held about a person, for them to have."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any
from uuid import UUID

from tidings.domain.preferences import NO_PREFERENCES
from tidings.people.erasing import addresses_of
from tidings.people.schedules import schedules_of
from tidings.store import (
    conversions,
    devices,
    engagements,
    histories,
    inbox,
    preferences,
    suppressions,
    topics,
    users,
)
from tidings.store.database import Pool
from tidings.store.engagements import LinkCount
from tidings.store.histories import Trail
from tidings.store.keyring import KeyRing

_PAGE = 200

Entry = dict[str, Any]


async def export(pool: Pool, user_id: str, keyring: KeyRing) -> AsyncIterator[Entry]:
    """One entry after the other, in bounded memory; `kind` says what it is. Raises KeyRingError."""
    addresses = await addresses_of(pool, user_id, keyring)
    if (user := await users.find(pool, user_id, keyring)) is not None:
        times = {"created_at": user.created_at, "updated_at": user.updated_at}
        yield {"kind": "user", "user_id": user.id, **asdict(user.profile), **times}
    for device in await devices.of_user(pool, user_id, keyring):
        yield {"kind": "device", **asdict(device)}
    chosen = await preferences.fetch(pool, user_id)
    if chosen != NO_PREFERENCES:
        yield {"kind": "preferences", **asdict(chosen)}
    async for entry in _changes(pool, user_id):
        yield entry
    for subscription in await topics.of_user(pool, user_id):
        yield {"kind": "subscription", **asdict(subscription)}
    for suppression in await suppressions.of_addresses(pool, addresses, keyring):
        yield {"kind": "suppression", **asdict(suppression)}
    async for schedule in schedules_of(pool, user_id, addresses, keyring):
        yield {"kind": "schedule", **asdict(schedule)}
    trail = Trail(user_id, [keyring.address_hash(channel, one) for channel, one in addresses])
    async for entry in _notifications(pool, trail, keyring):
        yield entry
    async for entry in _inbox(pool, user_id, keyring):
        yield entry
    async for entry in _conversions(pool, user_id, keyring):
        yield entry


async def _conversions(pool: Pool, user_id: str, keyring: KeyRing) -> AsyncIterator[Entry]:
    after = UUID(int=0)
    while page := await conversions.of_user(pool, user_id, keyring, after=after, limit=_PAGE):
        for one in page:
            yield {"kind": "conversion", **asdict(one)}
        after = page[-1].id


async def _changes(pool: Pool, user_id: str) -> AsyncIterator[Entry]:
    before: UUID | None = None
    while page := await preferences.history(pool, user_id, before=before, limit=_PAGE):
        for change in page:
            yield {"kind": "preference_change", "at": change.at, **asdict(change)}
        before = page[-1].id


async def _notifications(pool: Pool, trail: Trail, keyring: KeyRing) -> AsyncIterator[Entry]:
    after = UUID(int=0)
    while page := await histories.page(pool, trail, after=after, limit=_PAGE):
        for document in await histories.in_full(pool, page, keyring):
            yield {"kind": "notification", **document}
        for count in await engagements.of_notifications(pool, page):
            yield {"kind": "engagement", **_engagement(count)}
        after = page[-1]


def _engagement(count: LinkCount) -> Entry:
    return {name: getattr(count, name) for name in _ENGAGEMENT}


_ENGAGEMENT = ("delivery_id", "link", "requests", "persons", "first_at", "last_at", "person_at")


async def _inbox(pool: Pool, user_id: str, keyring: KeyRing) -> AsyncIterator[Entry]:
    before: UUID | None = None
    while page := await inbox.listed(
        pool, user_id, keyring, before=before, limit=_PAGE, archived=None
    ):
        for entry in page:
            yield {"kind": "inbox_entry", "created_at": entry.created_at, **asdict(entry)}
        before = page[-1].id
