"""Subscriptions to events, as the engine sees them: each is an account of its own, so that one that is slow or fails
holds up neither the others nor what people wait for."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import structlog

from tidings.delivery.accounts import Accounts, OpenAccount
from tidings.domain.events import in_use
from tidings.store import event_subscriptions
from tidings.store.database import Connection
from tidings.store.event_subscriptions import Subscription
from tidings.store.keyring import KeyRing

log: structlog.stdlib.BoundLogger = structlog.get_logger()

Open = Callable[[Subscription], OpenAccount]
_State = tuple[datetime, tuple[datetime | None, ...]]
"""When it was changed last, and until when each of its secrets is used."""


class Subscribers:
    """open: makes an account of a subscription whose endpoint is known, with the secrets in use at that moment."""

    def __init__(
        self,
        accounts: Accounts,
        keyring: KeyRing,
        open: Open,
        now: Callable[[], datetime],
    ) -> None:
        self._accounts = accounts
        self._keyring = keyring
        self._open = open
        self._now = now
        self._opened: dict[UUID, tuple[_State, OpenAccount]] = {}
        self._stale = True
        self._next_end: datetime | None = None  # of a secret that was replaced

    def changed(self, payload: str = "") -> None:
        """Heard on the channel of changes: `event_subscriptions:ID`, or empty when something may have been missed."""
        if payload.partition(":")[0] in {"", "event_subscriptions"}:
            self._stale = True

    async def refresh(self, connection: Connection) -> None:
        """Read them anew, if any has changed."""
        if not self._stale and not self._is_over():
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
        ends = [end for (_, listed), _ in self._opened.values() for end in listed if end]
        self._next_end = min(ends, default=None)
        self._accounts.subscribed([opened for _, opened in self._opened.values()])

    def _is_over(self) -> bool:
        return self._next_end is not None and self._next_end <= self._now()

    def _account(self, one: Subscription) -> tuple[_State, OpenAccount] | None:
        """As it was, unless the subscription has changed: its places are taken."""
        if one.endpoint is None:
            log.error("event_subscription.unreadable", subscription_id=str(one.id))
            return None
        secrets = in_use(one.endpoint.secrets, self._now())
        state = one.updated_at, tuple(each.until for each in secrets)
        before = self._opened.get(one.id)
        if before is not None and before[0] == state:
            return before
        return state, self._open(one)
