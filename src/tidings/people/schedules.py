"""Recurring schedules of one person."""

from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from typing import Any
from uuid import UUID

from tidings.domain.channels import Channel
from tidings.store import schedules
from tidings.store.database import Pool, borrow
from tidings.store.keyring import KeyRing
from tidings.store.schedules import Schedule, ScheduleState

_PAGE = 200
_FIELDS = {Channel.EMAIL: "email", Channel.SMS: "phone"}

Addresses = Collection[tuple[Channel, str]]


async def schedules_of(
    pool: Pool, user_id: str, addresses: Addresses, keyring: KeyRing
) -> AsyncIterator[Schedule]:
    """All whose recipient is this user, or one of these addresses without a user; cancelled ones, too."""
    before: UUID | None = None
    while True:
        page = await schedules.kept(pool, keyring, before=before, limit=_PAGE)
        for one in page:
            if one.request and _concerns(one.request["recipient"], user_id, addresses):
                yield one
        if len(page) < _PAGE:
            return
        before = page[-1].id


async def erase_schedules(
    pool: Pool, user_id: str, addresses: Addresses, pseudonym: str, keyring: KeyRing
) -> None:
    """Cancel them, and forget what each run would send."""
    async for one in schedules_of(pool, user_id, addresses, keyring):
        template_id = (one.request or {})["template_id"]
        request = {"template_id": template_id, "recipient": {"user_id": pseudonym}}
        ended = replace(one, name=None, state=ScheduleState.CANCELLED, request=request)
        async with borrow(pool) as connection:
            await schedules.change(connection, ended, keyring)


def _concerns(recipient: dict[str, Any], user_id: str, addresses: Addresses) -> bool:
    if recipient.get("user_id") is not None:
        return bool(recipient["user_id"] == user_id)
    return any(
        str(recipient.get(_FIELDS[channel])).casefold() == address.casefold()
        for channel, address in addresses
        if channel in _FIELDS
    )
