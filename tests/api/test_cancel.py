"""Cancelling: what has not begun is stopped, and nothing else is touched."""

import asyncio
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import pytest

from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code
from tidings.domain.reasons import Reason
from tidings.store import batch_sweeps, deliveries

pytestmark = pytest.mark.anyio

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

LATER = "2100-01-01T00:00:00Z"


async def test_scheduled(busy: System) -> None:
    notification_id = await busy.send(
        {"user_id": "ann", "email": "ann@example.com"}, {"name": "Ann"}, send_at=LATER
    )
    answer = await busy.call("POST", f"/notifications/{notification_id}/cancel")
    assert answer.status == 200
    status = await busy.status(notification_id)
    assert status["status"] == "cancelled"
    assert {one["delivery_id"] for one in status["deliveries"]} == {*answer.body["cancelled"]}
    assert {one["reason"] for one in status["deliveries"]} == {"cancelled"}
    assert [event["type"] for event in status["events"]] == ["cancelled"]
    assert all(one["next_attempt_at"] is None for one in status["deliveries"])


async def test_fallback_with_all_its_channels(quiet: System) -> None:
    notification_id = await quiet.send(
        {"user_id": "ann", "email": "ann@example.com", "phone": "+15551234567"},
        routing="fallback",
        channel_preferences=["push", "email", "sms", "in_app"],
    )
    answer = await quiet.call("POST", f"/notifications/{notification_id}/cancel")
    assert len(answer.body["cancelled"]) == 3
    status = await quiet.status(notification_id)
    assert [one["status"] for one in status["deliveries"]] == ["skipped", *["cancelled"] * 3]


async def test_twice(quiet: System) -> None:
    notification_id = await quiet.send({"user_id": "ann"})
    path = f"/notifications/{notification_id}/cancel"
    assert (await quiet.call("POST", path)).status == 200
    assert_problem(await quiet.call("POST", path), Code.NOT_CANCELLABLE)


async def test_sent_already(busy: System) -> None:
    notification_id = await busy.send({"user_id": "ann"}, {"name": "Ann"})
    before = await busy.settled(notification_id)
    answer = await busy.call("POST", f"/notifications/{notification_id}/cancel")
    assert_problem(answer, Code.NOT_CANCELLABLE)
    assert await busy.status(notification_id) == before


async def test_an_id_close_to_another_cancels_nothing(quiet: System) -> None:
    """A delivery's id, mistaken for its notification's, must not take the others off the queue."""
    notification_id = await quiet.send(
        {"user_id": "ann", "email": "ann@example.com", "phone": "+15551234567"}
    )
    before = await quiet.status(notification_id)
    number = UUID(notification_id).int
    for distance in (-1000, -999, -1, 1, 2, 3):
        near = UUID(int=number + distance)
        answer = await quiet.call("POST", f"/notifications/{near}/cancel")
        assert_problem(answer, Code.NOT_FOUND)
    after = await quiet.status(notification_id)
    assert after == before
    # What is off the queue has no time at which it is tried.
    assert all(one["next_attempt_at"] for one in after["deliveries"])


async def test_racing_the_worker_ends_one_way_or_the_other(busy: System) -> None:
    """Cancelled or delivered, never both and never neither."""
    sent = [await busy.send({"user_id": "race"}, {"name": "Ann"}) for _ in range(20)]
    answers = await asyncio.gather(
        *(busy.call("POST", f"/notifications/{one}/cancel") for one in sent)
    )
    for notification_id, answer in zip(sent, answers, strict=True):
        status = await busy.settled(notification_id)
        assert status["status"] == ("cancelled" if answer.status == 200 else "delivered")
    feed = (await busy.call("GET", "/users/race/inbox?limit=200")).body["entries"]
    assert len(feed) == sum(1 for answer in answers if answer.status == 409)


async def _fallback(quiet: System) -> tuple[UUID, list[UUID]]:
    """A notification with two channels, one after the other; its deliveries."""
    sent = await quiet.send(
        {"email": "ann@example.com", "phone": "+15551234567"},
        routing="fallback",
        channel_preferences=["email", "sms"],
    )
    status = await quiet.status(sent)
    return UUID(sent), [UUID(one["delivery_id"]) for one in status["deliveries"]]


async def _fail_first(connection: Connection, first: UUID) -> None:
    """The first channel's call has failed, as settling writes it."""
    await connection.execute("DELETE FROM queue WHERE delivery_id = $1", first)
    await connection.execute(
        "UPDATE deliveries SET status = 'failed', reason = 'provider_rejected' WHERE id = $1", first
    )


async def _blocked(connection: Connection) -> None:
    """Until somebody waits for this connection's transaction."""
    async with asyncio.timeout(20):
        while not await connection.fetchval(
            """SELECT EXISTS (SELECT FROM pg_stat_activity
                 WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid)))"""
        ):
            await asyncio.sleep(0.01)


async def test_a_fallback_let_go_while_it_is_cancelled(quiet: System) -> None:
    """Settling comes first: the cancelling waits for it, and takes the next channel off the queue."""
    notification_id, (first, second) = await _fallback(quiet)
    settling = await asyncpg.connect(quiet.dsn)
    try:
        async with settling.transaction():
            await _fail_first(settling, first)
            (released,) = await deliveries.release_fallbacks(settling, [notification_id])
            assert released.delivery_id == second
            await settling.execute(
                "INSERT INTO queue (delivery_id, notification_id, priority, due_at) VALUES ($1, $2, 2, now())",
                second,
                notification_id,
            )
            cancelling = asyncio.create_task(
                quiet.call("POST", f"/notifications/{notification_id}/cancel")
            )
            await _blocked(settling)
        answer = await cancelling
    finally:
        await settling.close()
    assert (answer.status, answer.body["cancelled"]) == (200, [str(second)])
    status = await quiet.status(str(notification_id))
    assert [one["status"] for one in status["deliveries"]] == ["failed", "cancelled"]


async def test_a_fallback_let_go_while_what_it_belongs_to_is_replaced(quiet: System) -> None:
    """As a newer notification with its collapse key does, or cancelling its batch: settling comes first."""
    notification_id, (first, second) = await _fallback(quiet)
    settling, replacing = await asyncpg.connect(quiet.dsn), await asyncpg.connect(quiet.dsn)
    try:
        async with settling.transaction():
            await _fail_first(settling, first)
            assert await deliveries.release_fallbacks(settling, [notification_id])
            await settling.execute(
                "INSERT INTO queue (delivery_id, notification_id, priority, due_at) VALUES ($1, $2, 2, now())",
                second,
                notification_id,
            )
            withdrawing = asyncio.create_task(_withdrawn(replacing, notification_id))
            await _blocked(settling)
        await withdrawing
        left = "SELECT count(*) FROM queue WHERE notification_id = $1"
        assert await replacing.fetchval(left, notification_id) == 0
    finally:
        await settling.close()
        await replacing.close()
    ended = (await quiet.status(str(notification_id)))["deliveries"]
    assert [(one["status"], one["reason"]) for one in ended][1] == ("cancelled", "collapsed")


async def _withdrawn(connection: Any, notification_id: UUID) -> None:
    async with connection.transaction():
        await batch_sweeps.withdraw(connection, [notification_id], Reason.COLLAPSED)


async def test_a_fallback_cancelled_while_it_is_let_go(quiet: System) -> None:
    """Cancelling comes first: settling waits for it, and then lets nothing go."""
    notification_id, (first, second) = await _fallback(quiet)
    settling, cancelling = await asyncpg.connect(quiet.dsn), await asyncpg.connect(quiet.dsn)
    try:
        await settling.execute("UPDATE queue SET started_at = now() WHERE delivery_id = $1", first)
        async with settling.transaction():
            await _fail_first(settling, first)
            async with cancelling.transaction():
                assert await deliveries.cancel(cancelling, notification_id, [], []) == [second]
                releasing = asyncio.create_task(
                    deliveries.release_fallbacks(settling, [notification_id])
                )
                await _blocked(cancelling)
                assert await deliveries.withdraw_released(cancelling, notification_id) == []
            assert await releasing == []
    finally:
        await settling.close()
        await cancelling.close()


async def test_content_that_does_not_open_is_cancelled_listed_and_followed(quiet: System) -> None:
    """As with a ring that lacks the key which sealed it."""
    notification_id = await quiet.send({"user_id": "closed"})
    connection = await asyncpg.connect(quiet.dsn)
    await connection.execute(
        "UPDATE notifications SET sealed = '\\x00' WHERE id = $1", UUID(notification_id)
    )
    await connection.close()
    assert (await quiet.status(notification_id))["status"] == "pending"
    listed = await quiet.call("GET", "/notifications?user_id=closed")
    assert [one["notification_id"] for one in listed.body["notifications"]] == [notification_id]
    cancelled = await quiet.call("POST", f"/notifications/{notification_id}/cancel")
    assert cancelled.status == 200
