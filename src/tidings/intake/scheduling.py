"""Runs of recurring schedules: each makes one notification, through the same door as any other."""

import asyncio
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import structlog
from pydantic import ValidationError

from tidings.domain.schedules import due
from tidings.intake.drafting import Receipt, Result, Submission
from tidings.intake.request import SendRequest
from tidings.store import schedules
from tidings.store.database import UNAVAILABLE, Pool, borrow
from tidings.store.keyring import KeyRing
from tidings.store.rounds import keep_at
from tidings.store.schedules import Planned, Ran

log: structlog.stdlib.BoundLogger = structlog.get_logger()

UNREADABLE = "its request cannot be read with these keys"
_AT_ONCE = 100
_LONGEST_WAIT = 30.0  # seconds: a change that another process made is seen by then
_PAUSE = 1.0
_GRACE = 60.0  # seconds up to which a run is late, not missed


class Door(Protocol):
    async def accept(self, submission: Submission) -> Result: ...


class Scheduler:
    """Any number of processes may run it. A run's idempotency key is its schedule and its time, so it makes one
    notification, whoever makes it, and also when a process dies between that and saying so."""

    def __init__(
        self,
        pool: Pool,
        keyring: KeyRing,
        intake: Door,
        now: Callable[[], datetime],
        changed: asyncio.Event,
    ) -> None:
        """changed: set when a schedule may come due sooner than was known."""
        self._pool = pool
        self._keyring = keyring
        self._intake = intake
        self._now = now
        self._changed = changed

    async def run(self) -> None:
        """Work until cancelled."""
        await keep_at("schedules", self.run_due, self._changed)

    async def run_due(self) -> float:
        """Make the runs that are due; seconds until it is worth to look again."""
        now = self._now()
        async with borrow(self._pool) as connection:
            planned = await schedules.due(connection, now, _AT_ONCE, self._keyring)
        done = [await self._run_one(one, now) for one in planned]
        if not all(done):
            return _PAUSE
        if len(planned) == _AT_ONCE:
            return 0.0
        soonest = await schedules.next_due(self._pool)
        if soonest is None:
            return _LONGEST_WAIT
        return min(_LONGEST_WAIT, max(0.0, (soonest - self._now()).total_seconds()))

    async def _run_one(self, planned: Planned, now: datetime) -> bool:
        """False after an error that concerns this schedule alone: it stays due, and the others go on."""
        try:
            ran = await self._runs(planned, now)
            async with borrow(self._pool) as connection:
                await schedules.record(connection, ran)
        except UNAVAILABLE:
            raise
        except Exception as error:  # noqa: BLE001 - the runs of the others are to be made
            log.error(  # noqa: TRY400 - frames only: the text of an error may hold content
                "schedule.failed",
                schedule_id=str(planned.schedule.id),
                error=type(error).__name__,
                frames="".join(traceback.format_tb(error.__traceback__)),
            )
            return False
        return True

    async def _runs(self, planned: Planned, now: datetime) -> Ran:
        result = due(planned.schedule.recurrence, planned.next_run, now, _GRACE)
        if planned.revoked:
            log.warning("schedule.paused", schedule_id=str(planned.schedule.id))
            return Ran(planned, result.next, (), (), "its API key was revoked", pause=True)
        if planned.schedule.request is None:
            log.error("schedule.unreadable", schedule_id=str(planned.schedule.id))
            return Ran(planned, result.next, (), (), UNREADABLE)
        made: list[UUID] = []
        problem: str | None = None
        for run in result.runs:
            accepted = await self._send(planned, planned.schedule.request, run)
            if isinstance(accepted, UUID):
                made.append(accepted)
            else:
                problem = accepted
        return Ran(planned, result.next, result.runs, made, problem)

    async def _send(
        self, planned: Planned, repeated: Mapping[str, Any], run: datetime
    ) -> UUID | str:
        """The notification of this run, or what is wrong."""
        schedule = planned.schedule
        key = f"schedule:{schedule.id}:{run.isoformat()}"
        try:
            request = SendRequest.model_validate({**repeated, "idempotency_key": key})
        except ValidationError:
            return "the request is not valid any more"
        result = await self._intake.accept(
            Submission(schedule.api_key_id, planned.app, request, key.encode())
        )
        if isinstance(result, Receipt):
            return result.notification_id
        log.warning("schedule.refused", schedule_id=str(schedule.id), code=str(result.code))
        return f"{result.code}: {result.detail}"
