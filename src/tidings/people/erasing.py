"""Erasing a person: what must be kept is kept without them."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from tidings.domain.channels import Channel
from tidings.people.schedules import erase_schedules
from tidings.queue import postgres as queue
from tidings.store import conversions, deliveries, devices, feeds, histories, suppressions, users
from tidings.store.database import Connection, Pool, borrow
from tidings.store.forgetting import forget, forget_digests
from tidings.store.histories import Trail
from tidings.store.keyring import KeyRing

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_PAGE = 100
_WAIT = 0.5  # seconds: a call to a provider that is under way ends
_LOOKS = 20


@dataclass(frozen=True, slots=True)
class Erased:
    """notifications: of how many the person was taken out. complete: nothing is left; otherwise calls to providers
    are still under way, and erasing again finishes it."""

    notifications: int
    complete: bool


async def erase(
    pool: Pool,
    user_id: str,
    keyring: KeyRing,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Erased:
    """Cancel what has not been sent, take the person out of what was, and forget them. In small transactions: what
    was broken off goes on when it is asked for again. Raises KeyRingError."""
    pseudonym = f"erased-{secrets.token_hex(12)}"
    addresses = await addresses_of(pool, user_id, keyring)
    trail = Trail(user_id, [keyring.address_hash(channel, one) for channel, one in addresses])
    async with borrow(pool) as connection:
        await forget_digests(connection, user_id)
    done, held = 0, await _left(pool, trail)
    for _ in range(_LOOKS):
        done += await _history(pool, trail, pseudonym, keyring)
        if not (held := await _left(pool, trail)):
            break
        await pause(_WAIT)
    await erase_schedules(pool, user_id, addresses, pseudonym, keyring)
    if not held:
        # Last: until then the addresses say what else is theirs.
        async with borrow(pool) as connection, connection.transaction():
            pairs = [(channel, keyring.address_hash(channel, one)) for channel, one in addresses]
            await suppressions.anonymise(connection, pairs)
            await forget(connection, user_id)
            await feeds.erase(connection, user_id)
            await conversions.anonymise(connection, keyring, user_id=user_id)
    log.info("user.erased", notifications=done, complete=not held)
    return Erased(done, not held)


async def addresses_of(pool: Pool, user_id: str, keyring: KeyRing) -> list[tuple[Channel, str]]:
    """All that are known of them now. Raises KeyRingError."""
    found = await users.find(pool, user_id, keyring)
    known = (
        []
        if found is None
        else [
            (Channel.EMAIL, found.profile.email),
            (Channel.SMS, found.profile.phone),
        ]
    )
    known += [(Channel.PUSH, one.token) for one in await devices.of_user(pool, user_id, keyring)]
    return [(channel, address) for channel, address in known if address is not None]


async def _left(pool: Pool, trail: Trail) -> bool:
    return bool(await histories.page(pool, trail, limit=1))


async def _history(pool: Pool, trail: Trail, pseudonym: str, keyring: KeyRing) -> int:
    """One pass; what is being sent at this moment is passed over."""
    done, after = 0, UUID(int=0)
    while True:
        async with borrow(pool) as connection, connection.transaction():
            page = await histories.page(connection, trail, after=after, limit=_PAGE)
            await _cancel(connection, page)
            held = await histories.still_pending(connection, page)
            if ended := [one for one in page if one not in held]:
                pairs = await histories.addresses_of(connection, ended)
                await suppressions.anonymise(connection, pairs)
                await histories.anonymise(connection, ended, pseudonym, keyring)
                done += len(ended)
        if len(page) < _PAGE:
            return done
        after = page[-1]


async def _cancel(connection: Connection, notification_ids: Sequence[UUID]) -> None:
    for one in await histories.still_pending(connection, notification_ids):
        withdrawn = await queue.withdraw(connection, one)
        taken = [entry.delivery_id for entry in withdrawn if entry.maybe_taken]
        await deliveries.cancel(connection, one, [entry.delivery_id for entry in withdrawn], taken)
        released = await deliveries.withdraw_released(connection, one)
        await deliveries.cancel(connection, one, released, [])
