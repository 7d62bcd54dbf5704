"""The intake: its parts, wired; for the API, and for workers, which send broadcasts and digests through it."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import uuid_utils.compat as uuids

from tidings.bootstrap.foundation import Checkpoint, Foundation
from tidings.domain.channels import Channel
from tidings.domain.provider import Account, Manifest
from tidings.intake.accept import Intake
from tidings.intake.deciding import Decider
from tidings.intake.drafting import Reach
from tidings.metrics import Metrics
from tidings.queue import postgres as queue
from tidings.store.categories import CategoryCache
from tidings.store.database import Pool, borrow
from tidings.store.templates import TemplateCache


def open_intake(
    foundation: Foundation,
    pool: Pool,
    templates: TemplateCache,
    categories: CategoryCache,
    *,
    wake: Callable[[], None],
    metrics: Metrics,
    checkpoint: Checkpoint,
) -> Intake:
    """pool: a hot one. wake: tells the workers that there is work."""
    decider = Decider(
        pool=pool,
        keyring=foundation.keyring,
        templates=templates,
        categories=categories,
        reach=reach_of(foundation.accounts, foundation.catalogue.manifests),
        zone=ZoneInfo(foundation.settings.timezone),
        new_id=uuids.uuid7,
        now=now,
    )
    return Intake(
        pool=pool,
        keyring=foundation.keyring,
        decider=decider,
        wake=wake,
        metrics=metrics,
        largest_batch=foundation.settings.api.commit_batch,
        checkpoint=checkpoint,
    )


def reach_of(accounts: list[Account], manifests: Mapping[str, Manifest]) -> Reach:
    """The channels that the accounts serve, and the addresses they stand in with."""
    defaults: dict[Channel, str] = {}
    for account in accounts:
        field = manifests[account.provider].address_field
        if field and (address := account.text(field)):
            for channel in account.channels:
                defaults.setdefault(channel, address)
    served = {channel for account in accounts for channel in account.channels}
    mail = [account.features for account in accounts if Channel.EMAIL in account.channels]
    return Reach(served, defaults, mail)


def notifying(pool: Pool) -> Callable[[], Awaitable[None]]:
    """What tells the workers. pool: a hot one."""

    async def notify() -> None:
        async with borrow(pool) as connection:
            await queue.wake(connection)

    return notify


def now() -> datetime:
    return datetime.now(UTC)
