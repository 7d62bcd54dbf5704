"""Everything that is held about a person: handed out, and erased."""

import json
from typing import Any

import pytest

from tests.api.problem import assert_problem
from tests.store.tables import table_names
from tests.support.system import System
from tidings.api.problems import Code
from tidings.bootstrap.foundation import open_keyring
from tidings.store.api_keys import Role
from tidings.store.audit import audit
from tidings.store.forgetting import OF_USERS
from tidings.store.rotation import SEALED

pytestmark = pytest.mark.anyio

PERSON = {"email": "mia.secret@example.com", "phone": "+15557654321", "locale": "de"}
DATA = {"name": "Mia Secret"}


async def live(system: System, user_id: str = "mia") -> None:
    """Somebody with a bit of everything."""
    await system.call("PUT", f"/users/{user_id}", {**PERSON, "attributes": {"pet": "Wuff"}})
    await system.call("POST", f"/users/{user_id}/devices", {"platform": "ios", "token": "tok-" * 9})
    await system.call("PUT", f"/users/{user_id}/preferences", {"channels": {"chat": False}})
    await system.call("PUT", "/topics/dogs", {"name": "Dogs"})
    await system.call("PUT", f"/topics/dogs/subscribers/{user_id}")
    more = {"correlation_id": "order-mia", "metadata": {"k": "mia-meta"}}
    await system.settled(await system.send({"user_id": user_id}, DATA, **more))
    await system.settled(await system.send({"email": PERSON["email"]}, DATA))
    await system.send({"user_id": user_id}, DATA, send_at=system.from_now(9_000))
    await system.send({"user_id": user_id}, DATA, template_id="gathered")
    await system.call(
        "POST",
        "/suppressions",
        {
            "channel": "email",
            "address": PERSON["email"],
            "note": "asked by Mia",
            "category": "news",
        },
    )
    schedule = {
        "name": "for Mia",
        "cron": "0 9 * * *",
        "request": {"template_id": "note", "recipient": {"user_id": user_id}, "data": DATA},
    }
    assert (await system.call("POST", "/schedules", schedule)).status == 201


async def exported(system: System, user_id: str = "mia") -> list[dict[str, Any]]:
    request = system.client.get(f"{system.url}/users/{user_id}/export")
    response = await request.bearer_auth(system.keys[Role.SENDER]).build().send()
    assert response.status == 200
    return [json.loads(line) for line in (await response.text()).splitlines()]


async def test_the_export_holds_everything(system: System) -> None:
    await system.template(CONTENT)
    await system.template(CONTENT, "gathered", digest={"window": 86_400})
    await live(system)
    entries = await exported(system)
    kinds = [one["kind"] for one in entries]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "user": 1,
        "device": 1,
        "preferences": 1,
        "preference_change": 1,
        "subscription": 1,
        "suppression": 1,
        "schedule": 1,
        "notification": 4,
        "inbox_entry": 1,
    }
    (user,) = [one for one in entries if one["kind"] == "user"]
    assert {name: user[name] for name in PERSON} == PERSON
    assert user["attributes"] == {"pet": "Wuff"}
    sent = [one for one in entries if one["kind"] == "notification"]
    assert all(one["data"] == DATA for one in sent)
    addresses = {delivery["address"] for one in sent for delivery in one["deliveries"]}
    assert addresses == {"mia", PERSON["email"], PERSON["phone"], "tok-" * 9}


async def everything_stored(connection: Any, system: System) -> str:
    """All rows of all tables as text, with what is sealed opened."""
    keyring = open_keyring(system.settings)
    found = []
    for table in await table_names(connection):
        sealed = {one.column: one for one in SEALED if one.table == table}
        for row in await connection.fetch(f"SELECT * FROM {table}"):
            for column, value in row.items():
                if column in sealed and value is not None:
                    value = keyring.open(value, sealed[column].bound_to(row)).decode(
                        "utf-8", "replace"
                    )
                found.append(str(value))
    return "\n".join(found)


async def test_erasing_leaves_nothing_of_the_person(system: System, connection: Any) -> None:
    await system.template(CONTENT)
    await system.template(CONTENT, "gathered", digest={"window": 86_400})
    await live(system)
    await live(system, "other")
    counts = "SELECT status, count(*) FROM deliveries GROUP BY 1 ORDER BY 1"
    await connection.execute("DELETE FROM idempotency_keys")
    before = await connection.fetchval("SELECT count(*) FROM notifications")
    # The other has the same addresses: what names them stays theirs.
    theirs = await exported(system, "other")
    answer = await system.call("POST", "/users/mia/erase")
    assert (answer.status, answer.body["complete"]) == (200, True)
    assert answer.body["notifications"] == 5
    assert_problem(await system.call("GET", "/users/mia"), Code.NOT_FOUND)
    assert_problem(await system.call("GET", "/users/mia/export"), Code.NOT_FOUND)
    assert await connection.fetchval("SELECT count(*) FROM notifications") == before
    left = [one["kind"] for one in await exported(system, "other")]
    assert (
        left.count("notification")
        == len([one for one in theirs if one["kind"] == "notification"]) - 2
    )
    assert (await system.call("POST", "/users/other/erase")).body["complete"]
    stored = await everything_stored(connection, system)
    for hidden in ("mia", "Mia", "secret", "Secret", "tok-tok", "+15557654321", "Wuff"):
        assert hidden not in stored, hidden
    assert {row["status"]: row["count"] for row in await connection.fetch(counts)}["cancelled"] > 0
    # What must not be sent to stays so.
    await system.call("PUT", "/users/new", {"email": PERSON["email"]})
    assert await connection.fetchval("SELECT count(*) FROM suppressions") == 1
    (entry,) = (await system.call("GET", f"/suppressions?address={PERSON['email']}")).body[
        "suppressions"
    ]
    assert (entry["address"], entry["note"], entry["category"]) == (None, None, "news")
    async for finding in audit(connection, lease=20):
        assert finding.count == 0, finding
    again = await system.call("POST", "/users/mia/erase")
    assert again.body == {"notifications": 0, "complete": True}


async def test_every_table_with_a_users_id_is_known(connection: Any) -> None:
    """A new one must be forgotten with a user, or taken out of what was sent to them (store/histories.py)."""
    rows = await connection.fetch(
        """SELECT table_name FROM information_schema.columns
           WHERE table_schema = 'public' AND column_name = 'user_id' AND table_name !~ '_(default|\\d{4}w\\d\\d)$'"""
    )
    history = {"notifications", "inbox", "feeds", "feed_changes", "engagements", "conversions"}
    assert {row["table_name"] for row in rows} - history == {
        table for table, column in OF_USERS if column == "user_id"
    }


CONTENT = {
    "email": {"subject": "Hello {{ name }}", "text": "Dear {{ name }}"},
    "sms": {"body": "Hi {{ name }}"},
    "push": {"title": "Hi", "body": "{{ name }}"},
    "in_app": {"title": "Hi", "body": "{{ name }}"},
}


async def test_nobody_has_nothing_to_export(quiet: System) -> None:
    assert_problem(await quiet.call("GET", "/users/nobody-at-all/export"), Code.NOT_FOUND)
