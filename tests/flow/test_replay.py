"""What failed for good: kept with why, and sent once more, once, when what was wrong is mended."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import orjson
import pytest

from tests.support.sink import Sink
from tests.support.system import System
from tidings.store import dead_letters
from tidings.store.audit import audit

pytestmark = pytest.mark.anyio

Database: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
SECRET = "whsec_" + "c2VjcmV0" * 4
OPTIONS: dict[str, Any] = {
    "accounts": {"hooks": {"provider": "webhook", "secret": SECRET, "timeout": 10}},
    "outbound": {"allow": ["127.0.0.0/8"]},
    "retry": {"base": 0, "attempts": 2},
}
IMPATIENT = {"hooks": {"provider": "webhook", "secret": SECRET, "timeout": 0.5}}
EVERYTHING = {"all": True}


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with Sink.run() as running:
        yield running


@pytest.fixture
async def failing(dsn: str, tmp_path: Path, sink: Sink) -> AsyncIterator[System]:
    """Its receiver refuses all for now."""
    sink.status = 500
    async with System.run(dsn, tmp_path, **OPTIONS) as system:
        await system.template({"webhook": {"payload": {"name": "{{ name }}"}}})
        yield system


async def fail(system: System, sink: Sink, **more: Any) -> dict[str, Any]:
    """A delivery that has ended badly."""
    status = await system.settled(
        await system.send({"webhook_url": sink.url}, {"name": "Ann"}, **more)
    )
    delivery: dict[str, Any] = status["deliveries"][0]
    return delivery


async def replay(system: System, delivery_id: str, **how: Any) -> Any:
    answer = await system.call("POST", f"/dead-letters/{delivery_id}/replay", how)
    assert answer.status == 202, answer.body
    return answer.body


async def letter(system: System, delivery_id: str) -> Any:
    answer = await system.call("GET", f"/dead-letters/{delivery_id}")
    assert answer.status == 200, answer.body
    return answer.body


async def sound(connection: Database) -> None:
    assert [one.check.name async for one in audit(connection, lease=60) if one.count] == []


async def test_what_failed_is_sent_once_more_when_the_receiver_is_well(
    failing: System, sink: Sink, connection: Database
) -> None:
    dead = await fail(failing, sink, correlation_id="order-1", metadata={"shop": "a"})
    assert dead["status"] == "failed"
    found = await letter(failing, dead["delivery_id"])
    assert (found["state"], found["reason"], found["account"]) == (
        "waiting",
        "attempts_exhausted",
        "hooks",
    )
    assert [one["reason"] for one in found["attempts"]] == ["provider_unavailable"] * 2

    sink.status = 200
    made = await replay(failing, dead["delivery_id"])
    assert made["replay_of"] == dead["delivery_id"]
    status = await failing.settled(made["notification_id"])
    assert status["status"] == "delivered"
    assert (status["replay_of"], status["correlation_id"]) == (dead["delivery_id"], "order-1")
    assert orjson.loads(sink.bodies[-1])["data"] == {"name": "Ann"}

    found = await letter(failing, dead["delivery_id"])
    assert found["state"] == "replayed"
    assert found["replays"] == [{"notification_id": made["notification_id"], "status": "delivered"}]
    await sound(connection)


async def test_of_many_who_replay_it_at_once_one_does(
    failing: System, sink: Sink, connection: Database
) -> None:
    letters = [(await fail(failing, sink))["delivery_id"] for _ in range(3)]
    sink.status = 200
    sink.seen.clear()
    calls = [
        failing.call("POST", f"/dead-letters/{one}/replay") for one in letters for _ in range(5)
    ]
    calls += [failing.call("POST", "/dead-letters/replay", EVERYTHING) for _ in range(3)]
    answers = await asyncio.gather(*calls)
    single, whole = answers[:15], answers[15:]
    made = sum(one.status == 202 for one in single) + sum(one.body["replayed"] for one in whole)
    assert made == 3
    assert {one.body["code"] for one in single if one.status != 202} <= {"not_replayable"}
    replays = await connection.fetch("SELECT id FROM notifications WHERE replay_of IS NOT NULL")
    assert len(replays) == 3
    for row in replays:
        assert (await failing.settled(str(row["id"])))["status"] == "delivered"
    assert sink.seen.total() == 3
    await sound(connection)


async def test_a_replay_that_breaks_off_leaves_the_letter_as_it_was(
    failing: System, sink: Sink, connection: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = await fail(failing, sink)
    sink.status = 200

    async def breaking(*_: Any) -> None:
        raise asyncpg.PostgresConnectionError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(dead_letters, "replayed", breaking)
        answer = await failing.call("POST", f"/dead-letters/{dead['delivery_id']}/replay")
    assert answer.status == 503
    assert (await letter(failing, dead["delivery_id"]))["state"] == "waiting"
    made = await replay(failing, dead["delivery_id"])
    assert (await failing.settled(made["notification_id"]))["status"] == "delivered"
    assert await connection.fetchval("SELECT count(*) FROM notifications") == 2
    await sound(connection)


async def test_what_failed_again_is_a_letter_of_its_own(
    failing: System, sink: Sink, connection: Database
) -> None:
    dead = await fail(failing, sink)
    made = await replay(failing, dead["delivery_id"])
    again = (await failing.settled(made["notification_id"]))["deliveries"][0]
    assert again["status"] == "failed"
    found = (await failing.call("GET", "/dead-letters?state=waiting")).body["dead_letters"]
    assert [one["delivery_id"] for one in found] == [again["delivery_id"]]
    await sound(connection)


async def test_what_may_have_arrived_waits_for_a_person(
    dsn: str, tmp_path: Path, sink: Sink, connection: Database
) -> None:
    sink.delay = 60
    async with System.run(dsn, tmp_path, **{**OPTIONS, "accounts": IMPATIENT}) as system:
        await system.template({"webhook": {}})
        dead = await fail(system, sink, on_unknown="hold")
        assert dead["status"] == "unknown"
        sink.delay = 0
        answer = await system.call("POST", "/dead-letters/replay", EVERYTHING)
        assert answer.body["replayed"] == 0
        assert [one["reason"] for one in answer.body["skipped"]] == ["may_have_arrived"]
        made = await replay(system, dead["delivery_id"], despite=["may_have_arrived"])
        ended = await system.settled(made["notification_id"])
    assert ended["deliveries"][0]["attempts"] >= 1
    assert ended["replay_of"] == dead["delivery_id"]
    await sound(connection)


async def test_what_nobody_waits_for_is_no_dead_letter(
    dsn: str, tmp_path: Path, sink: Sink, connection: Database
) -> None:
    """It expired, or was cancelled, in doubt: nobody knows whether it arrived, and nobody is to send it again."""
    sink.delay = 60
    options = {**OPTIONS, "accounts": IMPATIENT, "retry": {"base": 3600}}
    async with System.run(dsn, tmp_path, **options) as system:
        await system.template({"webhook": {}})
        expiring = await system.send({"webhook_url": sink.url}, expires_at=system.from_now(1.5))
        cancelled = await system.send({"webhook_url": sink.url})
        await system.until(cancelled, lambda one: one["attempts"] == 1)
        assert (await system.call("POST", f"/notifications/{cancelled}/cancel")).status == 200
        for notification_id, reason in ((expiring, "expired"), (cancelled, "cancelled")):
            (delivery,) = (await system.settled(notification_id))["deliveries"]
            assert (delivery["status"], delivery["reason"]) == ("unknown", reason)
        assert (await system.call("GET", "/dead-letters")).body["dead_letters"] == []
    await sound(connection)


async def test_of_a_fallback_that_failed_wholly_one_channel_is_replayed(
    failing: System, sink: Sink, connection: Database
) -> None:
    """Over each of its channels, the person would be told several times."""
    await failing.template({"webhook": {}, "in_app": {"title": "t", "body": "{{ no }}"}}, "chain")
    status = await failing.settled(
        await failing.send(
            {"webhook_url": sink.url, "user_id": "u"},
            template_id="chain",
            routing="fallback",
            channel_preferences=["webhook", "in_app"],
        )
    )
    first, second = status["deliveries"]
    assert [first["status"], second["status"]] == ["failed", "failed"]
    sink.status = 200
    answer = (await failing.call("POST", "/dead-letters/replay", EVERYTHING)).body
    assert answer["replayed"] == 1
    assert [one["reason"] for one in answer["skipped"]] == ["not_needed"]
    (made,) = (await letter(failing, first["delivery_id"]))["replays"]
    assert (await failing.settled(made["notification_id"]))["status"] == "delivered"
    assert (await failing.call("POST", "/dead-letters/replay", EVERYTHING)).body["replayed"] == 0
    await sound(connection)


async def test_a_fallback_that_arrived_is_not_replayed(
    failing: System, sink: Sink, connection: Database
) -> None:
    await failing.template({"webhook": {}, "in_app": {"title": "t", "body": "b"}}, "chain")
    status = await failing.settled(
        await failing.send(
            {"webhook_url": sink.url, "user_id": "u"},
            template_id="chain",
            routing="fallback",
            channel_preferences=["webhook", "in_app"],
        )
    )
    assert [one["status"] for one in status["deliveries"]] == ["failed", "delivered"]
    answer = (await failing.call("POST", "/dead-letters/replay", EVERYTHING)).body
    assert [one["reason"] for one in answer["skipped"]] == ["not_needed"]
    sink.status = 200
    delivery_id = status["deliveries"][0]["delivery_id"]
    made = await replay(failing, delivery_id, despite=["not_needed"])
    assert (await failing.settled(made["notification_id"]))["status"] == "delivered"
    await sound(connection)


async def test_a_suppressed_address_is_not_replayed(
    failing: System, sink: Sink, connection: Database
) -> None:
    sink.status = 410
    dead = await fail(failing, sink)
    assert dead["reason"] == "endpoint_gone"
    answer = await failing.call("POST", f"/dead-letters/{dead['delivery_id']}/replay")
    assert (answer.status, answer.body["code"]) == (409, "not_replayable")
    assert "suppression" in answer.body["detail"]
    await connection.execute("DELETE FROM suppressions")
    sink.status = 200
    made = await replay(failing, dead["delivery_id"])
    assert (await failing.settled(made["notification_id"]))["status"] == "delivered"


async def test_more_than_one_transaction_takes(
    failing: System, sink: Sink, connection: Database
) -> None:
    """A batch of which all failed: replayed to the last, while its own counts stay."""
    item = {"template_id": "note", "recipient": {"webhook_url": sink.url}, "data": {"name": "n"}}
    answer = await failing.call("POST", "/notifications/bulk", {"notifications": [item] * 450})
    batch_id = answer.body["batch_id"]
    path = f"/batches/{batch_id}"
    async with asyncio.timeout(60):
        while not (await failing.call("GET", path)).body["complete"]:
            await asyncio.sleep(0.05)
    sink.status = 200
    sink.seen.clear()
    answer = await failing.call("POST", "/dead-letters/replay", {"filter": {"batch_id": batch_id}})
    assert (answer.body["replayed"], answer.body["next_cursor"]) == (450, None)
    await sink.arrived(450)
    assert sink.doubled == set()
    batch = (await failing.call("GET", path)).body
    assert (batch["accepted"], batch["deliveries"]["failed"]) == (450, 450)
