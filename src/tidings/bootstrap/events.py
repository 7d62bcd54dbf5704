"""Events out: their parts, wired."""

import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

import uuid_utils.compat as uuids

from tidings.bootstrap.foundation import Checkpoint, Foundation
from tidings.bootstrap.intake import notifying, now
from tidings.delivery.accounts import Accounts, OpenAccount
from tidings.delivery.places import Places
from tidings.delivery.subscribers import Subscribers
from tidings.domain.channels import Channel
from tidings.domain.events import account_of, in_use
from tidings.domain.provider import Account
from tidings.metrics import Metrics
from tidings.providers.guard import Guard, read_allowed
from tidings.providers.guarded import GuardedHttp
from tidings.providers.http import Http
from tidings.providers.webhook.manifest import MANIFEST
from tidings.providers.webhook.send import WebhookProvider
from tidings.queue.wakeup import Waker
from tidings.store.database import Pool
from tidings.store.event_subscriptions import Subscription
from tidings.tracking.relaying import Relay

_CALLS = 16
"""Calls to one subscription at a time, of one worker process."""
_TIMEOUT = 15.0  # seconds; Standard Webhooks asks for 15 to 30
_DISABLE_AFTER = 120.0  # hours of nothing but failures


@dataclass(frozen=True, slots=True)
class EventWork:
    """What workers do to tell events. runs: each works until it is cancelled. changed: hears what changed in the
    database."""

    subscribers: Subscribers
    runs: Sequence[Callable[[], Coroutine[None, None, None]]]
    changed: Callable[[str], None]


def open_event_work(
    foundation: Foundation,
    pool: Pool,
    accounts: Accounts,
    metrics: Metrics,
    checkpoint: Checkpoint,
) -> EventWork:
    """pool: a hot one."""
    waker = Waker(notifying(pool))
    relay = Relay(
        pool=pool,
        keyring=foundation.keyring,
        metrics=metrics,
        new_id=uuids.uuid7,
        wake=waker.wake,
        checkpoint=checkpoint,
    )
    http = GuardedHttp(Guard(read_allowed(foundation.settings.outbound.allow)))
    accounts.keep(http)
    subscribers = Subscribers(accounts, foundation.keyring, lambda one: _open(one, http), now)

    def changed(payload: str) -> None:
        relay.changed(payload)
        subscribers.changed(payload)

    return EventWork(subscribers, (waker.run, relay.run), changed)


def _open(one: Subscription, http: Http) -> OpenAccount:
    """An account of the webhook provider that is in no settings. endpoint must be known."""
    assert one.endpoint is not None
    account = Account(
        name=account_of(one.id),
        provider=MANIFEST.name,
        channels=(Channel.WEBHOOK,),
        confirms_delivery=True,
        timeout=_TIMEOUT,
        values={
            "secret": tuple(each.text for each in in_use(one.endpoint.secrets, now())),
            "headers": tuple(f"{name}: {value}" for name, value in one.endpoint.headers.items()),
            "disable_after": _DISABLE_AFTER,
        },
    )
    places = Places(_CALLS, time.monotonic)
    return OpenAccount(account, MANIFEST, WebhookProvider(account, http), places)
