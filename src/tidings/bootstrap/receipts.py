"""Callbacks and receipts: their parts, wired."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import uuid_utils.compat as uuids

from tidings.bootstrap.foundation import Checkpoint, Foundation
from tidings.delivery.fallbacks import follow_fallbacks
from tidings.metrics import Metrics
from tidings.people.choosing import unsubscribe
from tidings.providers.callbacks import CallbackPorts
from tidings.providers.http_client import HttpClient
from tidings.store.database import Connection, Pool
from tidings.store.keyring import KeyRing
from tidings.store.landings import Moved
from tidings.store.links import Link
from tidings.store.receipts import Known
from tidings.tracking.acting import Actions, Unsubscribe
from tidings.tracking.judging import Judge
from tidings.tracking.reading import Reader
from tidings.tracking.receiving import Receiver, Source
from tidings.tracking.visits import Visits


@dataclass(frozen=True, slots=True)
class Receipts:
    receiver: Receiver
    reader: Reader
    http: HttpClient
    judge: Judge
    visits: Visits


def open_receipts(
    foundation: Foundation,
    pool: Pool,
    metrics: Metrics,
    *,
    wake: Callable[[], None],
    checkpoint: Checkpoint,
) -> Receipts:
    """pool: a hot one. wake: tells the workers that there is work."""
    http = HttpClient()
    ports = CallbackPorts(http)
    sources = [
        Source(account.name, account.provider, callbacks)
        for account in foundation.accounts
        if (callbacks := foundation.catalogue.callbacks_of(account, ports)) is not None
    ]
    actions = Actions(
        foundation.keyring, foundation.settings.receipts, _unsubscribing(foundation.keyring)
    )
    reader = Reader(
        pool=pool,
        keyring=foundation.keyring,
        sources={one.account: one.callbacks for one in sources},
        act=actions,
        follow=_follow,
        metrics=metrics,
        moved=wake,
        checkpoint=checkpoint,
    )
    receiver = Receiver(
        pool=pool,
        keyring=foundation.keyring,
        sources=sources,
        http=http,
        metrics=metrics,
        new_id=uuids.uuid7,
        wake=reader.wake,
    )
    judge = Judge(
        pool=pool,
        keyring=foundation.keyring,
        settings=foundation.settings.tracking,
        follow=_follow,
        metrics=metrics,
        moved=wake,
        now=_now,
    )
    visits = Visits(
        pool=pool,
        keyring=foundation.keyring,
        lifetime=foundation.settings.tracking.link_lifetime,
        now=_now,
        new_id=uuids.uuid7,
        wake=judge.wake,
    )
    return Receipts(receiver, reader, http, judge, visits)


def _now() -> datetime:
    return datetime.now(UTC)


async def _follow(connection: Connection, moved: Sequence[Moved]) -> None:
    ended = [(one.notification_id, one.status) for one in moved if one.routing == "fallback"]
    if ended:
        await follow_fallbacks(connection, ended)


def _unsubscribing(keyring: KeyRing) -> Unsubscribe:
    async def turn_off(connection: Connection, one: Known) -> None:
        link = Link(one.user_id, one.channel, one.address, one.category, datetime.now(UTC))
        await unsubscribe(connection, link, keyring)

    return turn_off
