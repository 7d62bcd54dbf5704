"""Recurring schedules: made, changed, run once each by any number of processes, and after downtime."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.support.system import System
from tidings.bootstrap import foundation
from tidings.intake.drafting import Receipt, Result, Submission
from tidings.intake.scheduling import Scheduler
from tidings.store.api_keys import Role
from tidings.store.database import Pool, open_pool

pytestmark = pytest.mark.anyio

DIGEST = {"template_id": "note", "recipient": {"user_id": "ada"}, "data": {}}
MONDAYS = {
    "name": "weekly",
    "cron": "0 9 * * MON",
    "timezone": "Europe/Berlin",
    "request": DIGEST,
}


@pytest.fixture
async def system(dsn: str, tmp_path: Path) -> AsyncIterator[System]:
    async with System.run(dsn, tmp_path, working=False) as running:
        await running.template({"in_app": {"title": "t", "body": "b"}})
        yield running


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn, size=4, name="test")
    try:
        yield opened
    finally:
        await opened.close()


class Clock:
    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment


class Door:
    """Takes what comes, as the intake does: one notification for each key."""

    def __init__(self) -> None:
        self.taken: dict[str, UUID] = {}
        self.calls = 0

    async def accept(self, submission: Submission) -> Result:
        self.calls += 1
        key = submission.request.idempotency_key
        assert key is not None
        await asyncio.sleep(0)
        known = self.taken.setdefault(key, UUID(int=len(self.taken)))
        return Receipt(known)


async def created(system: System, **changes: Any) -> Any:
    answer = await system.call("POST", "/schedules", {**MONDAYS, **changes}, role=Role.SENDER)
    assert answer.status == 201, answer.body
    return answer.body


def scheduler(system: System, pool: Pool, door: Door, clock: Clock) -> Scheduler:
    keyring = foundation.lay(system.settings, system.dsn, "test").keyring
    return Scheduler(pool, keyring, door, clock, asyncio.Event())


async def test_made_read_changed_and_cancelled(system: System) -> None:
    made = await created(system)
    next_run = datetime.fromisoformat(made["next_run"])
    assert next_run > datetime.now(UTC)
    assert next_run.weekday() == 0
    path = f"/schedules/{made['schedule_id']}"
    assert (await system.call("GET", path)).body == made
    paused = await system.call("PATCH", path, {"state": "paused"})
    assert (paused.body["state"], paused.body["next_run"]) == ("paused", None)
    changed = await system.call("PATCH", path, {"state": "active", "cron": "*/5 * * * *"})
    soon = datetime.fromisoformat(changed.body["next_run"]) - datetime.now(UTC)
    assert soon <= timedelta(minutes=5)
    listed = await system.call("GET", "/schedules")
    assert [one["schedule_id"] for one in listed.body["schedules"]] == [made["schedule_id"]]
    assert (await system.call("DELETE", path)).status == 204
    assert (await system.call("GET", path)).status == 404
    assert (await system.call("PATCH", path, {"state": "active"})).status == 404
    assert (await system.call("GET", "/schedules")).body["schedules"] == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"cron": "0 9 * *"}, "cron"),
        ({"cron": "0 99 * * *"}, "cron"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"catch_up": "some"}, "catch_up"),
        ({"request": {**DIGEST, "send_at": "2030-01-01T00:00:00Z"}}, "request.send_at"),
        ({"request": {"template_id": "note"}}, "request.recipient"),
        ({"unknown": 1}, "unknown"),
    ],
)
async def test_what_is_wrong_is_named(system: System, change: dict[str, Any], path: str) -> None:
    answer = await system.call("POST", "/schedules", {**MONDAYS, **change})
    assert answer.status == 400
    assert [error["path"] for error in answer.body["errors"]] == [path]
    assert (await system.call("GET", "/schedules")).body["schedules"] == []


async def test_only_its_own_key_or_an_admin_changes_it(system: System) -> None:
    made = await created(system)
    path = f"/schedules/{made['schedule_id']}"
    by_admin = (await system.call("POST", "/schedules", MONDAYS)).body["schedule_id"]
    refused = await system.call("PATCH", f"/schedules/{by_admin}", {"name": "x"}, role=Role.SENDER)
    assert refused.status == 403
    assert (await system.call("PATCH", path, {"name": "x"}, role=Role.VIEWER)).status == 403
    assert (await system.call("PATCH", path, {"name": "x"})).body["name"] == "x"


async def test_a_run_is_one_notification_whoever_makes_it(system: System, pool: Pool) -> None:
    made = await created(system, cron="* * * * *", catch_up="all")
    first = datetime.fromisoformat(made["next_run"])
    door, clock = Door(), Clock(first - timedelta(seconds=1))
    workers = [scheduler(system, pool, door, clock) for _ in range(4)]
    await asyncio.gather(*(worker.run_due() for worker in workers))
    assert door.taken == {}, "not before its time"
    clock.moment = first + timedelta(minutes=2, seconds=30)
    waits = await asyncio.gather(*(worker.run_due() for worker in workers))
    assert len(door.taken) == 3
    assert max(waits) <= 30
    read = (await system.call("GET", f"/schedules/{made['schedule_id']}")).body
    assert read["runs"] == 3
    assert datetime.fromisoformat(read["last_run"]) == first + timedelta(minutes=2)
    assert datetime.fromisoformat(read["next_run"]) == first + timedelta(minutes=3)


@pytest.mark.parametrize(("catch_up", "runs"), [("skip", 0), ("one", 1), ("all", 5)])
async def test_after_downtime(system: System, pool: Pool, catch_up: str, runs: int) -> None:
    made = await created(system, cron="0 * * * *", catch_up=catch_up)
    door = Door()
    clock = Clock(datetime.fromisoformat(made["next_run"]) + timedelta(hours=4, minutes=30))
    await scheduler(system, pool, door, clock).run_due()
    assert len(door.taken) == runs


async def test_a_revoked_key_sends_nothing_more(system: System, pool: Pool) -> None:
    made = await created(system, cron="* * * * *")
    await pool.execute("UPDATE api_keys SET revoked_at = now() WHERE role = 'sender'")
    door = Door()
    clock = Clock(datetime.fromisoformat(made["next_run"]))
    await scheduler(system, pool, door, clock).run_due()
    assert door.calls == 0
    read = (await system.call("GET", f"/schedules/{made['schedule_id']}")).body
    assert (read["state"], read["last_problem"]) == ("paused", "its API key was revoked")


async def test_one_that_cannot_be_read_does_not_hold_up_the_others(
    system: System, pool: Pool
) -> None:
    bad, good = await created(system), await created(system)
    await pool.execute(
        "UPDATE schedules SET sealed = '\\x00' WHERE id = $1", UUID(bad["schedule_id"])
    )
    door = Door()
    due = datetime.fromisoformat(good["next_run"])
    await scheduler(system, pool, door, Clock(due)).run_due()
    assert list(door.taken) == [f"schedule:{good['schedule_id']}:{due.isoformat()}"]
    row = await pool.fetchrow(
        "SELECT last_problem, next_run FROM schedules WHERE id = $1", UUID(bad["schedule_id"])
    )
    assert row is not None
    assert "cannot be read" in row["last_problem"]
    assert row["next_run"] > due


async def test_one_that_cannot_be_read_is_listed_and_can_be_stopped_or_mended(
    system: System, pool: Pool
) -> None:
    good = (await system.call("POST", "/schedules", MONDAYS)).body
    lost = (await system.call("POST", "/schedules", MONDAYS)).body
    path = f"/schedules/{lost['schedule_id']}"
    sealed_elsewhere = await pool.fetchval(
        """UPDATE schedules SET sealed = (SELECT sealed FROM schedules WHERE id = $2) WHERE id = $1
           RETURNING sealed""",
        UUID(lost["schedule_id"]),
        UUID(good["schedule_id"]),
    )

    listed = (await system.call("GET", "/schedules")).body["schedules"]
    assert [one["template_id"] for one in listed] == [None, "note"]
    read = (await system.call("GET", path)).body
    assert (read["template_id"], read["name"]) == (None, "weekly")
    assert "cannot be read" in read["last_problem"]
    paused = await system.call("PATCH", path, {"state": "paused", "name": "stopped"})
    assert (paused.status, paused.body["state"], paused.body["name"]) == (200, "paused", "stopped")
    kept = await pool.fetchval(
        "SELECT sealed FROM schedules WHERE id = $1", UUID(lost["schedule_id"])
    )
    assert kept == sealed_elsewhere, "keys may be found again"
    mended = await system.call("PATCH", path, {"state": "active", "request": DIGEST})
    assert (mended.body["template_id"], mended.body["last_problem"]) == ("note", None)
    assert (await system.call("DELETE", path)).status == 204


async def test_an_error_with_one_does_not_hold_up_the_others(system: System, pool: Pool) -> None:
    bad, good = await created(system), await created(system)

    class Broken(Door):
        async def accept(self, submission: Submission) -> Result:
            if bad["schedule_id"] in (submission.request.idempotency_key or ""):
                raise RuntimeError("broken")
            return await super().accept(submission)

    door = Broken()
    due = datetime.fromisoformat(good["next_run"])
    wait = await scheduler(system, pool, door, Clock(due)).run_due()
    assert wait > 0, "no hot loop over the one that stays due"
    assert list(door.taken) == [f"schedule:{good['schedule_id']}:{due.isoformat()}"]
    mended = Door()
    await scheduler(system, pool, mended, Clock(due)).run_due()
    assert list(mended.taken) == [f"schedule:{bad['schedule_id']}:{due.isoformat()}"]


async def test_a_run_that_is_refused_says_why_and_the_next_comes(
    system: System, pool: Pool
) -> None:
    request = {**DIGEST, "template_id": "none"}
    made = await created(system, cron="* * * * *", request=request)
    await pool.execute("UPDATE schedules SET next_run = now() - interval '1 second'")
    path = f"/schedules/{made['schedule_id']}"
    await system.call("PATCH", path, {"name": "again"})  # which also wakes the scheduler
    await pool.execute("UPDATE schedules SET next_run = now() - interval '1 second'")
    await created(system)
    async with asyncio.timeout(20):
        while (read := (await system.call("GET", path)).body)["last_problem"] is None:
            await asyncio.sleep(0.01)
    assert read["last_problem"].startswith("unknown_template")
    assert read["runs"] == 0
    assert datetime.fromisoformat(read["next_run"]) > datetime.now(UTC)


async def test_a_due_schedule_reaches_the_person(dsn: str, tmp_path: Path) -> None:
    async with System.run(dsn, tmp_path) as system:
        await system.template({"in_app": {"title": "t", "body": "b"}})
        made = await created(system)
        pool = await open_pool(dsn, size=1, name="test")
        await pool.execute("UPDATE schedules SET next_run = now() - interval '1 second'")
        await pool.close()
        await created(system, name="another, which wakes the scheduler")
        async with asyncio.timeout(20):
            path = f"/schedules/{made['schedule_id']}"
            while (read := (await system.call("GET", path)).body)["runs"] == 0:
                await asyncio.sleep(0.01)
        status = await system.settled(read["last_notification_id"])
        assert status["status"] == "delivered"
