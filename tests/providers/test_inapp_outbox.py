"""The providers that keep messages in Tidings' own database."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest

from tidings.domain.channels import Channel
from tidings.domain.messages import InAppContent, Message
from tidings.domain.outcomes import Accepted, Unknown
from tidings.domain.provider import Account
from tidings.domain.reasons import Reason
from tidings.providers.inapp.manifest import MANIFEST as INAPP
from tidings.providers.inapp.send import inapp_provider
from tidings.providers.outbox.manifest import MANIFEST as OUTBOX
from tidings.providers.outbox.send import outbox_provider

pytestmark = pytest.mark.anyio

ACCOUNT = Account("mine", "inapp", (Channel.IN_APP,), confirms_delivery=True, timeout=5)


def message(number: int) -> Message:
    return Message(
        delivery_id=UUID(int=1000 + number),
        notification_id=UUID(int=1),
        channel=Channel.IN_APP,
        address="user-1",
        content=InAppContent(f"title {number}", "body"),
        accepted_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


MESSAGES = [message(number) for number in range(500)]


async def test_inapp_stores_the_batch_by_one_call() -> None:
    stored: list[Sequence[Message]] = []

    async def store(messages: Sequence[Message]) -> None:
        stored.append(messages)

    outcomes = await inapp_provider(ACCOUNT, store).send(MESSAGES)
    assert list(outcomes) == [Accepted(reason=Reason.STORED)] * 500
    assert stored == [MESSAGES]


async def test_outbox_stores_under_the_accounts_name() -> None:
    stored: list[tuple[Sequence[Message], str]] = []

    async def store(messages: Sequence[Message], account: str) -> None:
        stored.append((messages, account))

    outcomes = await outbox_provider(ACCOUNT, store).send(MESSAGES)
    assert list(outcomes) == [Accepted(reason=Reason.STORED)] * 500
    assert stored == [(MESSAGES, "mine")]


async def test_failing_store_leaves_all_unknown_and_says_only_what_failed() -> None:
    class TooManyConnectionsError(Exception):
        pass

    async def store(messages: Sequence[Message]) -> None:
        raise TooManyConnectionsError(f"for {messages[0].address}")

    outcomes = await inapp_provider(ACCOUNT, store).send(MESSAGES[:2])
    unknown = Unknown(Reason.PROVIDER_FAILED, detail="TooManyConnectionsError")
    assert list(outcomes) == [unknown, unknown]


async def test_store_that_hangs_is_left_at_the_time_out() -> None:
    cancelled = asyncio.Event()

    async def store(messages: Sequence[Message]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    account = Account("mine", "inapp", (Channel.IN_APP,), confirms_delivery=True, timeout=0.05)
    assert list(await inapp_provider(account, store).send(MESSAGES[:1])) == [
        Unknown(Reason.TIMED_OUT)
    ]
    assert cancelled.is_set()


async def test_no_messages() -> None:
    async def store(messages: Sequence[Message]) -> None:
        assert not messages

    assert list(await inapp_provider(ACCOUNT, store).send([])) == []


def test_what_they_promise() -> None:
    """Unknown is tried again only because storing twice has no second effect."""
    for manifest in (INAPP, OUTBOX):
        assert manifest.idempotent
        assert manifest.confirms_delivery
        assert manifest.batch_size == 500
    assert OUTBOX.channels == tuple(Channel)
