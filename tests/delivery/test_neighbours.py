"""What is wrong with one delivery concerns that one: those that are claimed with it are sent."""

from pathlib import Path

import asyncpg
import pytest

from tests.support.system import System

pytestmark = pytest.mark.anyio

FEED = {"in_app": {"title": "t", "body": "b"}}
# As a later release may write it, which runs beside this one while a fleet is renewed.
LATER_PREFERENCES = """INSERT INTO preferences (user_id, digests)
  VALUES ('later', '{"categories": {"news": "fortnightly"}}')"""
LATER_TEMPLATE = """UPDATE template_versions SET content = '{"in_app": {"headline": "t"}}'
  WHERE template_id = 'later'"""


@pytest.mark.parametrize(
    ("change", "ends"),
    [
        pytest.param(LATER_PREFERENCES, ("pending", "unreadable"), id="preferences"),
        pytest.param(LATER_TEMPLATE, ("failed", "rendering_failed"), id="template"),
    ],
)
async def test_what_this_release_cannot_read_keeps_nobody_waiting(
    dsn: str,
    tmp_path: Path,
    connection: "asyncpg.Connection[asyncpg.Record]",
    change: str,
    ends: tuple[str, str],
) -> None:
    async with System.run(dsn, tmp_path) as system:
        await system.template(FEED)
        await system.template(FEED, "later")
        due = system.from_now(1)
        odd = await system.send({"user_id": "later"}, template_id="later", send_at=due)
        sound = await system.send({"user_id": "ada"}, send_at=due)
        await connection.execute(change)
        assert (await system.settled(sound))["status"] == "delivered"
        status = await system.until(odd, lambda one: one["reason"] == ends[1])
    (delivery,) = status["deliveries"]
    assert (delivery["status"], delivery["reason"]) == ends
