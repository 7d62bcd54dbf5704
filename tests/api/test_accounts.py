"""The health of accounts by API: shown to readers, reset by admins, and told to workers."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code
from tidings.domain.breaker import BreakerPolicy, Counts
from tidings.store import account_health
from tidings.store.account_health import Report
from tidings.store.api_keys import Role
from tidings.store.database import Pool, borrow, open_pool

pytestmark = pytest.mark.anyio

FAILING = Counts(ok=28, failed=12)


@pytest.fixture
async def pool(quiet: System) -> AsyncIterator[Pool]:
    opened = await open_pool(quiet.dsn, size=2, name="test", hot=True)
    try:
        await opened.execute("TRUNCATE account_health, account_events")
        yield opened
    finally:
        await opened.close()


async def fail(pool: Pool, account: str, *, throttled: bool = False) -> None:
    report = Report(account, FAILING, throttled=throttled, retry_after=30 if throttled else None)
    async with borrow(pool) as connection:
        await account_health.report(
            connection, "one", [report], {account: BreakerPolicy()}, lambda: 0.5
        )


async def test_healthy_accounts(quiet: System, pool: Pool) -> None:
    answer = await quiet.call("GET", "/accounts", role=Role.VIEWER)
    assert answer.status == 200
    by_name = {one["name"]: one for one in answer.body["accounts"]}
    assert by_name["inbox"] | {"provider": "", "weight": 0, "order": 0} == {
        "name": "inbox",
        "provider": "",
        "channels": ["in_app"],
        "order": 0,
        "weight": 0,
        "categories": [],
        "countries": [],
        "sender_domains": [],
        "breaker": False,
        "state": "closed",
        "since": None,
        "reason": None,
        "probe_at": None,
        "allowance": None,
        "paused_until": None,
        "events": [],
    }


async def test_an_open_breaker_is_shown_and_reset(quiet: System, pool: Pool) -> None:
    await fail(pool, "inbox", throttled=True)
    answer = await quiet.call("GET", "/accounts", role=Role.SENDER)
    (shown,) = [one for one in answer.body["accounts"] if one["name"] == "inbox"]
    assert (shown["state"], shown["reason"]) == ("open", "failing")
    assert shown["since"] < shown["probe_at"] < shown["paused_until"]
    assert shown["allowance"] > 0
    (event,) = shown["events"]
    assert event["detail"] == "12 of 40 failed, 0 slow"
    assert (event["state_from"], event["state_to"]) == ("closed", "open")

    answer = await quiet.call("POST", "/accounts/inbox/reset", role=Role.ADMIN)
    assert answer.status == 200
    assert (answer.body["state"], answer.body["reason"]) == ("closed", "reset")
    assert answer.body["probe_at"] is answer.body["allowance"] is answer.body["paused_until"]
    assert [one["reason"] for one in answer.body["events"]] == ["reset", "failing"]
    assert answer.body["events"][0]["detail"] == f"by test admin ({await admin_id(pool)})"


async def admin_id(pool: Pool) -> str:
    return str(await pool.fetchval("SELECT id FROM api_keys WHERE name = 'test admin'"))


async def test_workers_hear_of_a_reset(quiet: System, pool: Pool) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    connection = await asyncpg.connect(quiet.dsn)
    try:
        await connection.add_listener(
            account_health.CHANNEL, lambda *told: heard.put_nowait(str(told[-1]))
        )
        assert (await quiet.call("POST", "/accounts/inbox/reset", role=Role.ADMIN)).status == 200
        async with asyncio.timeout(20):
            assert await heard.get() == "inbox"
    finally:
        await connection.close()


async def test_events_page_by_page(quiet: System, pool: Pool) -> None:
    for account in ("inbox", "outbox", "inbox"):
        await quiet.call("POST", f"/accounts/{account}/reset", role=Role.ADMIN)
    first = await quiet.call("GET", "/accounts/events?limit=2", role=Role.VIEWER)
    assert [one["account"] for one in first.body["events"]] == ["inbox", "outbox"]
    cursor = first.body["next_cursor"]
    rest = await quiet.call("GET", f"/accounts/events?limit=2&cursor={cursor}", role=Role.VIEWER)
    assert [one["account"] for one in rest.body["events"]] == ["inbox"]
    assert rest.body["next_cursor"] is None
    only = await quiet.call("GET", "/accounts/events?account=outbox", role=Role.VIEWER)
    assert [one["account"] for one in only.body["events"]] == ["outbox"]


async def test_reset_of_an_account_that_is_not_there(quiet: System, pool: Pool) -> None:
    answer = await quiet.call("POST", "/accounts/nope/reset", role=Role.ADMIN)
    assert_problem(answer, Code.NOT_FOUND)
    assert await pool.fetchval("SELECT count(*) FROM account_events") == 0
