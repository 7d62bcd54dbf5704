"""A database in which every check of the audit has something to look at, and how each promise is broken in it."""

from pathlib import Path

from tests.support.system import System

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
    "dead_letter_missing": ["DELETE FROM dead_letters"],
    "dead_letter_astray": [
        f"UPDATE dead_letters SET (notification_id, delivery_id) = ({WAITING}, (SELECT min(delivery_id::text)::uuid"
        " FROM queue)) WHERE state = 'waiting'"
    ],
    "replay_astray": ["UPDATE dead_letters SET replays = '{}'"],
    "batch_missing": [f"UPDATE notifications SET batch_id = {OTHER} WHERE id = {WAITING}"],
    "batch_out_of_balance": ["UPDATE batches SET refused = lines + 1"],
    "idempotency_key_astray": [f"UPDATE idempotency_keys SET notification_id = {OTHER}"],
    "inbox_without_delivery": [
        f"UPDATE inbox SET id = {OTHER} WHERE id = (SELECT min(id::text)::uuid FROM inbox)"
    ],
    "feed_out_of_count": ["UPDATE feeds SET unread = unread + 1"],
    "feed_with_gaps": ["UPDATE feed_changes SET number = number - 1"],
    "lease_left_behind": [
        f"UPDATE queue SET lease = {OTHER}, due_at = now() - interval '1 day'",
    ],
}
BREAKAGES["partition_missing"] = [
    """DO $$ BEGIN EXECUTE format('DROP TABLE %I',
         'receipts' || to_char(now() AT TIME ZONE 'UTC' + interval '7 days', '_IYYY"w"IW')); END $$"""
]


async def fill(dsn: str, directory: Path) -> None:
    """What was delivered, what failed and was replayed, and what waits for its time; nothing works on it
    any more."""
    async with System.run(dsn, directory) as system:
        await system.template(CONTENT)
        recipient = {"user_id": "ann", "email": "ann@example.com"}
        sent = await system.send(recipient, idempotency_key="once")
        await system.send({"user_id": "ann"}, send_at=LATER)
        await system.settled(sent)
        await system.template({"in_app": {"title": "t", "body": "{{ missing }}"}}, "broken")
        failed = await system.settled(await system.send({"user_id": "ann"}, template_id="broken"))
        letter = failed["deliveries"][0]["delivery_id"]
        replay = await system.call("POST", f"/dead-letters/{letter}/replay")
        await system.settled(replay.body["notification_id"])
        items = [{"template_id": "note", "recipient": recipient}] * 2
        answer = await system.call("POST", "/notifications/bulk", {"notifications": items})
        for result in answer.body["results"]:
            await system.settled(result["notification_id"])
