"""The audit: silent over a healthy database, and each promise, broken by hand, is found."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from tests.support.system import System
from tidings.store.audit import CHECKS, audit

pytestmark = pytest.mark.anyio

CONTENT = {"email": {"subject": "Hi", "text": "Hi"}, "in_app": {"title": "Hi", "body": "Hi"}}
LATER = "2100-01-01T00:00:00Z"

DELIVERED = "(SELECT min(id::text)::uuid FROM deliveries WHERE status = 'delivered')"
WAITING = "(SELECT min(notification_id::text)::uuid FROM queue)"
OTHER = "'01890000-0000-7000-8000-000000000000'::uuid"

BREAKAGES = {
    "notification_without_deliveries": [
        f"INSERT INTO notifications SELECT (jsonb_populate_record(n, jsonb_build_object('id', {OTHER}))).*"
        f" FROM notifications n WHERE id = {WAITING}"
    ],
    "delivery_without_notification": [f"DELETE FROM notifications WHERE id = {WAITING}"],
    "pending_not_queued": ["DELETE FROM queue"],
    "fallback_forgotten": [
        "UPDATE deliveries SET reason = 'fallback_waiting' WHERE status = 'pending'"
    ],
    "queued_not_pending": [f"UPDATE queue SET notification_id = {OTHER}"],
    "attempts_with_gaps": [f"UPDATE attempts SET number = 2 WHERE delivery_id = {DELIVERED}"],
    "sent_without_acceptance": ["UPDATE attempts SET outcome = 'transient'"],
    "unknown_without_doubt": [
        f"UPDATE deliveries SET status = 'unknown' WHERE id = {DELIVERED}",
    ],
    "verdict_without_reason": [f"UPDATE deliveries SET reason = 'whim' WHERE id = {DELIVERED}"],
    "batch_missing": [f"UPDATE notifications SET batch_id = {OTHER} WHERE id = {WAITING}"],
    "idempotency_key_astray": [f"UPDATE idempotency_keys SET notification_id = {OTHER}"],
    "inbox_without_delivery": [f"UPDATE inbox SET id = {OTHER}"],
    "lease_left_behind": [
        f"UPDATE queue SET lease = {OTHER}, due_at = now() - interval '1 day'",
    ],
}
BREAKAGES["partition_missing"] = [
    """DO $$ BEGIN EXECUTE format('DROP TABLE %I',
         'receipts' || to_char(now() AT TIME ZONE 'UTC' + interval '7 days', '_IYYY"w"IW')); END $$"""
]


@pytest.fixture
async def filled(dsn: str, tmp_path: Path) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """What was delivered, and what waits for its time; nothing works on it any more."""
    async with System.run(dsn, tmp_path) as system:
        await system.template(CONTENT)
        recipient = {"user_id": "ann", "email": "ann@example.com"}
        sent = await system.send(recipient, idempotency_key="once")
        await system.send({"user_id": "ann"}, send_at=LATER)
        await system.settled(sent)
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def broken(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, int]:
    found = [one async for one in audit(connection, lease=60)]
    assert [one.check for one in found] == list(CHECKS)
    assert all(bool(one.count) == bool(one.samples) for one in found)
    return {one.check.name: one.count for one in found if one.count}


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
async def test_what_is_broken_is_found(
    filled: "asyncpg.Connection[asyncpg.Record]", name: str
) -> None:
    assert await broken(filled) == {}
    for statement in BREAKAGES[name]:
        await filled.execute(statement)
    assert name in await broken(filled)
