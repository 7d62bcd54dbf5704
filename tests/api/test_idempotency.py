"""The same key and body give the same notification; the same key and another body are a conflict."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.api.conftest import Rows
from tests.api.problem import assert_problem
from tests.support.system import Answer, System
from tidings.api.problems import Code
from tidings.store.api_keys import Role

pytestmark = pytest.mark.anyio

SEND = "/notifications/send"


def body(name: Any = "Ann", **more: Any) -> dict[str, Any]:
    recipient = {"user_id": "ann", "email": "ann@example.com"}
    return {"template_id": "note", "recipient": recipient, "data": {"name": name}, **more}


async def post(
    system: System, document: Any, key: str | None = None, role: Role = Role.ADMIN
) -> Answer:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await system.call("POST", SEND, document, headers=headers, role=role)


async def test_same_key_and_body(quiet: System, rows: Rows) -> None:
    before = await rows()
    first = await post(quiet, body(idempotency_key="same"))
    again = await post(quiet, body(idempotency_key="same"))
    assert (first.status, again.status) == (202, 202)
    assert first.body == again.body
    assert (await rows())["notifications"] == before["notifications"] + 1


async def test_the_order_of_members_does_not_matter(quiet: System) -> None:
    document = body(idempotency_key="order", priority="low")
    first = await post(quiet, document)
    again = await post(quiet, dict(reversed(document.items())))
    assert first.body == again.body


@pytest.mark.parametrize(
    "other", [body("Bob"), body(priority="low"), body(metadata={"a": "b"}), body(1)], ids=repr
)
async def test_same_key_and_another_body(quiet: System, rows: Rows, other: Any) -> None:
    first = await post(quiet, body(), "other")
    assert first.status == 202
    before = await rows()
    answer = await post(quiet, other, "other")
    assert_problem(answer, Code.IDEMPOTENCY_CONFLICT, "idempotency_key")
    assert (await post(quiet, body(), "other")).body == first.body
    assert await rows() == before


async def test_header_and_field_are_one_key(quiet: System) -> None:
    by_header = await post(quiet, body(), "either")
    by_field = await post(quiet, body(idempotency_key="either"))
    by_both = await post(quiet, body(idempotency_key="either"), "either")
    by_null = await post(quiet, body(idempotency_key=None), "either")
    assert by_header.body == by_field.body == by_both.body == by_null.body


async def test_header_and_field_differ(quiet: System, rows: Rows) -> None:
    before = await rows()
    answer = await post(quiet, body(idempotency_key="one"), "two")
    assert_problem(answer, Code.INVALID_REQUEST, "idempotency_key")
    assert await rows() == before


@pytest.mark.parametrize("key", ["", "a" * 256, "a\tb", "ключ"])
async def test_wrong_header(quiet: System, rows: Rows, key: str) -> None:
    before = await rows()
    assert_problem(await post(quiet, body(), key), Code.INVALID_REQUEST, "idempotency_key")
    assert await rows() == before


async def test_keys_belong_to_their_api_key(quiet: System) -> None:
    one = await post(quiet, body(), "mine", Role.ADMIN)
    other = await post(quiet, body("Bob"), "mine", Role.SENDER)
    assert one.body != other.body
    assert other.status == 202


async def test_without_a_key_every_request_is_new(quiet: System) -> None:
    assert (await post(quiet, body())).body != (await post(quiet, body())).body


async def test_a_refused_request_does_not_take_its_key(quiet: System) -> None:
    refused = await post(quiet, body(template_id="later"), "later")
    assert_problem(refused, Code.UNKNOWN_TEMPLATE)
    await quiet.template({"in_app": {"title": "t", "body": "b"}}, "later")
    assert (await post(quiet, body(template_id="later"), "later")).status == 202


async def test_repeated_after_it_expired(quiet: System) -> None:
    """What was accepted stays accepted: the caller who asks again must not be told that it was not."""
    for seconds in (0.5, 2, 8, 32):  # a busy machine may need longer for the request itself
        soon = datetime.now(UTC) + timedelta(seconds=seconds)
        document = body(expires_at=soon.isoformat())
        first = await post(quiet, document, "expiring")
        if first.status == 202:
            break
    assert first.status == 202
    async with asyncio.timeout(60):
        # Without a key it is refused as soon as the expiry has passed.
        while (answer := await post(quiet, document)).status == 202:
            pass
    assert_problem(answer, Code.ALREADY_EXPIRED)
    assert (await post(quiet, document, "expiring")).body == first.body
    conflict = await post(quiet, {**document, "priority": "low"}, "expiring")
    assert_problem(conflict, Code.ALREADY_EXPIRED)


@pytest.mark.parametrize("bodies", [1, 5])
async def test_concurrent_requests_over_two_apis(dsn: str, tmp_path: Path, bodies: int) -> None:
    """Exactly one is stored; the others get its id, or a conflict if they say something else."""
    async with (
        System.run(dsn, tmp_path, working=False) as one,
        System.run(dsn, tmp_path, working=False) as two,
    ):
        await one.template({"in_app": {"title": "t", "body": "{{ name }}"}})
        answers = await asyncio.gather(
            *(
                (one, two)[number % 2].call(
                    "POST",
                    SEND,
                    body(str(number % bodies)),
                    headers={
                        "Idempotency-Key": "race",
                        "Authorization": f"Bearer {one.keys[Role.ADMIN]}",
                    },
                    role=None,
                )
                for number in range(50)
            )
        )
    accepted = {answer.body["notification_id"] for answer in answers if answer.status == 202}
    assert len(accepted) == 1
    refused = [answer for answer in answers if answer.status != 202]
    assert len(refused) == 50 - 50 // bodies
    for answer in refused:
        assert_problem(answer, Code.IDEMPOTENCY_CONFLICT, "idempotency_key")
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT count(*) FROM notifications") == 1
    assert await connection.fetchval("SELECT count(*) FROM queue") == 1
    assert await connection.fetchval("SELECT count(*) FROM idempotency_keys") == 1
    await connection.close()
