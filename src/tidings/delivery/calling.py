"""Calls to providers: each in a task of its own, many at a time, none beyond its time-out."""

import asyncio
import contextlib
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from tidings.delivery.settling import Held, Try
from tidings.domain.channels import Channel
from tidings.domain.messages import Message
from tidings.domain.outcomes import OUTCOME_WORDS, Outcome, Unknown
from tidings.domain.provider import Account, Manifest, Provider
from tidings.domain.reasons import Reason
from tidings.metrics import Metrics

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# A provider keeps its own time-out; this much later it is cut off all the same.
_PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class OpenAccount:
    """An account in use: what it is, the provider that serves it, and its places for calls."""

    account: Account
    manifest: Manifest
    provider: Provider
    slots: contextlib.AbstractAsyncContextManager[object]

    @classmethod
    def of(cls, account: Account, manifest: Manifest, provider: Provider) -> "OpenAccount":
        field = manifest.concurrency_field
        slots: contextlib.AbstractAsyncContextManager[object] = contextlib.nullcontext()
        if field is not None:
            slots = asyncio.Semaphore(int(account.number(field)))
        return cls(account, manifest, provider, slots)


class Closable(Protocol):
    async def close(self) -> None: ...


class Accounts:
    """Which account takes a message: the first that serves its channel."""

    def __init__(self, opened: Sequence[OpenAccount], clients: Sequence[Closable] = ()) -> None:
        """clients: what the providers share, closed after them."""
        self.opened = opened
        self._clients = clients
        self._by_channel: dict[Channel, OpenAccount] = {}
        for one in opened:
            for channel in one.account.channels:
                self._by_channel.setdefault(channel, one)

    def choose(self, channel: Channel) -> OpenAccount | None:
        return self._by_channel.get(channel)

    async def close(self) -> None:
        for one in self.opened:
            await one.provider.close()
        for client in self._clients:
            await client.close()


Finished = Callable[[Held, OpenAccount, Try], None]


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

    def call(self, chosen: OpenAccount, batch: Sequence[tuple[Held, Message]]) -> None:
        """Send a batch (of one, with most providers) in the background."""
        task = asyncio.create_task(self._call(chosen, batch))
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

    async def _call(self, chosen: OpenAccount, batch: Sequence[tuple[Held, Message]]) -> None:
        try:
            async with chosen.slots:
                started = self._now()
                self._start_clock(chosen.account.timeout)
                self._conclude(chosen, batch, await self._send(chosen, batch), started)
        except asyncio.CancelledError:
            # Still waiting for its turn when the worker was stopped: there was no attempt.
            for held, _ in batch:
                self._unsent(held)

    def _start_clock(self, timeout: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._deadlines[task] = asyncio.get_running_loop().time() + timeout + _PATIENCE

    async def _send(
        self, chosen: OpenAccount, batch: Sequence[tuple[Held, Message]]
    ) -> Sequence[Outcome]:
        began = asyncio.get_running_loop().time()
        try:
            outcomes = await chosen.provider.send([message for _, message in batch])
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
        seconds = asyncio.get_running_loop().time() - began
        self._metrics.attempt_seconds.labels(chosen.manifest.name).observe(seconds)
        return outcomes

    def _conclude(
        self,
        chosen: OpenAccount,
        batch: Sequence[tuple[Held, Message]],
        outcomes: Sequence[Outcome],
        started: datetime,
    ) -> None:
        finished = self._now()
        for (held, message), outcome in zip(batch, outcomes, strict=True):
            word = OUTCOME_WORDS[type(outcome)]
            self._metrics.attempts.labels(message.channel, chosen.manifest.name, word).inc()
            tried = Try(message.attempt, chosen.account.name, outcome, word, started, finished)
            self._finished(held, chosen, tried)
