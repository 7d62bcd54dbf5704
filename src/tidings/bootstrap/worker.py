"""The worker process: its parts, wired."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict

import uuid_utils.compat as uuids
from prometheus_client import CollectorRegistry

from tidings.bootstrap.foundation import Checkpoint, Foundation, check_keyring, pass_by
from tidings.delivery.accounts import Accounts, OpenAccount
from tidings.delivery.preparing import CompiledTemplates
from tidings.delivery.pump import Pump
from tidings.domain.messages import Message
from tidings.domain.priorities import Priority
from tidings.domain.retry import RetryPolicies, RetryPolicy
from tidings.metrics import Metrics
from tidings.providers.catalogue import MANIFESTS, Ports, provider_of
from tidings.providers.guard import Guard, read_allowed
from tidings.providers.guarded import GuardedHttp
from tidings.providers.http import HttpClient
from tidings.settings import Settings
from tidings.store import inbox, outbox
from tidings.store.database import Pool, borrow, open_pool
from tidings.store.keyring import KeyRing
from tidings.worker import Worker


async def open_worker(
    foundation: Foundation,
    registry: CollectorRegistry,
    *,
    reserve: bool = False,
    checkpoint: Checkpoint = pass_by,
) -> Worker:
    """A worker ready to run."""
    settings = foundation.settings
    pool = await open_pool(foundation.dsn, size=settings.database_pool, name="worker", hot=True)
    async with borrow(pool) as connection:
        await check_keyring(connection, foundation.keyring)
    accounts = open_accounts(foundation, pool)
    pump = Pump(
        pool=pool,
        keyring=foundation.keyring,
        accounts=accounts,
        templates=CompiledTemplates(),
        policies=policies_of(settings),
        weights={Priority.of(word): weight for word, weight in settings.worker.weights.items()},
        settings=settings.worker,
        metrics=Metrics(registry),
        new_lease=uuids.uuid7,
        checkpoint=checkpoint,
    )
    return Worker(pump, accounts, pool, foundation.dsn, settings.retention, reserve)


def policies_of(settings: Settings) -> RetryPolicies:
    return RetryPolicies(
        general=RetryPolicy(**settings.retry.general),
        priorities={
            Priority.of(word): changes.given for word, changes in settings.retry.priority.items()
        },
        channels={channel: changes.given for channel, changes in settings.retry.channel.items()},
        accounts={name: account.retry.given for name, account in settings.accounts.items()},
    )


def open_accounts(foundation: Foundation, pool: Pool) -> Accounts:
    """Every account with its provider; none is connected before it is used."""
    ports = Ports(
        http=HttpClient(),
        guarded=GuardedHttp(Guard(read_allowed(foundation.settings.outbound.allow))),
        store_in_app=_store_in_app(pool, foundation.keyring),
        store_outbox=_store_outbox(pool, foundation.keyring),
    )
    return Accounts(
        [
            OpenAccount.of(
                account,
                MANIFESTS[account.provider],
                provider_of(account, ports),
                concurrency=foundation.settings.worker.concurrency,
                clock=time.monotonic,
            )
            for account in foundation.accounts
        ],
        (ports.http, ports.guarded),
    )


def _store_in_app(pool: Pool, keyring: KeyRing) -> Callable[[Sequence[Message]], Awaitable[None]]:
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
            await inbox.add(connection, entries, keyring)

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
                message={"address": message.address, "content": asdict(message.content)},
            )
            for message in messages
        ]
        async with borrow(pool) as connection:
            await outbox.add(connection, kept, keyring)

    return store
