"""What the providers share whose "other side" is Tidings' own database."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome, Unknown
from tidings.domain.provider import Account
from tidings.domain.reasons import Reason

Store = Callable[[Sequence[Message]], Awaitable[None]]


class StoringProvider:
    """Keeps a batch by one call of `store`, which takes all of it or raises.

    What the store had done when it failed is not known, and need not be: storing again has no second
    effect.
    """

    def __init__(self, account: Account, store: Store) -> None:
        self._account = account
        self._store = store

    @property
    def account(self) -> Account:
        return self._account

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        outcome = await self._outcome(messages)
        return [outcome] * len(messages)

    async def close(self) -> None:
        """Nothing of its own to close: the store belongs to others."""

    async def check(self) -> str:
        return "Keeps messages in Tidings' own database; nothing else to reach."

    async def _outcome(self, messages: Sequence[Message]) -> Outcome:
        try:
            async with asyncio.timeout(self._account.timeout):
                await self._store(messages)
        except TimeoutError:
            return Unknown(Reason.TIMED_OUT)
        except Exception as error:  # noqa: BLE001 - whatever the database's driver raises is an answer
            return Unknown(Reason.PROVIDER_FAILED, detail=type(error).__name__)
        return Accepted(reason=Reason.STORED)
