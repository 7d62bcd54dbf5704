"""What workers do beside delivering: broadcasts to audiences, and digests, wired."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

from tidings.bootstrap.foundation import Checkpoint, Foundation
from tidings.bootstrap.intake import notifying, now, open_intake
from tidings.intake.broadcasting import Broadcaster
from tidings.intake.digesting import Digester
from tidings.metrics import Metrics
from tidings.queue.wakeup import Waker
from tidings.store.categories import CategoryCache
from tidings.store.database import Pool
from tidings.store.listener import Hear
from tidings.store.templates import TemplateCache


@dataclass(frozen=True, slots=True)
class AudienceWork:
    """runs: each works until it is cancelled. changed: hears what changed in the database."""

    runs: Sequence[Callable[[], Coroutine[None, None, None]]]
    changed: Hear


def open_audience_work(
    foundation: Foundation, pool: Pool, metrics: Metrics, checkpoint: Checkpoint
) -> AudienceWork:
    """pool: a hot one."""
    templates, categories = TemplateCache(pool), CategoryCache()
    waker = Waker(notifying(pool))
    intake = open_intake(
        foundation,
        pool,
        templates,
        categories,
        wake=waker.wake,
        metrics=metrics,
        checkpoint=checkpoint,
    )
    wanted = asyncio.Event()
    broadcaster = Broadcaster(pool, foundation.keyring, intake, now, wanted, checkpoint)

    def changed(payload: str) -> None:
        table, _, key = payload.partition(":")
        if table in {"", "templates"}:
            templates.forget(key)
        if table in {"", "categories"}:
            categories.forget()
        # A batch may have been resumed, or cancelled.
        if table in {"", "broadcasts", "batches"}:
            wanted.set()

    digester = Digester(pool, foundation.keyring, intake, checkpoint)
    return AudienceWork((waker.run, broadcaster.run, digester.run), changed)
