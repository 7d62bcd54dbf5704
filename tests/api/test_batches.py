"""Batches: what was sent in bulk, counted, paused, resumed, cancelled and tried again."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code
from tidings.store import batch_sweeps, batches
from tidings.store.api_keys import Role
from tidings.store.batches import BatchStates

pytestmark = pytest.mark.anyio

BULK = "/notifications/bulk"


def item(number: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "template_id": "note",
        "recipient": {"user_id": f"user-{number}"},
        "data": {"name": "Ann"},
        **more,
    }


async def send(system: System, count: int, path: str = BULK, **more: Any) -> str:
    """A batch's id."""
    body = {"notifications": [item(number, **more) for number in range(count)]}
    answer = await system.call("POST", path, body)
    assert answer.status == 202, answer.body
    assert answer.body["rejected"] == 0
    batch_id: str = answer.body["batch_id"]
    return batch_id


async def read(system: System, batch_id: str) -> Any:
    answer = await system.call("GET", f"/batches/{batch_id}")
    assert answer.status == 200, answer.body
    assert sum(answer.body["notifications"].values()) == answer.body["accepted"]
    return answer.body


async def until(system: System, batch_id: str, holds: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(30):
        while not holds(batch := await read(system, batch_id)):
            await asyncio.sleep(0.01)
    return batch


async def act(system: System, batch_id: str, what: str, body: Any = None) -> Any:
    answer = await system.call("POST", f"/batches/{batch_id}/{what}", body)
    assert answer.status == 200, answer.body
    return answer.body


async def test_a_bulk_request_is_a_batch(busy: System) -> None:
    batch_id = await send(busy, 20)
    batch = await until(busy, batch_id, lambda one: one["complete"])
    assert batch["accepted"] == 20
    assert batch["notifications"]["delivered"] == 20
    assert batch["sealed"]
    assert batch["unsent"] == []
    assert batch["first_accepted_at"] <= batch["last_accepted_at"] <= batch["last_change_at"]


async def test_larger_than_a_transaction(quiet: System) -> None:
    batch = await read(quiet, await send(quiet, 1_001))
    assert (batch["accepted"], batch["sealed"], batch["complete"]) == (1_001, True, False)
    assert batch["deliveries"]["pending"] == 1_001


async def test_a_repeated_request_is_the_same_batch(quiet: System) -> None:
    body = {"notifications": [item(n, idempotency_key=f"again-{n}") for n in range(3)]}
    first = await quiet.call("POST", BULK, body)
    assert (await quiet.call("POST", BULK, body)).body == first.body


async def test_why_some_were_not_sent(busy: System) -> None:
    await busy.template({"in_app": {"title": "t", "body": "{{ missing }}"}}, "broken")
    body = {
        "notifications": [item(1), item(2, template_id="broken"), item(3, template_id="broken")]
    }
    batch_id = (await busy.call("POST", BULK, body)).body["batch_id"]
    batch = await until(busy, batch_id, lambda one: one["complete"])
    (why,) = batch["unsent"]
    assert (why["channel"], why["status"], why["count"]) == ("in_app", "failed", 2)
    assert why["reason"] == "undefined_variable"
    assert "variable" in why["text"]


async def test_an_open_batch_takes_requests_until_it_is_sealed(quiet: System) -> None:
    opened = await quiet.call("POST", "/batches", {"name": "spring", "expected": 10})
    assert opened.status == 201
    batch_id = opened.body["batch_id"]
    path = f"{BULK}?batch_id={batch_id}"
    assert await send(quiet, 4, path) == batch_id
    assert await send(quiet, 6, path) == batch_id
    batch = await read(quiet, batch_id)
    assert (batch["name"], batch["expected"], batch["accepted"]) == ("spring", 10, 10)
    assert not batch["sealed"]
    assert (await act(quiet, batch_id, "seal"))["sealed"]
    refused = await quiet.call("POST", path, {"notifications": [item()]})
    assert_problem(refused, Code.BATCH_NOT_OPEN)
    assert (await read(quiet, batch_id))["accepted"] == 10


async def test_an_open_batch_is_not_complete(busy: System) -> None:
    batch_id = (await busy.call("POST", "/batches", {})).body["batch_id"]
    await send(busy, 1, f"{BULK}?batch_id={batch_id}")
    batch = await until(busy, batch_id, lambda one: one["deliveries"]["pending"] == 0)
    assert not batch["complete"]
    await act(busy, batch_id, "seal")
    assert (await read(busy, batch_id))["complete"]


async def test_listed_page_by_page(quiet: System) -> None:
    made = [await send(quiet, 1) for _ in range(5)]
    found: list[str] = []
    cursor = ""
    while len(found) < 5:
        page = (await quiet.call("GET", f"/batches?limit=2{cursor}")).body
        found += [one["batch_id"] for one in page["batches"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert found[:5] == made[::-1]


async def test_whose_batch_it_is(quiet: System) -> None:
    mine = (await quiet.call("POST", "/batches", {}, role=Role.SENDER)).body["batch_id"]
    others = (await quiet.call("POST", "/batches", {}, role=Role.ADMIN)).body["batch_id"]
    for what in ("seal", "pause", "resume", "retry", "cancel"):
        assert (await quiet.call("POST", f"/batches/{mine}/{what}", role=Role.SENDER)).status == 200
        refused = await quiet.call("POST", f"/batches/{others}/{what}", role=Role.SENDER)
        assert_problem(refused, Code.FORBIDDEN)
    refused = await quiet.call(
        "POST", f"{BULK}?batch_id={others}", {"notifications": [item()]}, role=Role.SENDER
    )
    assert_problem(refused, Code.FORBIDDEN)
    listed = (await quiet.call("GET", "/batches?mine=true", role=Role.SENDER)).body["batches"]
    assert mine in [one["batch_id"] for one in listed]
    assert others not in [one["batch_id"] for one in listed]


async def test_cancelled_for_good(quiet: System) -> None:
    batch_id = await send(quiet, 700)
    await act(quiet, batch_id, "cancel")
    batch = await until(quiet, batch_id, lambda one: one["complete"])
    assert batch["notifications"]["cancelled"] == 700
    for what in ("pause", "resume", "retry"):
        answer = await quiet.call("POST", f"/batches/{batch_id}/{what}")
        assert_problem(answer, Code.BATCH_CANCELLED)
    await act(quiet, batch_id, "cancel")


async def test_what_is_being_sent_is_not_cancelled(quiet: System) -> None:
    batch_id = await send(quiet, 3)
    connection = await asyncpg.connect(quiet.dsn)
    try:
        ids = await connection.fetch(
            """SELECT q.delivery_id FROM queue q JOIN notifications n ON n.id = q.notification_id
               WHERE n.batch_id = $1 ORDER BY 1""",
            batch_id,
        )
        await connection.execute(
            "UPDATE queue SET started_at = now() WHERE delivery_id = $1", ids[0][0]
        )
        await connection.execute(
            "UPDATE queue SET maybe_taken = true WHERE delivery_id = $1", ids[1][0]
        )
        await act(quiet, batch_id, "cancel")
        batch = await until(quiet, batch_id, lambda one: one["deliveries"]["pending"] == 1)
        assert batch["deliveries"]["cancelled"] == 1
        assert batch["deliveries"]["unknown"] == 1, "it may have been sent before"
    finally:
        await connection.close()


async def test_a_sweep_goes_on_where_a_dead_process_left_it(dsn: str, tmp_path: Path) -> None:
    """Its state is a row: pages done by one connection, the rest by another."""
    async with System.run(dsn, tmp_path, working=False) as system:
        await system.template({"in_app": {"title": "t", "body": "b"}})
        batch_id = await send(system, 1_200)
    one, two = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    try:
        await batches.cancel(one, UUID(batch_id))
        assert await batch_sweeps.step(one, lambda: None)
        counted = "SELECT count(*) FROM deliveries WHERE status = 'cancelled'"
        assert await one.fetchval(counted) == 500
        dying = one.transaction()
        await dying.start()
        assert await batch_sweeps.step(one, lambda: None)
        assert not await batch_sweeps.step(two, lambda: None), "it is being worked on"
        one.terminate()
        # The server notices in its own time that the connection is gone.
        async with asyncio.timeout(20):
            while await two.fetchval("SELECT count(*) FROM batch_sweeps"):
                await batch_sweeps.finish(two, lambda: None)
        assert await two.fetchval(counted) == 1_200
        assert await two.fetchval("SELECT count(*) FROM queue") == 0
    finally:
        await two.close()


async def test_only_what_failed_is_tried_again(quiet: System) -> None:
    batch_id = await send(quiet, 4)
    connection = await asyncpg.connect(quiet.dsn)
    try:
        rows = await connection.fetch(
            "SELECT id FROM notifications WHERE batch_id = $1 ORDER BY id", batch_id
        )
        ids = [row["id"] for row in rows]
        for one, status in zip(ids, ("failed", "unknown", "delivered", "pending"), strict=True):
            await connection.execute(
                "UPDATE deliveries SET status = $2, attempts = 8, account = 'a' WHERE notification_id = $1",
                one,
                status,
            )
        await connection.execute(
            "DELETE FROM queue WHERE notification_id = ANY ($1::uuid[])", ids[:3]
        )
        await act(quiet, batch_id, "retry")
        await until(quiet, batch_id, lambda one: one["deliveries"]["pending"] == 2)
        entry = await connection.fetchrow("SELECT * FROM queue WHERE notification_id = $1", ids[0])
        assert entry is not None
        assert (entry["attempts"], entry["spent"], entry["maybe_taken"]) == (8, 8, False)
        assert entry["round_at"] is not None
        await act(quiet, batch_id, "retry", {"include_unknown": True})
        batch = await until(quiet, batch_id, lambda one: one["deliveries"]["pending"] == 3)
        assert batch["deliveries"]["delivered"] == 1
        entry = await connection.fetchrow("SELECT * FROM queue WHERE notification_id = $1", ids[1])
        assert entry is not None
        assert (entry["maybe_taken"], entry["account"]) == (True, "a")
    finally:
        await connection.close()


async def test_a_fallback_is_tried_again_in_its_order(quiet: System) -> None:
    recipient = {"user_id": "u", "email": "u@example.com"}
    more: dict[str, Any] = {
        "routing": "fallback",
        "channel_preferences": ["email", "in_app"],
        "recipient": recipient,
    }
    batch_id = await send(quiet, 2, **more)
    connection = await asyncpg.connect(quiet.dsn)
    try:
        rows = await connection.fetch(
            "SELECT id FROM notifications WHERE batch_id = $1 ORDER BY id", batch_id
        )
        lost, arrived = (row["id"] for row in rows)
        await connection.execute(
            "DELETE FROM queue WHERE notification_id = ANY ($1::uuid[])", [lost, arrived]
        )
        await connection.execute(
            """UPDATE deliveries SET status = CASE WHEN notification_id = $2 AND channel = 'in_app'
                 THEN 'delivered' ELSE 'failed' END WHERE notification_id = ANY ($1::uuid[])""",
            [lost, arrived],
            arrived,
        )
        await act(quiet, batch_id, "retry")
        await until(quiet, batch_id, lambda one: one["deliveries"]["pending"] == 2)
        deliveries = (await quiet.status(str(lost)))["deliveries"]
        assert [(one["status"], one["reason"]) for one in deliveries] == [
            ("pending", None),
            ("pending", "fallback_waiting"),
        ]
        assert (
            await connection.fetchval("SELECT count(*) FROM queue WHERE notification_id = $1", lost)
            == 1
        )
        assert {one["status"] for one in (await quiet.status(str(arrived)))["deliveries"]} == {
            "failed",
            "delivered",
        }
    finally:
        await connection.close()


async def test_paused_entries_are_parked_and_let_go(quiet: System) -> None:
    """What a worker does with what it claimed of a paused batch, and what a resumption does with that."""
    batch_id = await send(quiet, 3)
    connection = await asyncpg.connect(quiet.dsn)
    try:
        states = BatchStates()
        await states.refresh(connection)
        identity = await connection.fetchval("SELECT id FROM batches WHERE id = $1", batch_id)
        assert not states.is_paused(identity)
        await act(quiet, batch_id, "pause")
        states.changed("batches:any")
        await states.refresh(connection)
        assert states.is_paused(identity)
        lease = await connection.fetchval("SELECT gen_random_uuid()")
        claimed = await connection.fetch(
            """UPDATE queue q SET lease = $2 FROM notifications n WHERE n.id = q.notification_id AND n.batch_id = $1
               RETURNING q.delivery_id""",
            batch_id,
            lease,
        )
        held = [(row["delivery_id"], identity) for row in claimed]
        assert sorted(await batches.park(connection, lease, held)) == sorted(one for one, _ in held)
        parked = "SELECT count(*) FROM queue WHERE due_at = 'infinity'"
        assert await connection.fetchval(parked) == 3
        await act(quiet, batch_id, "resume")
        async with asyncio.timeout(30):
            while await connection.fetchval(parked):
                await asyncio.sleep(0.01)
        await connection.execute(
            "UPDATE queue SET lease = $1 WHERE delivery_id = ANY ($2::uuid[])",
            lease,
            [one for one, _ in held],
        )
        assert await batches.park(connection, lease, held) == [], "it runs again"
    finally:
        await connection.close()


async def test_a_change_is_told(dsn: str, tmp_path: Path, connection: Any) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    await connection.add_listener("tidings_changes", lambda *said: told.put_nowait(said[-1]))
    async with System.run(dsn, tmp_path, working=False) as system:
        await system.template({"in_app": {"title": "t", "body": "b"}})
        batch_id = await send(system, 1)
        await act(system, batch_id, "pause")
        heard: list[str] = []
        async with asyncio.timeout(10):
            while f"batches:{batch_id}" not in heard:
                heard.append(await told.get())
    assert heard[-1] == f"batches:{batch_id}"


async def test_too_large_an_item_spoils_only_itself(quiet: System) -> None:
    large = item(1, data={"name": "x" * 300_000})
    answer = await quiet.call("POST", BULK, {"notifications": [item(), large, item(2)]})
    codes = [one.get("problem", {}).get("code") for one in answer.body["results"]]
    assert codes == [None, "body_too_large", None]


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_the_key_is_checked_before_the_body(quiet: System, method: str) -> None:
    path = "/templates" if method == "POST" else "/templates/note"
    answer = await quiet.call(method, path, raw=b"{not json", role=None)
    assert_problem(answer, Code.UNAUTHORIZED)
    answer = await quiet.call(method, path, raw=b"{not json", role=Role.VIEWER)
    assert_problem(answer, Code.FORBIDDEN)


async def test_a_paused_batch_waits_until_it_is_resumed(busy: System) -> None:
    batch_id = (await busy.call("POST", "/batches", {})).body["batch_id"]
    await act(busy, batch_id, "pause")
    connection = await asyncpg.connect(busy.dsn)
    try:
        await send(busy, 30, f"{BULK}?batch_id={batch_id}")
        parked = """SELECT count(*) FROM queue q JOIN notifications n ON n.id = q.notification_id
                    WHERE n.batch_id = $1 AND q.due_at = 'infinity'"""
        async with asyncio.timeout(30):
            # What was claimed before the worker heard of it may still be sent.
            while (
                await connection.fetchval(parked, batch_id)
                < (await read(busy, batch_id))["deliveries"]["pending"]
            ):
                await asyncio.sleep(0.01)
        await act(busy, batch_id, "seal")
        await act(busy, batch_id, "resume")
        batch = await until(busy, batch_id, lambda one: one["complete"])
        assert batch["notifications"]["delivered"] == 30
    finally:
        await connection.close()


async def test_what_fails_again_is_complete_again(busy: System) -> None:
    await busy.template({"in_app": {"title": "t", "body": "{{ missing }}"}}, "failing")
    batch_id = await send(busy, 3, template_id="failing")
    first = await until(busy, batch_id, lambda one: one["complete"])
    await act(busy, batch_id, "retry")
    batch = await until(
        busy,
        batch_id,
        lambda one: one["complete"] and one["last_change_at"] > first["last_change_at"],
    )
    assert batch["notifications"]["failed"] == 3
