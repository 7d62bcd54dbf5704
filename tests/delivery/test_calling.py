"""Calls: what expired in the line is not sent, and whatever happens, nothing stays held for ever."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import uuid_utils.compat as uuids
from prometheus_client import CollectorRegistry

from tidings.delivery.accounts import OpenAccount
from tidings.delivery.calling import Caller, Ready
from tidings.delivery.settling import Held, Try
from tidings.domain import ids
from tidings.domain.channels import Channel
from tidings.domain.lanes import Lane
from tidings.domain.messages import ChatContent, Message
from tidings.domain.outcomes import Accepted, Outcome, Unknown
from tidings.domain.priorities import Priority
from tidings.domain.provider import Account, Manifest
from tidings.domain.reasons import Reason
from tidings.domain.routing import Choice
from tidings.metrics import Metrics
from tidings.queue.postgres import Claimed
from tidings.store.deliveries import Work

pytestmark = pytest.mark.anyio

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ACCOUNT = Account("main", "told", (Channel.CHAT,), False, 10.0)


class Told:
    """A provider that answers what it is told to, when it is told to."""

    account = ACCOUNT

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.go = asyncio.Event()
        self.called = asyncio.Event()

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        self.sent += messages
        self.called.set()
        await self.go.wait()
        return [Accepted() for _ in messages]

    async def close(self) -> None:
        """Nothing to close."""

    async def check(self) -> str:
        return "fine"


class Heard:
    """What a caller said became of deliveries; fails for the first, if it is to."""

    def __init__(self, provider: Told, *, failing: bool = False) -> None:
        self.now = NOW
        self.held_since = 0.0
        self.tries: list[Try] = []
        self.expired: list[Held] = []
        self.unsent: list[Held] = []
        self.late: list[Held] = []
        self.opened = OpenAccount.of(
            ACCOUNT, Manifest("told", "Told", (Channel.CHAT,)), provider, concurrency=1, clock=float
        )
        self.caller = Caller(
            self._finished,
            self.unsent.append,
            self.expired.append,
            Metrics(CollectorRegistry()),
            lambda: self.now,
            late=self.late.append,
            are_held=lambda since: since >= self.held_since,
        )
        self._failing = failing

    def _finished(self, _ready: Ready, tried: Try) -> None:
        if self._failing and not isinstance(tried.outcome, Unknown):
            raise ValueError("what this outcome leads to cannot be computed")
        self.tries.append(tried)

    def ready(self, expires_at: datetime | None = None) -> Ready:
        notification_id = uuids.uuid7()
        delivery_id = ids.delivery_id(notification_id, 1)
        lane = Lane(Priority.MEDIUM, 1)
        claim = Claimed(delivery_id, notification_id, lane, NOW, uuids.uuid7(), 0, None, False)
        work = Work(
            notification_id=notification_id,
            delivery_id=delivery_id,
            channel=Channel.CHAT,
            address="a",
            template_id="t",
            template_version=1,
            category="c",
            routing="all",
            on_unknown="resend",
            user_id=None,
            send_at=None,
            expires_at=expires_at,
            payload={},
        )
        message = Message(delivery_id, notification_id, Channel.CHAT, "a", ChatContent("b"), NOW)
        return Ready(Held(claim, work), self.opened, Choice.ONLY, message)


async def test_what_expires_while_it_waits_for_its_turn_is_not_sent() -> None:
    provider = Told()
    heard = Heard(provider)
    first = heard.ready()
    stale, fresh = heard.ready(NOW + timedelta(1)), heard.ready(NOW + timedelta(3))
    for one in (first, stale, fresh):
        heard.caller.call([one], 0.0)
    await asyncio.wait_for(provider.called.wait(), 5)
    heard.now = NOW + timedelta(2)
    provider.go.set()
    await heard.caller.drain(5)
    assert [message.delivery_id for message in provider.sent] == [
        first.message.delivery_id,
        fresh.message.delivery_id,
    ]
    assert heard.expired == [stale.held]
    assert len(heard.tries) == 2


async def test_an_error_after_the_answer_leaves_it_unknown_and_lets_it_go() -> None:
    provider = Told()
    provider.go.set()
    heard = Heard(provider, failing=True)
    heard.caller.call([heard.ready(), heard.ready()], 0.0)
    await heard.caller.drain(5)
    assert [one.outcome for one in heard.tries] == [
        Unknown(Reason.PROVIDER_FAILED, "ValueError")
    ] * 2


async def test_a_panic_of_a_library_leaves_it_unknown_and_the_worker_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As PyO3's PanicException, which is no Exception."""

    class Panic(BaseException):
        pass

    async def panic(messages: Sequence[Message]) -> Sequence[Outcome]:
        raise Panic

    provider = Told()
    monkeypatch.setattr(provider, "send", panic)
    heard = Heard(provider)
    heard.caller.call([heard.ready(), heard.ready()], 0.0)
    await heard.caller.drain(5)
    assert [one.outcome for one in heard.tries] == [Unknown(Reason.PROVIDER_FAILED, "Panic")] * 2


async def test_what_waits_for_its_turn_at_the_end_was_not_tried() -> None:
    provider = Told()
    heard = Heard(provider)
    calling, waiting = heard.ready(), heard.ready()
    heard.caller.call([calling], 0.0)
    await asyncio.wait_for(provider.called.wait(), 5)
    heard.caller.call([replace(waiting)], 0.0)
    await heard.caller.drain(0)
    assert heard.unsent == [waiting.held]
    assert [one.outcome for one in heard.tries] == [Unknown(Reason.TIMED_OUT)]


async def test_what_others_may_have_taken_over_meanwhile_is_not_sent() -> None:
    """The worker stood still while it waited: its lease may be another's by now."""
    provider = Told()
    heard = Heard(provider)
    first, lapsed, fresh = heard.ready(), heard.ready(), heard.ready()
    heard.caller.call([first], 0.0)
    heard.caller.call([lapsed], 0.0)
    await asyncio.wait_for(provider.called.wait(), 5)
    heard.held_since = 1.0
    heard.caller.call([fresh], heard.held_since)
    provider.go.set()
    await heard.caller.drain(5)
    assert [message.delivery_id for message in provider.sent] == [
        first.message.delivery_id,
        fresh.message.delivery_id,
    ]
    assert heard.unsent == [lapsed.held]
