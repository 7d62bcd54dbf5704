"""Keep messages instead of sending them."""

from collections.abc import Awaitable, Callable, Sequence

from tidings.domain.messages import Message
from tidings.domain.provider import Account
from tidings.providers.storing import StoringProvider

StoreOutbox = Callable[[Sequence[Message], str], Awaitable[None]]
"""Takes messages and the account's name."""


def outbox_provider(account: Account, store_outbox: StoreOutbox) -> StoringProvider:
    """store_outbox: keeps rendered messages; the same delivery again replaces what was kept of it."""

    async def store(messages: Sequence[Message]) -> None:
        await store_outbox(messages, account.name)

    return StoringProvider(account, store)
