"""What makes in-app feeds live, wired."""

from collections.abc import Awaitable, Callable

from tidings.inbox.hub import Bounds, Hub
from tidings.inbox.telling import Teller
from tidings.settings import InboxSettings
from tidings.store.database import Pool, borrow
from tidings.store.feeds import CHANNEL
from tidings.store.keyring import KeyRing


def open_hub(pool: Pool, keyring: KeyRing, settings: InboxSettings) -> Hub:
    """pool: a hot one."""
    bounds = Bounds(
        connections=settings.connections,
        per_user=settings.connections_per_user,
        buffer=settings.buffer,
        poll=settings.poll,
    )
    return Hub(pool, keyring, bounds)


def open_teller(pool: Pool) -> Teller:
    """pool: a hot one."""
    return Teller(_notifying(pool))


def _notifying(pool: Pool) -> Callable[[str], Awaitable[None]]:
    async def notify(keys: str) -> None:
        async with borrow(pool) as connection:
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, keys)

    return notify
