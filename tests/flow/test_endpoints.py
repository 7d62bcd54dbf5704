"""Endpoints that do nothing but fail for long are left alone, until somebody lets them be called again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import pytest
import structlog
from asyncpg.pool import PoolConnectionProxy
from prometheus_client import CollectorRegistry

from tests.support.sink import Sink
from tests.support.system import System
from tidings import worker as worker_process
from tidings.bootstrap import foundation
from tidings.bootstrap.foundation import connection_to
from tidings.bootstrap.worker import open_worker
from tidings.domain.channels import Channel
from tidings.domain.endpoints import LEAST_FAILURES
from tidings.store import endpoints
from tidings.store.endpoints import Failure
from tidings.store.keyring import KeyRing, Keys

pytestmark = pytest.mark.anyio

SECRET = "whsec_" + "c2VjcmV0" * 4
HOOKS = {"provider": "webhook", "secret": SECRET, "channels": ["webhook"]}
OPTIONS: dict[str, Any] = {
    "outbound": {"allow": ["127.0.0.0/8"]},
    "retry": {"base": 0, "attempts": 2},
}

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"


async def the_row(connection: Connection, count: int) -> asyncpg.Record:
    """The endpoint's, once so many are there: it is written after the delivery is settled."""
    async with asyncio.timeout(30):
        while len(rows := await connection.fetch("SELECT * FROM failing_endpoints")) < count:
            await asyncio.sleep(0.02)
    [row] = rows
    return row


async def as_if_long_ago(connection: Connection) -> None:
    await connection.execute(
        """UPDATE failing_endpoints SET failures = $1, since = since - interval '6 days',
             disable_at = disable_at - interval '6 days'""",
        LEAST_FAILURES,
    )


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[Connection]:
    async with connection_to(dsn, "test") as connection:
        yield connection


async def test_disabled_listed_and_let_be_called_again(
    dsn: str, tmp_path: Path, connection: Connection
) -> None:
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts={"hooks": HOOKS}, **OPTIONS) as system,
    ):
        await system.template({"webhook": {}})
        sink.status = 500
        await system.settled(await system.send({"webhook_url": sink.url}))
        row = await the_row(connection, 1)
        assert (row["account"], row["reason"], row["failures"]) == (
            "hooks",
            "provider_unavailable",
            1,
        )
        assert sink.url.encode() not in row["sealed_address"]
        assert await endpoints.disable(connection) == []
        await as_if_long_ago(connection)
        [disabled] = await endpoints.disable(connection)
        assert (disabled.account, disabled.failures) == ("hooks", LEAST_FAILURES)
        assert await connection.fetchval("SELECT count(*) FROM failing_endpoints") == 0
        path = "/suppressions?channel=webhook&reason=failing"
        [entry] = (await system.call("GET", path)).body["suppressions"]
        assert (entry["address"], entry["detail"]) == (sink.url, "provider_unavailable")
        status = await system.settled(await system.send({"webhook_url": sink.url}))
        [delivery] = status["deliveries"]
        assert (delivery["status"], delivery["reason"]) == ("suppressed", "address_suppressed")
        calls = sum(sink.seen.values())
        sink.status = 200
        removed = await system.call("DELETE", f"/suppressions/{entry['suppression_id']}")
        assert removed.status == 204
        status = await system.settled(await system.send({"webhook_url": sink.url}))
        assert status["status"] == "delivered"
        assert sum(sink.seen.values()) == calls + 1


async def test_one_that_worked_meanwhile_begins_anew(
    dsn: str, tmp_path: Path, connection: Connection
) -> None:
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts={"hooks": HOOKS}, **OPTIONS) as system,
    ):
        await system.template({"webhook": {}})
        sink.status = 500
        await system.settled(await system.send({"webhook_url": sink.url}))
        await the_row(connection, 1)
        sink.status = 200
        await system.settled(await system.send({"webhook_url": sink.url}))
        await as_if_long_ago(connection)
        assert await endpoints.disable(connection) == []
        assert await connection.fetchval("SELECT count(*) FROM failing_endpoints") == 0
        assert (await system.call("GET", "/suppressions")).body["suppressions"] == []


@pytest.mark.parametrize(("status", "more"), [(429, {}), (413, {}), (500, {"disable_after": 0})])
async def test_what_is_no_fault_or_may_fail_for_ever(
    dsn: str, tmp_path: Path, connection: Connection, status: int, more: dict[str, Any]
) -> None:
    accounts = {"hooks": HOOKS | more}
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=accounts, **OPTIONS) as system,
    ):
        await system.template({"webhook": {}})
        sink.status = status
        first = await system.send({"webhook_url": sink.url})
        await system.until(first, lambda one: one["attempts"] >= 1)
        # A later one of another endpoint that does count: the first has been looked at by then.
        other = await system.send({"webhook_url": "http://127.0.0.1:1/"})
        await system.until(other, lambda one: one["attempts"] >= 1)
    if more:
        assert await connection.fetchval("SELECT count(*) FROM failing_endpoints") == 0
    else:
        assert (await the_row(connection, 1))["reason"] == "connection_failed"


async def test_a_worker_does_it_by_itself_and_says_so(
    dsn: str, tmp_path: Path, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with System.run(
        dsn, tmp_path, accounts={"hooks": HOOKS}, working=False, **OPTIONS
    ) as one:
        settings = one.settings
    laid = foundation.lay(settings, dsn, "test")
    await endpoints.note(connection, [failure()], laid.keyring)
    await as_if_long_ago(connection)
    registry, stop = CollectorRegistry(), asyncio.Event()
    # Loggers remember how they were set up when first used: this one is new.
    monkeypatch.setattr(worker_process, "log", structlog.get_logger())
    with structlog.testing.capture_logs() as logged:
        worker = await open_worker(laid, registry)
        running = asyncio.create_task(worker.run(stop))
        async with asyncio.timeout(30):
            while not await connection.fetchval("SELECT count(*) FROM suppressions"):
                await asyncio.sleep(0.02)
            while not any(entry["event"] == "endpoint.disabled" for entry in logged):
                await asyncio.sleep(0.02)
        stop.set()
        await running
    [entry] = [entry for entry in logged if entry["event"] == "endpoint.disabled"]
    assert (entry["account"], entry["reason"]) == ("hooks", "timed_out")
    assert "example.com" not in str(entry)
    found = registry.get_sample_value("tidings_endpoints_disabled_total", {"account": "hooks"})
    assert found == 1


KEYRING = KeyRing(Keys.generate())


def failure(number: int = 1) -> Failure:
    url = f"https://{number}.example.com/"
    return Failure(Channel.WEBHOOK, url, "hooks", "timed_out", patience=3600.0)


async def test_failures_close_together_count_once(connection: Connection) -> None:
    for _ in range(3):
        await endpoints.note(connection, [failure(), failure(), failure(2)], KEYRING)
    rows = await connection.fetch(
        "SELECT failures, disable_at - since AS patience FROM failing_endpoints"
    )
    assert [(row["failures"], row["patience"].total_seconds()) for row in rows] == [(1, 3600)] * 2
    await endpoints.note(connection, [failure()], KEYRING, apart=0.0)
    assert await connection.fetchval("SELECT max(failures) FROM failing_endpoints") == 2


async def test_few_failures_or_none_at_the_end_do_not_disable(connection: Connection) -> None:
    await endpoints.note(connection, [failure(1), failure(2)], KEYRING)
    await as_if_long_ago(connection)
    await connection.execute("UPDATE failing_endpoints SET last_at = since")  # none since it is due
    assert await endpoints.disable(connection) == []
    await connection.execute("UPDATE failing_endpoints SET last_at = now(), failures = 2")
    assert await endpoints.disable(connection) == []
    assert await connection.fetchval("SELECT count(*) FROM failing_endpoints") == 2
    await connection.execute("UPDATE failing_endpoints SET last_at = now() - interval '31 days'")
    assert await endpoints.disable(connection) == []
    assert await connection.fetchval("SELECT count(*) FROM failing_endpoints") == 0
