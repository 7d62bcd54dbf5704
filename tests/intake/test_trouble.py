"""What goes wrong with one notification concerns that one only, not those that share its transaction."""

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import uuid_utils.compat as uuids

from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code
from tidings.intake.deciding import Decider
from tidings.intake.drafting import Submission, draft
from tidings.store import idempotency
from tidings.store.api_keys import Role
from tidings.store.idempotency import KeyClaim

pytestmark = pytest.mark.anyio

CONTENT = {"in_app": {"title": "t", "body": "b"}, "email": {"subject": "s", "text": "t"}}
POISON = """CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN IF NEW.correlation_id LIKE 'poison%' THEN RAISE 'secret-of-the-database'; END IF; RETURN NEW; END $$;
  CREATE TRIGGER poison BEFORE INSERT ON notifications FOR EACH ROW EXECUTE FUNCTION poison()"""


def body(number: int, **more: Any) -> dict[str, Any]:
    return {"template_id": "note", "recipient": {"user_id": f"u{number}"}, **more}


async def test_only_the_row_that_cannot_be_stored_is_refused(
    dsn: str, tmp_path: Path, connection: Any
) -> None:
    async with System.run(dsn, tmp_path, working=False) as system:
        await system.template(CONTENT)
        await connection.execute(POISON)
        bad = {7, 30}
        answers = await asyncio.gather(
            *(
                system.call(
                    "POST",
                    "/notifications/send",
                    body(n, correlation_id="poison" if n in bad else "fine"),
                )
                for n in range(40)
            )
        )
        for number, answer in enumerate(answers):
            if number in bad:
                assert_problem(answer, Code.INTERNAL_ERROR)
                assert "secret" not in str(answer.body)
            else:
                assert answer.status == 202
        assert await connection.fetchval("SELECT count(*) FROM notifications") == 38

        items = [
            body(n, correlation_id=f"poison{n}" if n in bad else None, idempotency_key=f"k{n}")
            for n in range(40)
        ]
        many = await system.call("POST", "/notifications/bulk", {"notifications": items})
        assert (many.body["accepted"], many.body["rejected"]) == (38, 2)
        assert {one["index"] for one in many.body["results"] if "problem" in one} == bad
        batch = (await system.call("GET", f"/batches/{many.body['batch_id']}")).body
        assert batch["accepted"] == 38
        assert await connection.fetchval("SELECT count(*) FROM notifications") == 76
        assert await connection.fetchval("SELECT count(*) FROM idempotency_keys") == 38

        lines = b"".join(json.dumps(one).encode() + b"\n" for one in items)
        request = system.client.post(f"{system.url}/notifications/bulk")
        request = request.bearer_auth(system.keys[Role.SENDER]).body_bytes(lines)
        response = await request.header("content-type", "application/x-ndjson").build().send()
        last = json.loads((await response.text()).splitlines()[-1])
        assert (last["lines"], last["accepted"], last["refused"]) == (40, 38, 2)
        stored = await connection.fetchrow(
            "SELECT lines, refused, refusals FROM batches WHERE lines > 0"
        )
        assert (stored["lines"], stored["refused"]) == (40, 2)
        assert json.loads(stored["refusals"]) == {"internal_error": 2}


async def test_a_user_who_cannot_be_read_keeps_nobody_else_waiting(
    dsn: str, tmp_path: Path, connection: Any
) -> None:
    """Refused, with a code that says so, where an address may be stored that cannot be read; sent, where the
    request says all that is needed."""
    async with System.run(dsn, tmp_path, working=False) as system:
        await system.template(CONTENT)
        await connection.execute("INSERT INTO users (id, sealed) VALUES ('u1', '\\x00')")
        answers = await asyncio.gather(
            *(system.call("POST", "/notifications/send", body(n)) for n in range(3))
        )
        assert [answer.status for answer in answers] == [202, 500, 202]
        assert_problem(answers[1], Code.RECIPIENT_UNREADABLE, "recipient.user_id")
        for whole in (
            {"recipient": {"user_id": "u1", "email": "u1@example.com"}},
            {"channel_preferences": ["in_app"]},
        ):
            answer = await system.call("POST", "/notifications/send", body(1, **whole))
            assert answer.status == 202


async def test_choices_of_a_later_release_keep_nobody_elses_from_being_accepted(
    dsn: str, tmp_path: Path, connection: Any
) -> None:
    """It may run beside this one while a fleet is renewed. The worker reads them again, and waits for one that can."""
    async with System.run(dsn, tmp_path, working=False) as system:
        await system.template(CONTENT)
        await connection.execute(
            """INSERT INTO preferences (user_id, digests) VALUES ('u1', '{"categories": {"news": "fortnightly"}}')"""
        )
        many = await system.call(
            "POST", "/notifications/bulk", {"notifications": [body(0), body(1), body(2)]}
        )
    assert many.status == 202
    assert [one["index"] for one in many.body["results"] if "problem" in one] in ([], [1])


async def test_what_cannot_be_decided_keeps_no_other_from_being_stored(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(submission: Submission, *given: Any, **more: Any) -> Any:
        if submission.request.correlation_id == "poison":
            raise ZeroDivisionError("secret-of-the-code")
        return draft(submission, *given, **more)

    monkeypatch.setattr("tidings.intake.deciding.draft", failing)
    async with System.run(dsn, tmp_path, working=False) as system:
        await system.template(CONTENT)
        answers = await asyncio.gather(
            *(
                system.call(
                    "POST",
                    "/notifications/send",
                    body(n, correlation_id="poison" if n == 3 else "fine"),
                )
                for n in range(8)
            )
        )
    assert [answer.status for answer in answers] == [202] * 3 + [500] + [202] * 4
    assert "secret" not in str(answers[3].body)


async def test_a_digest_that_cannot_be_made_keeps_no_other_from_being_sent(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in our own code, of which the database knows nothing."""
    draft = Decider.draft

    async def failing(self: Decider, connection: Any, batch: Any, known: Any) -> Any:
        for one in batch:
            if one.digest_notification and one.request.recipient.user_id == "poison":
                raise OverflowError
        return await draft(self, connection, batch, known)

    monkeypatch.setattr(Decider, "draft", failing)
    async with System.run(dsn, tmp_path) as system:
        await system.template(
            {"in_app": {"title": "{{ count }}", "body": "b"}}, digest={"window": 1}
        )
        for user_id in ("poison", "ada", "ben"):
            await system.send({"user_id": user_id})
        async with asyncio.timeout(20):
            while len(await done(system)) < 2:
                await asyncio.sleep(0.05)
        assert await done(system) == {"ada", "ben"}


async def done(system: System) -> set[str]:
    """Users whose digests became notifications."""
    listed = (await system.call("GET", "/digests")).body["digests"]
    return {one["user_id"] for one in listed if one["notification_id"]}


async def test_a_key_forgotten_while_it_is_claimed(dsn: str, connection: Any) -> None:
    """Upkeep deletes a key between our seeing that it is held and our reading by whom: it is ours then."""
    api_key, old, new = (uuids.uuid7() for _ in range(3))
    other = await asyncpg.connect(dsn)
    try:
        await idempotency.claim(connection, [KeyClaim(api_key, "k", b"", old)])
        forgetful: Any = _Forgetful(connection, other)
        held = await idempotency.claim(forgetful, [KeyClaim(api_key, "k", b"", new)])
        assert held[api_key, "k"].notification_id == new
    finally:
        await other.close()


class _Forgetful:
    """A connection, of which the key is deleted by another one right after the first statement."""

    def __init__(self, connection: Any, other: Any) -> None:
        self._connection = connection
        self._other = other
        self._forgotten = False

    async def execute(self, *arguments: Any) -> Any:
        done = await self._connection.execute(*arguments)
        if not self._forgotten:
            self._forgotten = True
            await self._other.execute("DELETE FROM idempotency_keys")
        return done

    async def fetch(self, *arguments: Any) -> Any:
        return await self._connection.fetch(*arguments)
