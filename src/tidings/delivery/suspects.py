"""What a worker held that died before it called: one of these may be what killed it, by what preparing it does.

Such a delivery is prepared alone, and that is written down before and crossed out after. So what stands there is how many
workers died over this one, and not over what they held beside it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from tidings.domain.explanations import Mark
from tidings.domain.reasons import Reason
from tidings.queue.postgres import Claimed
from tidings.store import deliveries
from tidings.store.database import UNAVAILABLE, Pool, borrow

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_TRIES, _PAUSE = 120, 0.5  # a minute, in which a database is back


def told_apart(claimed: Sequence[Claimed]) -> tuple[Sequence[Claimed], Sequence[Claimed]]:
    """Those that are prepared together, and those that are prepared alone."""
    if not any(one.rescued for one in claimed):
        return claimed, ()
    suspects = [one for one in claimed if one.rescued and one.started_at is None]
    return [one for one in claimed if one not in suspects], suspects


class Suspects:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def take(self, claim: Claimed, now: datetime) -> Claimed:
        """Before it is prepared; with the number of workers that died over it."""
        mark = str(Mark(Reason.PREPARED_ALONE, now))
        async with borrow(self._pool) as connection:
            before = await deliveries.mark(
                connection, claim.notification_id, claim.delivery_id, mark
            )
        if before:
            log.warning(
                "delivery.suspected", delivery_id=str(claim.delivery_id), workers_lost=before
            )
        return replace(claim, deaths=before)

    async def clear(self, claim: Claimed) -> None:
        """It was prepared, and the worker lives. Over a restart of the database, too: what stays would be held against it."""
        for _ in range(_TRIES):
            try:
                async with borrow(self._pool) as connection:
                    await deliveries.unmark(
                        connection, claim.notification_id, claim.delivery_id, Reason.PREPARED_ALONE
                    )
            except UNAVAILABLE as error:
                log.warning("database.unavailable", doing="suspects", error=type(error).__name__)
                await asyncio.sleep(_PAUSE)
            else:
                return
