"""Calls to providers: each in a task of its own, many at a time, none beyond its time-out."""

import asyncio
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from tidings.delivery import limiting
from tidings.delivery.accounts import OpenAccount
from tidings.delivery.health import Health, Permit
from tidings.delivery.settling import Held, Try
from tidings.domain.messages import Message
from tidings.domain.outcomes import OUTCOME_WORDS, Outcome, Unknown
from tidings.domain.priorities import Priority
from tidings.domain.reasons import Reason
from tidings.domain.records import record
from tidings.domain.routing import Choice
from tidings.metrics import Metrics

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# A provider keeps its own time-out; this much later it is cut off all the same.
_PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave to make one call to an account that is watched; to be used or given back."""

    health: Health
    permit: Permit

    def started(self) -> None:
        self.health.started(self.permit.account, self.permit)

    def ended(self, outcome: Outcome) -> None:
        self.health.ended(self.permit, outcome)

    def give_back(self) -> None:
        self.health.give_back(self.permit)


@record
class Ready:
    """A delivery that is ready to be sent, and by whom. targets: where its tracked links lead."""

    held: Held
    chosen: OpenAccount
    choice: Choice
    message: Message
    leave: Leave | None = None
    permit: limiting.Permit | None = None
    targets: Sequence[str] = field(default=(), repr=False)


Finished = Callable[[Ready, Try], None]


class Caller:
    """Starts calls and hands each outcome to `finished`, what was never called to `unsent`, what expired while it
    waited for its turn to `expired`, and what waited for longer than its permit of the rate limits holds to
    `late`. are_held: whether leases of that moment, by a clock that nobody sets, are surely held now."""

    def __init__(
        self,
        finished: Finished,
        unsent: Callable[[Held], None],
        expired: Callable[[Held], None],
        metrics: Metrics,
        now: Callable[[], datetime],
        *,
        late: Callable[[Held], None],
        are_held: Callable[[float], bool],
    ) -> None:
        self._finished = finished
        self._late = late
        self._are_held = are_held
        self._unsent = unsent
        self._expired = expired
        self._metrics = metrics
        self._now = now
        self._tasks: set[asyncio.Task[None]] = set()
        self._deadlines: dict[asyncio.Task[None], float] = {}

    def call(self, batch: Sequence[Ready], since: float) -> None:
        """Send a batch of one account (a batch of one, with most providers) in the background. since: when it was
        stored that the calls begin, or a little before."""
        task = asyncio.create_task(self._call(batch[0].chosen, batch, since))
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

    async def _call(self, chosen: OpenAccount, batch: Sequence[Ready], since: float) -> None:
        urgent = any(one.held.claim.priority is Priority.CRITICAL for one in batch)
        try:
            await chosen.places.take_turn(urgent=urgent)
        except asyncio.CancelledError:
            # Still waiting for its turn when the worker was stopped: there was no attempt.
            self._leave(batch)
            return
        try:
            if not self._are_held(since):
                self._leave(batch)
            elif batch := self._in_time(batch):
                started = self._now()
                outcomes = await self._send(chosen, batch)
                self._conclude(batch, outcomes, started)
        finally:
            chosen.places.end_turn()

    def _leave(self, batch: Sequence[Ready]) -> None:
        for one in batch:
            give_back(one)
            self._unsent(one.held)

    def _in_time(self, batch: Sequence[Ready]) -> list[Ready]:
        """Without what expired while it waited: after a jam nothing stale leaves, nor what a limit has forgotten."""
        now = self._now()
        in_time = []
        for one in batch:
            if (expires_at := one.held.work.expires_at) is not None and expires_at <= now:
                give_back(one)
                self._expired(one.held)
            elif one.permit is not None and one.permit.is_late():
                give_back(one)
                self._late(one.held)
            else:
                in_time.append(one)
        return in_time

    async def _send(self, chosen: OpenAccount, batch: Sequence[Ready]) -> Sequence[Outcome]:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        began = loop.time()
        self._deadlines[task] = began + chosen.account.timeout + _PATIENCE
        leaves = [one.leave for one in batch]
        try:
            for leave in leaves:
                if leave is not None:
                    leave.started()
            outcomes = await chosen.provider.send([one.message for one in batch])
            for outcome in outcomes:
                OUTCOME_WORDS[
                    type(outcome)
                ]  # what is no outcome fails here, where it is made unknown
            if len(outcomes) != len(batch):
                raise ValueError(f"{len(outcomes)} outcomes for {len(batch)} messages")  # noqa: TRY301
        except asyncio.CancelledError:
            outcomes = [Unknown(Reason.TIMED_OUT)] * len(batch)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, the call may have been made
            # A panic of a library in Rust is no Exception (PyO3's PanicException).
            _log_failure(chosen, error)
            outcomes = [Unknown(Reason.PROVIDER_FAILED, type(error).__name__)] * len(batch)
        finally:
            self._deadlines.pop(task, None)
        for leave, outcome in zip(leaves, outcomes, strict=True):
            if leave is not None:
                self._tell(chosen, leave, outcome)
        self._metrics.attempt_seconds.labels(chosen.manifest.name).observe(loop.time() - began)
        return outcomes

    def _tell(self, chosen: OpenAccount, leave: Leave, outcome: Outcome) -> None:
        """The account's health is not worth the outcome, which is known only here."""
        try:
            leave.ended(outcome)
        except Exception as error:  # noqa: BLE001 - or the delivery would be held for ever
            _log_failure(chosen, error)

    def _conclude(
        self, batch: Sequence[Ready], outcomes: Sequence[Outcome], started: datetime
    ) -> None:
        finished = self._now()
        for ready, outcome in zip(batch, outcomes, strict=True):
            try:
                self._finished(ready, self._tried(ready, outcome, started, finished))
            except Exception as error:  # noqa: BLE001 - or the delivery would be held for ever
                _log_failure(ready.chosen, error)
                outcome = Unknown(Reason.PROVIDER_FAILED, type(error).__name__)  # noqa: PLW2901
                self._finished(ready, self._tried(ready, outcome, started, finished))

    def _tried(self, ready: Ready, outcome: Outcome, started: datetime, finished: datetime) -> Try:
        word = OUTCOME_WORDS[type(outcome)]
        message, chosen = ready.message, ready.chosen
        self._metrics.attempts.labels(message.channel, chosen.manifest.name, word).inc()
        return Try(
            number=message.attempt,
            account=chosen.account.name,
            choice=ready.choice,
            outcome=outcome,
            word=word,
            started_at=started,
            finished_at=finished,
        )


def in_batches(started: Sequence[Ready]) -> list[list[Ready]]:
    """Together what one call can take; what is critical does not stand behind what is not."""
    batches: list[list[Ready]] = []
    open_ones: dict[tuple[str, bool], list[Ready]] = {}
    for one in started:
        size = one.chosen.manifest.batch_size
        key = one.chosen.account.name, one.held.claim.priority is Priority.CRITICAL
        batch = open_ones.get(key)
        if size == 1 or batch is None or len(batch) >= size:
            batch = open_ones[key] = []
            batches.append(batch)
        batch.append(one)
    return batches


def give_back(one: Ready) -> None:
    """What was taken for its call, which is not made."""
    if one.leave is not None:
        one.leave.give_back()
    if one.permit is not None:
        one.permit.give_back()


def _log_failure(chosen: OpenAccount, error: BaseException) -> None:
    """The frames only: the text of an error may hold an address or what was to be sent."""
    log.error(
        "provider.failed",
        account=chosen.account.name,
        error=type(error).__name__,
        frames="".join(traceback.format_tb(error.__traceback__)),
    )
