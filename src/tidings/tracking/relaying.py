"""Telling events: what was recorded becomes deliveries to those who subscribe to it, in one transaction; so a crash
loses none and tells none twice."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from tidings.domain import ids
from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.events import CATEGORY, Event, account_of
from tidings.domain.lanes import EVENTS
from tidings.metrics import Metrics
from tidings.store import acceptance, event_subscriptions, events
from tidings.store.acceptance import NewDelivery
from tidings.store.database import Connection, Pool, borrow
from tidings.store.event_subscriptions import Subscription
from tidings.store.events import Untold
from tidings.store.keyring import KeyRing
from tidings.store.notifications import NotificationRow
from tidings.store.rounds import keep_at

_AT_ONCE = 500
_LOOK_EVERY = 0.25  # seconds
_LOOK_SELDOM = 5.0  # where nobody subscribes: for what was recorded before
_NO_KEY = UUID(int=0)  # no API key asked for what tells events


@dataclass(frozen=True, slots=True)
class Telling:
    """account: of the subscription that it is for."""

    row: NotificationRow
    delivery: NewDelivery
    account: str


class Relay:
    """Any number of processes may run it. wake: tells the workers that there is work."""

    def __init__(
        self,
        *,
        pool: Pool,
        keyring: KeyRing,
        metrics: Metrics,
        new_id: Callable[[], UUID],
        wake: Callable[[], None],
        checkpoint: Callable[[str], None],
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._metrics = metrics
        self._new_id = new_id
        self._wake = wake
        self._checkpoint = checkpoint
        self._changed = asyncio.Event()

    def changed(self, payload: str = "") -> None:
        """Heard on the channel of changes: `event_subscriptions:ID`, or empty when something may have been missed."""
        if payload.partition(":")[0] in {"", "event_subscriptions"}:
            self._changed.set()

    async def run(self) -> None:
        """Work until cancelled."""
        await keep_at("events", self._round, self._changed)

    async def _round(self) -> float:
        """Until nothing is left; after how many seconds to look again."""
        while await self.step():
            continue
        async with borrow(self._pool) as connection:
            wanted = await event_subscriptions.any_enabled(connection)
        return _LOOK_EVERY if wanted else _LOOK_SELDOM

    async def step(self) -> bool:
        """Tell some; False when there were none."""
        async with borrow(self._pool) as connection, connection.transaction():
            taken, found = await events.take(connection, _AT_ONCE, self._keyring)
            # Behind the events: whoever led to one of them being recorded is seen here.
            subscriptions = (
                await event_subscriptions.listed(connection, self._keyring) if found else []
            )
            telling = [made for one in found for made in self._telling(one, subscriptions)]
            if telling:
                await store(connection, telling, self._keyring)
            self._checkpoint("events.telling")
        self._checkpoint("events.told")
        for one in telling:
            self._metrics.events.labels(one.row.template_id).inc()
        if telling:
            self._wake()
        return taken > 0

    def _telling(self, one: Untold, subscriptions: Sequence[Subscription]) -> list[Telling]:
        """One for each subscription that wants it; the event has one id for all of them."""
        wanting = [each for each in subscriptions if each.enabled and one.facts in each.wants]
        event = Event(self._new_id(), one.facts.type, one.at, one.data) if wanting else None
        return [
            telling(event, each.id, each.endpoint.url, one.user_id, self._new_id())
            for each in wanting
            if event is not None and each.endpoint is not None
        ]


async def store(connection: Connection, telling: Sequence[Telling], keyring: KeyRing) -> None:
    """Within a transaction. Each goes to its own subscription alone."""
    rows, deliveries = [one.row for one in telling], [one.delivery for one in telling]
    await acceptance.store(connection, rows, deliveries, keyring)
    await events.pin(connection, {one.delivery.id: one.account for one in telling})


def telling(
    event: Event, subscription_id: UUID, url: str, user_id: str | None, notification_id: UUID
) -> Telling:
    """The notification that tells an event to one subscription. user_id: whom the event is of, with whom it is
    forgotten."""
    account = account_of(subscription_id)
    row = NotificationRow(
        id=notification_id,
        api_key_id=_NO_KEY,
        template_id=event.type,
        template_version=0,
        category=CATEGORY,
        priority=EVENTS.priority,
        routing="all",
        on_unknown="resend",
        user_id=user_id,
        correlation_id=account,
        collapse_key=None,
        batch_id=None,
        send_at=None,
        expires_at=None,
        payload={
            "data": event.stored(),
            "recipient": {"user_id": user_id, "locale": None, "timezone": None},
            "metadata": {},
        },
    )
    delivery = NewDelivery(
        notification_id=row.id,
        id=ids.delivery_id(row.id, 1),
        channel=Channel.WEBHOOK,
        address=url,
        status=DeliveryStatus.PENDING,
        reason=None,
        queued=True,
        lane=EVENTS,
        due_at=None,
    )
    return Telling(row, delivery, account)
