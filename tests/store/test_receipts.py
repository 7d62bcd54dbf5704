"""Receipts move a delivery to the same end, in whatever order and however often they come, also before the end of the
call that they are of is written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest
import uuid_utils.compat as uuids
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.conftest import own_database
from tests.store.test_rotation import notification
from tidings.domain import ids
from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.lanes import Lane
from tidings.domain.priorities import Priority
from tidings.domain.reasons import Reason
from tidings.domain.receipts import Bounce, Receipt, ReceiptType
from tidings.store import acceptance, landings, receipts, settlements
from tidings.store.acceptance import NewDelivery
from tidings.store.database import Connection, prepare
from tidings.store.embedded import EmbeddedServer
from tidings.store.keyring import KeyRing, Keys
from tidings.store.notifications import NotificationRow
from tidings.store.settlements import AttemptEnd, SettlementRow

NOW = datetime(2030, 1, 1, tzinfo=UTC)
RING = KeyRing(Keys(1, {1: bytes(32)}, bytes(32)))
ENDS = {
    DeliveryStatus.SENT: Reason.PROVIDER_ACCEPTED,
    DeliveryStatus.DELIVERED: Reason.PROVIDER_ACCEPTED,
    DeliveryStatus.UNKNOWN: Reason.TIMED_OUT,
    DeliveryStatus.FAILED: Reason.PROVIDER_REJECTED,
}
SETTLE = "settle"

kinds = st.one_of(
    st.tuples(
        st.sampled_from([kind for kind in ReceiptType if kind is not ReceiptType.BOUNCED]),
        st.none(),
    ),
    st.tuples(st.just(ReceiptType.BOUNCED), st.sampled_from([*Bounce, None])),
)


@dataclass(frozen=True)
class Story:
    """events: each happened once. steps: their reports in the order in which they came, some more than once, by
    number; and the moment at which the end of the call was written."""

    events: Sequence[tuple[ReceiptType, Bounce | None]]
    steps: Sequence[int | str]
    end: DeliveryStatus


@st.composite
def stories(draw: st.DrawFn) -> Story:
    events = draw(st.lists(kinds, min_size=1, max_size=5))
    numbers = list(range(len(events)))
    repeated = draw(st.lists(st.sampled_from(numbers), max_size=4))
    told: list[int | str] = [*numbers, *repeated, SETTLE]
    steps = draw(st.permutations(told))
    return Story(events, steps, draw(st.sampled_from(list(ENDS))))


@dataclass(frozen=True)
class Database:
    dsn: str
    portal: BlockingPortal


@pytest.fixture(scope="module")
def database(server: EmbeddedServer) -> Iterator[Database]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(own_database(server)) as dsn,
    ):
        yield Database(dsn, portal)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stories())
def test_the_order_does_not_matter(database: Database, story: Story) -> None:
    in_order = Story(story.events, [SETTLE, *range(len(story.events))], story.end)
    told = database.portal.call(both, database.dsn, story, in_order)
    assert told[0] == told[1]


async def both(dsn: str, *told: Story) -> list[tuple[str, str, int]]:
    connection = await asyncpg.connect(dsn)
    try:
        await prepare(connection)
        return [await lived(connection, story) for story in told]
    finally:
        await connection.close()


async def lived(connection: Connection, story: Story) -> tuple[str, str, int]:
    """Status and reason in the end, and how many dead letters wait of it."""
    row, lease = notification(1), uuids.uuid7()
    delivery_id = await accepted(connection, row, lease)
    for step in story.steps:
        if isinstance(step, str):
            mine = await settlements.settle(
                connection, [ended(row.id, delivery_id, lease, story.end)], NOW
            )
            assert mine == {(delivery_id, lease)}
        else:
            await reported(connection, delivery_id, step, *story.events[step])
    async with connection.transaction():
        await landings.apply(connection, await landings.early(connection, 100))
    assert not await landings.any_early(connection)
    assert not await connection.fetchval(
        "SELECT count(*) FROM queue WHERE delivery_id = $1", delivery_id
    )
    found = await connection.fetchrow(
        """SELECT d.status, d.reason, (SELECT count(*) FROM dead_letters l
             WHERE l.delivery_id = d.id AND l.state = 'waiting') AS letters
           FROM deliveries d WHERE d.notification_id = $1""",
        row.id,
    )
    assert found is not None
    return found["status"], found["reason"], found["letters"]


async def accepted(connection: Connection, row: NotificationRow, lease: UUID) -> UUID:
    """The delivery of it, for which a call is under way."""
    delivery_id = ids.delivery_id(row.id, 1)
    planned = NewDelivery(
        notification_id=row.id,
        id=delivery_id,
        channel=Channel.EMAIL,
        address="ada@example.com",
        status=DeliveryStatus.PENDING,
        reason=None,
        queued=True,
        lane=Lane(Priority.MEDIUM, 1),
        due_at=None,
    )
    await acceptance.store(connection, [row], [planned], RING)
    await connection.execute(
        "UPDATE queue SET lease = $2, started_at = now() WHERE delivery_id = $1", delivery_id, lease
    )
    return delivery_id


async def reported(
    connection: Connection, delivery_id: UUID, number: int, kind: ReceiptType, bounce: Bounce | None
) -> None:
    receipt = Receipt(kind, NOW, f"event {number}", delivery_id=delivery_id, bounce=bounce)
    async with connection.transaction():
        stored = await receipts.store(connection, [(f"mail {delivery_id}", receipt)], RING)
        await landings.apply(connection, [one.delivery_id for one in stored.known])


def ended(
    notification_id: UUID, delivery_id: UUID, lease: UUID, status: DeliveryStatus
) -> SettlementRow:
    reason = ENDS[status]
    return SettlementRow(
        notification_id=notification_id,
        delivery_id=delivery_id,
        lease=lease,
        retry_at=None,
        status=status,
        reason=reason,
        detail=None,
        attempts=1,
        attempt=AttemptEnd("mail", "only", NOW, NOW, "accepted", reason, None),
    )


def test_what_waits_for_another_try_is_left_alone_until_it_was_taken(database: Database) -> None:
    """A report that it is being tried changes nothing; that it arrived ends it, and it is not sent a second time."""

    async def run() -> None:
        connection = await asyncpg.connect(database.dsn)
        try:
            await prepare(connection)
            row = notification(1)
            delivery_id = await accepted(connection, row, uuids.uuid7())
            await connection.execute(
                "UPDATE queue SET started_at = NULL, lease = NULL WHERE delivery_id = $1",
                delivery_id,
            )
            await reported(connection, delivery_id, 1, ReceiptType.DEFERRED, None)
            assert delivery_id not in await landings.early(connection, 1_000)
            assert await landings.any_early(connection)
            assert not await landings.any_early(connection, taken=True)
            await reported(connection, delivery_id, 2, ReceiptType.DELIVERED, None)
            assert not await landings.any_early(connection)
            left = await connection.fetchval(
                "SELECT count(*) FROM queue WHERE delivery_id = $1", delivery_id
            )
            assert left == 0
            status = await connection.fetchval(
                "SELECT status FROM deliveries WHERE notification_id = $1", row.id
            )
            assert status == DeliveryStatus.DELIVERED
        finally:
            await connection.close()

    database.portal.call(run)
