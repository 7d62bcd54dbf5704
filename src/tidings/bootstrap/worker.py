"""The worker process: its parts, wired."""

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from zoneinfo import ZoneInfo

import uuid_utils.compat as uuids
from prometheus_client import CollectorRegistry

from tidings.bootstrap.audience import open_audience_work
from tidings.bootstrap.events import open_event_work
from tidings.bootstrap.feeds import open_teller
from tidings.bootstrap.foundation import Checkpoint, Foundation, check_keyring, pass_by
from tidings.bootstrap.health import breakers_of, watched_of
from tidings.delivery.accounts import Accounts, OpenAccount
from tidings.delivery.health import Health
from tidings.delivery.limiting import Limits, patience_of
from tidings.delivery.linking import Links
from tidings.delivery.marking import Marker
from tidings.delivery.preparing import CompiledTemplates
from tidings.delivery.pump import Pump
from tidings.delivery.wishes import Wishes
from tidings.domain.duty import Duty
from tidings.domain.messages import Message, described
from tidings.domain.priorities import Priority
from tidings.domain.retry import RetryPolicies, RetryPolicy
from tidings.domain.tracking import Tracking
from tidings.inbox.telling import Teller
from tidings.metrics import Metrics
from tidings.providers.catalogue import Ports
from tidings.providers.guard import Guard, read_allowed
from tidings.providers.guarded import GuardedHttp
from tidings.providers.http_client import HttpClient
from tidings.queue.postgres import WAKE_CHANNEL
from tidings.settings import Settings
from tidings.store import account_health, inbox, outbox
from tidings.store.batches import BatchStates
from tidings.store.categories import CategoryCache
from tidings.store.database import Pool, borrow, open_pool
from tidings.store.keyring import KeyRing
from tidings.store.links import seal_link
from tidings.store.listener import CHANGES, Hear
from tidings.store.tracking_tokens import token_of
from tidings.worker import Worker


async def open_worker(
    foundation: Foundation,
    registry: CollectorRegistry,
    *,
    duty: Duty = Duty.ALONE,
    checkpoint: Checkpoint = pass_by,
) -> Worker:
    """A worker ready to run."""
    settings = foundation.settings
    pool = await open_pool(foundation.dsn, size=settings.database_pool, name="worker", hot=True)
    async with borrow(pool) as connection:
        await check_keyring(connection, foundation.keyring)
    metrics = Metrics(registry)
    health = Health(
        pool,
        breakers_of(settings, foundation.accounts, foundation.catalogue.manifests),
        worker=uuids.uuid7().hex,
        metrics=metrics,
        clock=time.monotonic,
        uniform=random.random,
        freed=lambda: pump.wake(),  # noqa: PLW0108 - the pump is made below
    )
    teller = open_teller(pool)
    accounts = open_accounts(foundation, pool, health, teller)
    batches, categories = BatchStates(), CategoryCache()
    event_work = open_event_work(foundation, pool, accounts, metrics, checkpoint)
    pump = Pump(
        pool=pool,
        keyring=foundation.keyring,
        accounts=accounts,
        templates=CompiledTemplates(),
        batches=batches,
        policies=policies_of(settings),
        limits=Limits(
            pool,
            foundation.keyring,
            settings.rate_limits,
            accounts.opened,
            time.monotonic,
            categories,
        ),
        wishes=Wishes(categories, ZoneInfo(settings.timezone), _now),
        subscribers=event_work.subscribers,
        marker=Marker(
            settings.web.public_url,
            Tracking(opens=settings.tracking.opens, clicks=settings.tracking.clicks),
            partial(token_of, keyring=foundation.keyring),
        ),
        links=Links(
            settings.web.public_url,
            partial(seal_link, keyring=foundation.keyring),
            settings.web.link_lifetime,
        ),
        weights={Priority.of(word): weight for word, weight in settings.worker.weights.items()},
        settings=settings.worker,
        metrics=metrics,
        new_lease=uuids.uuid7,
        checkpoint=checkpoint,
        duty=duty,
    )
    audience = open_audience_work(foundation, pool, metrics, checkpoint)
    hears: dict[str, Hear] = {
        CHANGES: _each(batches.changed, categories.heard, audience.changed, event_work.changed),
        account_health.CHANNEL: health.change_heard,
    }
    if duty is not Duty.BACKLOG:
        hears[WAKE_CHANNEL] = pump.wake
    return Worker(
        pump,
        accounts,
        health,
        pool,
        foundation.dsn,
        settings.retention,
        hears,
        metrics,
        (*audience.runs, *event_work.runs, teller.run),
    )


def _each(*hear: Hear) -> Hear:
    def heard(payload: str) -> None:
        for one in hear:
            one(payload)

    return heard


def _now() -> datetime:
    return datetime.now(UTC)


def policies_of(settings: Settings) -> RetryPolicies:
    return RetryPolicies(
        general=RetryPolicy(**settings.retry.general),
        priorities={
            Priority.of(word): changes.given for word, changes in settings.retry.priority.items()
        },
        channels={channel: changes.given for channel, changes in settings.retry.channel.items()},
        accounts={name: account.retry.given for name, account in settings.accounts.items()},
    )


def open_accounts(
    foundation: Foundation,
    pool: Pool,
    health: Health | None = None,
    teller: Teller | None = None,
) -> Accounts:
    """Every account with its provider; none is connected before it is used. teller: is told whose feeds changed."""
    http = HttpClient()
    ports = Ports(
        http=http,
        guarded=GuardedHttp(Guard(read_allowed(foundation.settings.outbound.allow))),
        store_in_app=_store_in_app(pool, foundation.keyring, teller or open_teller(pool)),
        store_outbox=_store_outbox(pool, foundation.keyring),
        trusting=http.trusting,
    )
    manifests = foundation.catalogue.manifests
    return Accounts(
        [
            OpenAccount.of(
                account,
                manifests[account.provider],
                foundation.catalogue.provider_of(account, ports),
                concurrency=foundation.settings.worker.concurrency,
                clock=time.monotonic,
                patience=patience_of(account, foundation.settings.rate_limits),
            )
            for account in foundation.accounts
        ],
        (ports.http, ports.guarded),
        health,
        watched_of(foundation.settings, foundation.accounts, foundation.catalogue.manifests),
        event_places=max(1, foundation.settings.worker.concurrency // 4),
    )


def _store_in_app(
    pool: Pool, keyring: KeyRing, teller: Teller
) -> Callable[[Sequence[Message]], Awaitable[None]]:
    async def store(messages: Sequence[Message]) -> None:
        entries = [
            inbox.Entry(
                id=message.delivery_id,
                user_id=message.address,
                category=message.category,
                content=asdict(message.content),
            )
            for message in messages
        ]
        async with borrow(pool) as connection:
            changed = await inbox.add(connection, entries, keyring)
        teller.tell(changed)

    return store


def _store_outbox(
    pool: Pool, keyring: KeyRing
) -> Callable[[Sequence[Message], str], Awaitable[None]]:
    async def store(messages: Sequence[Message], account: str) -> None:
        kept = [
            outbox.KeptMessage(
                id=message.delivery_id,
                channel=message.channel,
                account=account,
                message={"address": message.address, "content": described(message.content)},
            )
            for message in messages
        ]
        async with borrow(pool) as connection:
            await outbox.add(connection, kept, keyring)

    return store
