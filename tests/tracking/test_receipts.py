"""What vendors report, through the public doors: deliveries follow it, and addresses that do not work are left alone."""

import hashlib
import hmac
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from tests.api.problem import assert_problem
from tests.support.sandbox import Box, sandbox
from tests.support.system import Answer, System
from tidings.api.problems import Code
from tidings.domain.reasons import Reason

pytestmark = pytest.mark.anyio

CONTENT = {"email": {"subject": "s", "text": "t"}, "sms": {"body": "b"}}


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with sandbox() as found:
        yield found


@pytest.fixture
async def system(dsn: str, tmp_path: Path, box: Box) -> AsyncIterator[System]:
    accounts = {"mail": box.account("mailgun"), "texts": box.account("twilio")}
    accounts["texts"].pop("status_callback", None)
    receipts = {"soft_bounces": 2}
    async with System.run(dsn, tmp_path, accounts=accounts, receipts=receipts) as found:
        await found.template(CONTENT)
        yield found


async def sent(system: System, address: str = "ann@example.com", **more: Any) -> str:
    """The id of a delivery that the vendor took, and reports nothing of by itself."""
    notification_id = await system.send({"email": address}, **more)
    status = await system.until(notification_id, lambda one: one["status"] == "sent")
    delivery_id: str = status["deliveries"][0]["delivery_id"]
    return delivery_id


async def reported(
    system: System, delivery_id: str, event: str, *, key: str = "", **more: Any
) -> Answer:
    """As Mailgun signs it."""
    body = {
        "signature": proof(system, key),
        "event-data": {
            "event": event,
            "id": uuid.uuid4().hex,
            "timestamp": time.time(),
            "recipient": "ann@example.com",
            "user-variables": {"delivery_id": delivery_id, "tidings_delivery": delivery_id},
            **more,
        },
    }
    return await system.call("POST", "/callbacks/mailgun/mail", role=None, raw=orjson.dumps(body))


def proof(system: System, key: str = "") -> dict[str, str]:
    [secret] = (system.settings.accounts["mail"].model_extra or {})["webhook_signing_keys"]
    timestamp, token = str(int(time.time())), uuid.uuid4().hex
    signature = hmac.new(
        (key or secret).encode(), f"{timestamp}{token}".encode(), hashlib.sha256
    ).hexdigest()
    return {"timestamp": timestamp, "token": token, "signature": signature}


async def delivery(system: System, delivery_id: str, status: str) -> Any:
    notification_id = str(uuid.UUID(int=uuid.UUID(delivery_id).int - 1))
    found = await system.until(notification_id, lambda one: one["status"] == status)
    return found["deliveries"][0]


HARD: dict[str, Any] = {
    "severity": "permanent",
    "reason": "bounce",
    "delivery-status": {"code": 550},
}
SOFT: dict[str, Any] = {"severity": "permanent", "reason": "old", "delivery-status": {"code": 452}}


async def test_delivered_opened_and_told_twice(system: System) -> None:
    delivery_id = await sent(system)
    event: dict[str, Any] = {"id": "the-same"}
    for _ in range(2):
        assert (await reported(system, delivery_id, "delivered", **event)).status == 200
    found = await delivery(system, delivery_id, "delivered")
    assert found["reason"] == Reason.CONFIRMED
    assert (await reported(system, delivery_id, "opened")).status == 200
    notification_id = str(uuid.UUID(int=uuid.UUID(delivery_id).int - 1))
    status = await system.until(notification_id, lambda one: one["events"][-1]["type"] == "opened")
    types = [event["type"] for event in status["deliveries"][0]["events"]]
    assert types.count("delivered") == 1
    explained = await system.call("GET", f"/notifications/{notification_id}/explain")
    codes = [step["code"] for step in explained.body["deliveries"][0]["steps"]]
    assert "opened" in codes


async def test_a_hard_bounce_suppresses_and_is_a_dead_letter(system: System) -> None:
    delivery_id = await sent(system)
    assert (await reported(system, delivery_id, "failed", **HARD)).status == 200
    found = await delivery(system, delivery_id, "bounced")
    assert found["reason"] == Reason.BOUNCED_HARD
    letters = (await system.call("GET", "/dead-letters")).body["dead_letters"]
    assert [one["delivery_id"] for one in letters] == [delivery_id]
    again = await system.settled(await system.send({"email": "ann@example.com"}))
    assert (again["deliveries"][0]["status"], again["deliveries"][0]["reason"]) == (
        "suppressed",
        Reason.ADDRESS_SUPPRESSED,
    )


async def test_soft_bounces_suppress_after_as_many_as_the_settings_bear(system: System) -> None:
    for count in range(2):
        listed = (await system.call("GET", "/suppressions")).body["suppressions"]
        assert listed == [], count
        delivery_id = await sent(system)
        assert (await reported(system, delivery_id, "failed", **SOFT)).status == 200
        await delivery(system, delivery_id, "bounced")
    [listed] = (await system.call("GET", "/suppressions")).body["suppressions"]
    assert (listed["reason"], listed["detail"]) == ("bounced", Reason.BOUNCED_SOFT)
    assert listed["expires_at"] is not None


async def test_a_complaint_suppresses(system: System) -> None:
    delivery_id = await sent(system)
    assert (await reported(system, delivery_id, "complained")).status == 200
    await delivery(system, delivery_id, "delivered")
    [listed] = (await system.call("GET", "/suppressions")).body["suppressions"]
    assert listed["reason"] == "complained"


async def test_unsubscribed_at_the_vendor_is_a_preference_here(system: System) -> None:
    await system.call("PUT", "/users/ann", {"email": "ann@example.com"})
    notification_id = await system.send({"user_id": "ann"}, channel_preferences=["email"])
    status = await system.until(notification_id, lambda one: one["status"] == "sent")
    delivery_id = status["deliveries"][0]["delivery_id"]
    assert (await reported(system, delivery_id, "unsubscribed")).status == 200
    await delivery(system, delivery_id, "delivered")
    chosen = await system.call("GET", "/users/ann/preferences")
    assert '"email":false' in orjson.dumps(chosen.body["categories"]).decode()


async def test_the_next_channel_of_a_fallback_follows_a_bounce(system: System) -> None:
    notification_id = await system.send(
        {"email": "ann@example.com", "phone": "+12025550100"},
        routing="fallback",
        channel_preferences=["email", "sms"],
    )
    status = await system.until(
        notification_id, lambda one: one["status"] == "sent" or one["channel"] == "sms"
    )
    email, text = status["deliveries"]
    assert text["status"] == "skipped"  # email was taken
    await reported(system, email["delivery_id"], "failed", **HARD)
    await system.until(
        notification_id, lambda one: one["status"] == "bounced" or one["channel"] == "sms"
    )


async def test_what_is_not_the_vendors_is_refused(system: System) -> None:
    delivery_id = await sent(system)
    assert_problem(
        await reported(system, delivery_id, "delivered", key="another"), Code.CALLBACK_REFUSED
    )
    answer = await system.call("POST", "/callbacks/mailgun/other", role=None, raw=b"{}")
    assert_problem(answer, Code.NOT_FOUND)
    connection = await asyncpg.connect(system.dsn)
    try:
        assert await connection.fetchval("SELECT count(*) FROM callbacks") == 0
        assert await connection.fetchval("SELECT count(*) FROM receipts") == 0
    finally:
        await connection.close()


async def test_a_proof_that_covers_nothing_is_good_for_one_callback(system: System) -> None:
    delivery_id = await sent(system)
    signature = proof(system)

    async def told(event: str, **more: Any) -> Answer:
        about = {"id": "one", "event": event, "user-variables": {"delivery_id": delivery_id}}
        body = orjson.dumps({"signature": signature, "event-data": {**about, **more}})
        return await system.call("POST", "/callbacks/mailgun/mail", role=None, raw=body)

    assert (await told("delivered")).status == 200
    assert (await told("delivered")).status == 200  # as when the first answer was lost
    assert_problem(await told("failed", id="other", **HARD), Code.CALLBACK_REFUSED)
    assert_problem(await told("complained"), Code.CALLBACK_REFUSED)
    await delivery(system, delivery_id, "delivered")
    marker = await sent(system)
    await reported(system, marker, "failed", **HARD)  # read after those before it
    await delivery(system, marker, "bounced")
    connection = await asyncpg.connect(system.dsn)
    try:
        rows = await connection.fetch("SELECT delivery_id, type FROM receipts")
    finally:
        await connection.close()
    assert sorted((str(row["delivery_id"]), row["type"]) for row in rows) == sorted(
        [(delivery_id, "delivered"), (marker, "bounced")]
    )


async def test_what_is_of_no_message_of_ours_is_kept_apart(system: System) -> None:
    await reported(system, str(uuid.uuid4()), "delivered")
    marker = await sent(system)
    await reported(system, marker, "delivered")
    await delivery(system, marker, "delivered")
    connection = await asyncpg.connect(system.dsn)
    try:
        assert await connection.fetchval("SELECT count(*) FROM stray_receipts") == 1
        assert await connection.fetchval("SELECT count(*) FROM receipts") == 1
    finally:
        await connection.close()


async def test_a_copy_that_bounces_is_not_the_recipient_s(system: System) -> None:
    delivery_id = await sent(system)
    await reported(system, delivery_id, "failed", **HARD, recipient="copy@example.com")
    await reported(system, delivery_id, "delivered")
    await delivery(system, delivery_id, "delivered")
    assert (await system.call("GET", "/suppressions")).body["suppressions"] == []


async def test_one_that_cannot_be_stored_keeps_no_other_unread(system: System, dsn: str) -> None:
    first, second = [await sent(system, f"{name}@example.com") for name in ("ann", "bob")]
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                 $$BEGIN RAISE EXCEPTION 'this row holds ann@example.com'; END$$"""
        )
        await connection.execute(
            f"""CREATE TRIGGER refuse BEFORE INSERT ON receipts FOR EACH ROW
                WHEN (NEW.delivery_id = '{first}') EXECUTE FUNCTION refuse()"""
        )
        assert (await reported(system, first, "delivered")).status == 200
        more = {"recipient": "bob@example.com"}
        assert (await reported(system, second, "delivered", **more)).status == 200
        await delivery(system, second, "delivered")
        [problem] = [
            row["problem"] for row in await connection.fetch("SELECT problem FROM callbacks")
        ]
        assert problem == "storing what it says failed: RaiseError"
        await connection.execute("DROP TRIGGER refuse ON receipts")
    finally:
        await connection.close()
    assert await retried(system, account="other") == 0
    assert await retried(system, ids=[str(uuid.uuid4())]) == 0
    [listed] = await unread(system, account="mail")
    assert (listed["account"], listed["problem"]) == ("mail", problem)
    assert await unread(system, account="other") == []
    assert await unread(system, cursor=listed["callback_id"]) == []
    assert await retried(system, ids=[listed["callback_id"]]) == 1
    await delivery(system, first, "delivered")
    assert await unread(system) == []


async def unread(system: System, **query: str) -> Any:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return (await system.call("GET", f"/unread-callbacks?{asked}")).body["callbacks"]


async def retried(system: System, **wanted: Any) -> Any:
    return (await system.call("POST", "/unread-callbacks/retry", wanted)).body["retried"]
