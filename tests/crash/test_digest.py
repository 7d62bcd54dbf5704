"""A worker killed while it closes digests: another goes on, and each is told once."""

import asyncio
import signal

import asyncpg
import pytest

from tests.crash.test_worker import QUICK, accepting, workers  # noqa: F401 - the fixture is used by name
from tests.support.system import System

pytestmark = [pytest.mark.anyio, pytest.mark.crash]

USERS = [f"user-{number:02}" for number in range(60)]


@pytest.mark.parametrize(
    ("point", "nth"),
    [("digest.closed", 1), ("digest.made", 2), ("accepted", 1), ("digest.stored", 1)],
)
async def test_killed_while_closing(
    point: str,
    nth: int,
    accepting: System,  # noqa: F811 - pytest's way to ask for it
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    content = {"in_app": {"title": "{{ count }}", "body": "{{ last.n }}"}}
    await accepting.template(content, digest={"window": 3600})
    items = [
        {"template_id": "note", "recipient": {"user_id": user_id}, "data": {"n": number}}
        for number in range(3)
        for user_id in USERS
    ]
    await accepting.call("POST", "/notifications/bulk", {"notifications": items})
    await connection.execute("UPDATE digests SET closes_at = now()")
    async with workers(accepting, **QUICK) as started:
        doomed = await started.start(point, nth)
        assert await asyncio.wait_for(doomed.wait(), 30) == -signal.SIGKILL
        await started.start()
        async with asyncio.timeout(60):
            while await connection.fetchval(
                """SELECT (SELECT count(*) FROM digests WHERE done_at IS NULL)
                     + (SELECT count(*) FROM queue)"""
            ):
                await asyncio.sleep(0.1)
    rows = await connection.fetch(
        """SELECT n.user_id, d.status FROM notifications n JOIN deliveries d ON d.notification_id = n.id
           WHERE d.reason IS DISTINCT FROM 'digested' ORDER BY n.user_id"""
    )
    assert [(row["user_id"], row["status"]) for row in rows] == [
        (user_id, "delivered") for user_id in USERS
    ]


async def test_killed_after_a_refusal(
    accepting: System,  # noqa: F811
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """Why nothing came of a digest is on record with its end."""
    await accepting.template(
        {"email": {"subject": "{{ count }}", "text": "t"}}, digest={"window": 3600}
    )
    person = {"email": "gone@example.com"}
    assert (await accepting.call("PUT", "/users/gone", person)).status in {200, 201}
    await accepting.send({"user_id": "gone"})
    assert (await accepting.call("PUT", "/users/gone", {})).status == 200
    await connection.execute("UPDATE digests SET closes_at = now()")
    async with workers(accepting, **QUICK) as started:
        doomed = await started.start("digest.stored")
        assert await asyncio.wait_for(doomed.wait(), 30) == -signal.SIGKILL
    (row,) = await connection.fetch("SELECT done_at, problem FROM digests")
    assert row["done_at"] is not None
    assert row["problem"] == "no_reachable_channel"
