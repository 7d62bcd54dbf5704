"""Subscriptions to events, as the engine sees them: each is an account of its own, so that one that is slow or fails
holds up neither the others nor what people wait for."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import structlog

from tidings.delivery.accounts import Accounts, OpenAccount
from tidings.store import event_subscriptions
from tidings.store.database import Connection
from tidings.store.event_subscriptions import Subscription
from tidings.store.keyring import KeyRing

log: structlog.stdlib.BoundLogger = structlog.get_logger()

Open = Callable[[Subscription], OpenAccount]


class Subscribers:
    """open: makes an account of a subscription whose endpoint is known."""

    def __init__(self, accounts: Accounts, keyring: KeyRing, open: Open) -> None:
        self._accounts = accounts
        self._keyring = keyring
        self._open = open
        self._opened: dict[UUID, tuple[datetime, OpenAccount]] = {}
        self._stale = True

    def changed(self, payload: str = "") -> None:
        """Heard on the channel of changes: `event_subscriptions:ID`, or empty when something may have been missed."""
        if payload.partition(":")[0] in {"", "event_subscriptions"}:
            self._stale = True

    async def refresh(self, connection: Connection) -> None:
        """Read them anew, if any has changed."""
        if not self._stale:
            return
        # Before reading: what changes meanwhile is read again.
        self._stale = False
        try:
            found = await event_subscriptions.listed(connection, self._keyring)
        except BaseException:
            self._stale = True
            raise
        self._opened = {
            one.id: made
            for one in found
            if one.enabled and (made := self._account(one)) is not None
        }
        self._accounts.subscribed([opened for _, opened in self._opened.values()])

    def _account(self, one: Subscription) -> tuple[datetime, OpenAccount] | None:
        """As it was, unless the subscription has changed: its places are taken."""
        before = self._opened.get(one.id)
        if before is not None and before[0] == one.updated_at:
            return before
        if one.endpoint is None:
            log.error("event_subscription.unreadable", subscription_id=str(one.id))
            return None
        return one.updated_at, self._open(one)
