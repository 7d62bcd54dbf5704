"""Calls to providers: each in a task of its own, many at a time, none beyond its time-out."""

import asyncio
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from tidings.delivery.accounts import OpenAccount
from tidings.delivery.settling import Held, Try
from tidings.domain.messages import Message
from tidings.domain.outcomes import OUTCOME_WORDS, Outcome, Unknown
from tidings.domain.priorities import Priority
from tidings.domain.reasons import Reason
from tidings.domain.routing import Choice
from tidings.metrics import Metrics

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# A provider keeps its own time-out; this much later it is cut off all the same.
_PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Ready:
    """A delivery that is ready to be sent, and by whom."""

    held: Held
    chosen: OpenAccount
    choice: Choice
    message: Message


Finished = Callable[[Ready, Try], None]


class Caller:
    """Starts calls and hands each outcome to `finished`, and what was never called to `unsent`."""

    def __init__(
        self,
        finished: Finished,
        unsent: Callable[[Held], None],
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        self._finished = finished
        self._unsent = unsent
        self._metrics = metrics
        self._now = now
        self._tasks: set[asyncio.Task[None]] = set()
        self._deadlines: dict[asyncio.Task[None], float] = {}

    def call(self, batch: Sequence[Ready]) -> None:
        """Send a batch of one account (a batch of one, with most providers) in the background."""
        task = asyncio.create_task(self._call(batch[0].chosen, batch))
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def cut_overdue(self) -> None:
        """Cancel the calls whose provider did not keep its time-out; they end as unknown. One look at
        all of them now and then costs less than a timer for each."""
        now = asyncio.get_running_loop().time()
        for task, deadline in list(self._deadlines.items()):
            if deadline < now:
                task.cancel()

    async def drain(self, seconds: float) -> None:
        """Wait for the calls under way, then cut off what is left."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._deadlines.pop(task, None)

    async def _call(self, chosen: OpenAccount, batch: Sequence[Ready]) -> None:
        urgent = any(one.held.claim.priority is Priority.CRITICAL for one in batch)
        try:
            await chosen.places.take_turn(urgent=urgent)
        except asyncio.CancelledError:
            # Still waiting for its turn when the worker was stopped: there was no attempt.
            for one in batch:
                self._unsent(one.held)
            return
        started = self._now()
        try:
            outcomes = await self._send(chosen, batch)
        finally:
            chosen.places.end_turn()
        self._conclude(batch, outcomes, started)

    async def _send(self, chosen: OpenAccount, batch: Sequence[Ready]) -> Sequence[Outcome]:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        began = loop.time()
        self._deadlines[task] = began + chosen.account.timeout + _PATIENCE
        try:
            outcomes = await chosen.provider.send([one.message for one in batch])
            for outcome in outcomes:
                OUTCOME_WORDS[
                    type(outcome)
                ]  # what is no outcome fails here, where it is made unknown
            if len(outcomes) != len(batch):
                raise ValueError(f"{len(outcomes)} outcomes for {len(batch)} messages")  # noqa: TRY301
        except asyncio.CancelledError:
            outcomes = [Unknown(Reason.TIMED_OUT)] * len(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the call may have been made
            # The frames only: the text of an error may hold an address or what was to be sent.
            log.error(  # noqa: TRY400
                "provider.failed",
                account=chosen.account.name,
                error=type(error).__name__,
                frames="".join(traceback.format_tb(error.__traceback__)),
            )
            outcomes = [Unknown(Reason.PROVIDER_FAILED, type(error).__name__)] * len(batch)
        finally:
            self._deadlines.pop(task, None)
        self._metrics.attempt_seconds.labels(chosen.manifest.name).observe(loop.time() - began)
        return outcomes

    def _conclude(
        self, batch: Sequence[Ready], outcomes: Sequence[Outcome], started: datetime
    ) -> None:
        finished = self._now()
        for ready, outcome in zip(batch, outcomes, strict=True):
            word = OUTCOME_WORDS[type(outcome)]
            message, chosen = ready.message, ready.chosen
            self._metrics.attempts.labels(message.channel, chosen.manifest.name, word).inc()
            tried = Try(
                number=message.attempt,
                account=chosen.account.name,
                choice=ready.choice,
                outcome=outcome,
                word=word,
                started_at=started,
                finished_at=finished,
            )
            self._finished(ready, tried)
