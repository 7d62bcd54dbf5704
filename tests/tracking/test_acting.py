"""What follows from receipts that are read together: the same as if each had been read by itself, in the order in which
they happened."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TypeAlias
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.test_receipts import Database, database
from tidings.domain.channels import Channel
from tidings.domain.receipts import Bounce, Receipt, ReceiptType
from tidings.settings.receipts import ReceiptSettings
from tidings.store.keyring import KeyRing, Keys
from tidings.store.receipts import Known, Stored
from tidings.tracking.acting import Actions

pytestmark = pytest.mark.anyio

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
__all__ = ["database"]  # a fixture, used by its name

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NUMBER = "+12025550100"
_ids = count(1)


@pytest.fixture(scope="module")
def keyring() -> KeyRing:
    return KeyRing(Keys.generate())


def actions(keyring: KeyRing) -> Actions:
    async def unsubscribe(_: object, one: Known) -> None:
        raise AssertionError(one)

    return Actions(keyring, ReceiptSettings(soft_bounces=2), unsubscribe)


def message(kind: ReceiptType, seconds: int, times: int = 1) -> Known:
    """Of one message to ann, what its vendor told of it."""
    number = next(_ids)
    bounce = Bounce.SOFT if kind is ReceiptType.BOUNCED else None
    told = [
        Receipt(kind, NOW + timedelta(seconds=seconds), f"{number}.{each}", bounce=bounce)
        for each in range(times)
    ]
    return Known(
        UUID(int=number), UUID(int=number + 1), Channel.EMAIL, "ann@example.com", None, "", told
    )


def text(word: str, seconds: int) -> tuple[str, Receipt]:
    said = Receipt(
        ReceiptType.INBOUND,
        NOW + timedelta(seconds=seconds),
        f"inbound {next(_ids)}",
        address=NUMBER,
        text=word,
    )
    return "texts", said


async def listed(connection: Connection) -> list[str]:
    rows = await connection.fetch("SELECT reason FROM suppressions ORDER BY id")
    return [row["reason"] for row in rows]


async def test_two_messages_that_bounce_softly_count_twice(
    connection: Connection, keyring: KeyRing
) -> None:
    both = [message(ReceiptType.BOUNCED, 1), message(ReceiptType.BOUNCED, 2)]
    await actions(keyring)(connection, Stored(both, [], 0))
    assert await listed(connection) == ["bounced"]


async def test_one_message_counts_once_however_often_it_is_told(
    connection: Connection, keyring: KeyRing
) -> None:
    await actions(keyring)(connection, Stored([message(ReceiptType.BOUNCED, 1, times=3)], [], 0))
    assert await listed(connection) == []


async def test_what_arrived_in_between_begins_the_run_anew(
    connection: Connection, keyring: KeyRing
) -> None:
    first, last = message(ReceiptType.BOUNCED, 1), message(ReceiptType.BOUNCED, 3)
    arrived = message(ReceiptType.DELIVERED, 2)
    await actions(keyring)(connection, Stored([last, first, arrived], [], 0))
    assert await listed(connection) == []
    assert await connection.fetchval("SELECT count FROM soft_bounces") == 1


@pytest.mark.parametrize(
    ("words", "stopped"),
    [
        (["STOP"], True),
        (["stop.", "Start"], False),
        (["start", " STOP "], True),
        (["stop", "start", "stop", "HELP"], True),
        (["HELP"], False),
    ],
)
async def test_the_last_word_counts(
    connection: Connection, keyring: KeyRing, words: Sequence[str], stopped: bool
) -> None:
    said = [text(word, seconds) for seconds, word in enumerate(words)]
    await actions(keyring)(connection, Stored([], said[::-1], 0))
    assert await listed(connection) == (["unsubscribed"] if stopped else [])


@given(
    st.lists(st.sampled_from([ReceiptType.BOUNCED, ReceiptType.DELIVERED]), max_size=5), st.data()
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_together_as_one_by_one(
    database: Database, keyring: KeyRing, kinds: Sequence[ReceiptType], data: st.DataObject
) -> None:
    messages = [message(kind, seconds) for seconds, kind in enumerate(kinds)]
    shuffled = data.draw(st.permutations(messages))
    one_by_one = [[one] for one in messages]
    found = database.portal.call(counted, database.dsn, keyring, one_by_one, [shuffled])
    assert found[0] == found[1]


async def counted(dsn: str, keyring: KeyRing, *told: Sequence[Sequence[Known]]) -> list[int | None]:
    """How many bounces in a row there are at the end of each."""
    act, found = actions(keyring), []
    connection = await asyncpg.connect(dsn)
    try:
        for batches in told:
            await connection.execute("DELETE FROM soft_bounces; DELETE FROM suppressions")
            for batch in batches:
                await act(connection, Stored(batch, [], 0))
            found.append(await connection.fetchval("SELECT count FROM soft_bounces"))
    finally:
        await connection.close()
    return found
