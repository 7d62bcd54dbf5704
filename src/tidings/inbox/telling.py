"""Telling all API processes whose feeds changed, without making anyone wait for it."""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterable

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_MOST = 800  # keys of one message: PostgreSQL takes up to 8,000 bytes


def key_of(user_id: str) -> str:
    """8 characters that stand for a user. Two users may share one: then one look at a feed is in vain."""
    digest = hashlib.blake2b(user_id.encode("utf-8", "surrogatepass"), digest_size=6).digest()
    return base64.urlsafe_b64encode(digest).decode()


class Teller:
    """Sends NOTIFY in the background. What comes while one is under way goes with the next, so a busy process sends
    few. A lost one costs those who watch a poll's time, never a change."""

    def __init__(self, notify: Callable[[str], Awaitable[None]]) -> None:
        self._notify = notify
        self._keys: dict[str, None] = {}
        self._wanted = asyncio.Event()

    def tell(self, user_ids: Iterable[str]) -> None:
        """After the commit of their changes: not before, and not inside the transaction, for NOTIFY takes a lock
        over all committing transactions."""
        self._keys.update(dict.fromkeys(map(key_of, user_ids)))
        if self._keys:
            self._wanted.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._wanted.wait()
            keys = list(self._keys)[:_MOST]
            for key in keys:
                del self._keys[key]
            if not self._keys:
                self._wanted.clear()
            try:
                await self._notify(" ".join(keys))
            except Exception as error:  # noqa: BLE001 - whatever it is, the poll behind it finds the changes
                log.warning("feeds.not_told", error=type(error).__name__)
