"""Users and their devices."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from tests.api.problem import assert_problem
from tests.support.system import Answer, System
from tidings.api.problems import Code
from tidings.bootstrap.foundation import open_keyring
from tidings.domain.channels import Channel
from tidings.store import devices, suppressions

pytestmark = pytest.mark.anyio

ADA: dict[str, Any] = {
    "email": "ada@example.com",
    "phone": "+15551230001",
    "locale": "de-AT",
    "timezone": "Europe/Vienna",
    "attributes": {"plan": "pro", "age": 36, "tags": ["a", "b"]},
}


@pytest.fixture
async def quiet_connection(quiet: System) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    opened = await asyncpg.connect(quiet.dsn)
    try:
        yield opened
    finally:
        await opened.close()


def some_id() -> str:
    return f"user {secrets.token_hex(4)}/é"


def at(user_id: str) -> str:
    return f"/users/{quote(user_id, safe='')}"


async def put(system: System, user_id: str, body: dict[str, Any]) -> Any:
    answer = await system.call("PUT", at(user_id), body)
    assert answer.status == 200, answer.body
    return answer.body


async def test_put_stores_and_replaces(quiet: System) -> None:
    user_id = some_id().replace("/", "-")
    stored = await put(quiet, user_id, ADA)
    assert {name: stored[name] for name in ADA} == ADA
    assert (await quiet.call("GET", at(user_id))).body == stored
    replaced = await put(quiet, user_id, {"email": "ada@example.org"})
    assert (replaced["email"], replaced["phone"], replaced["attributes"]) == (
        "ada@example.org",
        None,
        {},
    )
    assert replaced["created_at"] == stored["created_at"]


async def test_patch_changes_what_it_names(quiet: System) -> None:
    await put(quiet, "patched", ADA)
    change = {"phone": None, "timezone": "Asia/Tokyo", "attributes": {"age": None, "city": "Wien"}}
    answer = await quiet.call("PATCH", "/users/patched", change)
    assert answer.status == 200, answer.body
    kept = {name: answer.body[name] for name in ADA}
    assert kept == {
        **ADA,
        "phone": None,
        "timezone": "Asia/Tokyo",
        "attributes": {"plan": "pro", "tags": ["a", "b"], "city": "Wien"},
    }
    cleared = await quiet.call("PATCH", "/users/patched", {"attributes": None})
    assert cleared.body["attributes"] == {}
    assert_problem(await quiet.call("PATCH", "/users/nobody", {}), Code.NOT_FOUND)


async def test_found_by_address_in_any_case(quiet: System) -> None:
    await put(quiet, "findable", {"email": "Find.Me@example.com", "phone": "+15551239999"})
    for query in ("email=find.me%40EXAMPLE.com", "phone=%2B15551239999"):
        answer = await quiet.call("GET", f"/users?{query}")
        assert [one["user_id"] for one in answer.body["users"]] == ["findable"], query
    assert (await quiet.call("GET", "/users?email=else%40example.com")).body["users"] == []


async def test_pages_reach_everyone_once(system: System) -> None:
    wanted = {f"page-{number}" for number in range(7)}
    for user_id in wanted:
        await put(system, user_id, {})
    found: list[str] = []
    cursor = ""
    while True:
        page = (await system.call("GET", f"/users?limit=3{cursor}")).body
        found += [one["user_id"] for one in page["users"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == sorted(wanted)


async def test_a_deleted_user_is_forgotten_with_devices_and_choices(quiet: System) -> None:
    await put(quiet, "leaving", ADA)
    await quiet.call("POST", "/users/leaving/devices", {"platform": "ios", "token": "t" * 30})
    await quiet.call("PUT", "/users/leaving/preferences", {"channels": {"sms": False}})
    assert (await quiet.call("DELETE", "/users/leaving")).status == 204
    assert_problem(await quiet.call("GET", "/users/leaving"), Code.NOT_FOUND)
    assert (await quiet.call("GET", "/users/leaving/devices")).body == {"devices": []}
    assert (await quiet.call("GET", "/users/leaving/preferences")).body["channels"] == {}
    assert_problem(await quiet.call("DELETE", "/users/leaving"), Code.NOT_FOUND)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"email": "nope"}, "email"),
        ({"phone": "0123"}, "phone"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"locale": "!"}, "locale"),
        ({"attributes": []}, "attributes"),
        ({"attributes": {f"a{number}": 1 for number in range(201)}}, "attributes"),
        ({"name": "Ada"}, "name"),
    ],
)
async def test_what_is_wrong_is_named(quiet: System, body: dict[str, Any], path: str) -> None:
    for method in ("PUT", "PATCH"):
        answer = await quiet.call(method, "/users/wrong", body)
        assert_problem(answer, Code.INVALID_REQUEST)
        assert [one["path"] for one in answer.body["errors"]] == [path]


async def test_addresses_and_attributes_are_sealed(
    quiet: System, quiet_connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await put(quiet, "sealed", {**ADA, "attributes": {"secret": "Kammerjäger"}})
    row = await quiet_connection.fetchrow("SELECT * FROM users WHERE id = 'sealed'")
    assert row is not None
    stored = b"".join(value for value in row.values() if isinstance(value, bytes))
    for hidden in ("ada@example.com", "+15551230001", "Kammerj"):
        assert hidden.encode() not in stored


async def devices_of(system: System, user_id: str) -> list[dict[str, Any]]:
    devices: list[dict[str, Any]] = (await system.call("GET", f"/users/{user_id}/devices")).body[
        "devices"
    ]
    return devices


async def register(system: System, user_id: str, **device: Any) -> Answer:
    answer = await system.call("POST", f"/users/{user_id}/devices", device)
    assert answer.status in {200, 201}, answer.body
    return answer


async def test_a_device_is_registered_again_and_moves(quiet: System) -> None:
    token = secrets.token_hex(32)
    first = await register(quiet, "mover-a", platform="android", token=token)
    assert (first.status, first.body["state"], first.body["hint"]) == (201, "active", token[-6:])
    again = await register(quiet, "mover-a", platform="android", token=token)
    assert (again.status, again.body["device_id"]) == (200, first.body["device_id"])
    moved = await register(quiet, "mover-b", platform="android", token=token)
    assert moved.body["device_id"] == first.body["device_id"]
    assert await devices_of(quiet, "mover-a") == []
    assert [one["device_id"] for one in await devices_of(quiet, "mover-b")] == [
        first.body["device_id"]
    ]
    assert token not in str(first.body) + str(moved.body)


SUBSCRIPTION = {
    "endpoint": "https://push.example.com/send/abcdef",
    "expirationTime": None,
    "keys": {"p256dh": "B" + "A" * 86, "auth": "A" * 22},
}


async def test_a_browsers_subscription(quiet: System) -> None:
    first = await register(quiet, "surfer", platform="web", subscription=SUBSCRIPTION)
    padded = {**SUBSCRIPTION, "keys": {"p256dh": "B" + "A" * 86 + "=", "auth": "A" * 22 + "=="}}
    again = await register(quiet, "surfer", platform="web", subscription=padded)
    assert (again.status, again.body["device_id"]) == (200, first.body["device_id"])
    gone = await quiet.call("DELETE", f"/users/surfer/devices/{first.body['device_id']}")
    assert gone.status == 204
    assert await devices_of(quiet, "surfer") == []
    again = await quiet.call("DELETE", f"/users/surfer/devices/{first.body['device_id']}")
    assert_problem(again, Code.NOT_FOUND)


@pytest.mark.parametrize(
    "device",
    [
        {"platform": "web"},
        {"platform": "ios", "subscription": SUBSCRIPTION},
        {"platform": "web", "token": "x", "subscription": SUBSCRIPTION},
        {"platform": "tv", "token": "x"},
        {
            "platform": "web",
            "subscription": {**SUBSCRIPTION, "endpoint": "http://push.example.com"},
        },
        {
            "platform": "web",
            "subscription": {**SUBSCRIPTION, "keys": {"p256dh": "AA", "auth": "A"}},
        },
    ],
)
async def test_devices_that_cannot_be(quiet: System, device: dict[str, Any]) -> None:
    answer = await quiet.call("POST", "/users/ann/devices", device)
    assert_problem(answer, Code.INVALID_REQUEST)


async def test_a_token_that_looks_like_something_else(quiet: System) -> None:
    for token in ("{" * 30, '{"endpoint": 1}' + " " * 20, "short"):
        answer = await register(quiet, "odd", platform="android", token=token)
        assert answer.status == 201


async def test_beyond_fifty_the_longest_unused_is_retired(quiet: System) -> None:
    for number in range(51):
        await register(quiet, "collector", platform="ios", token=f"{number:030}")
    found = await devices_of(quiet, "collector")
    assert [one["state"] for one in found].count("active") == 50
    assert [(one["state"], one["reason"], one["hint"]) for one in found[-1:]] == [
        ("retired", "replaced", "000000")
    ]


async def test_push_goes_to_the_devices_that_are_active(busy: System) -> None:
    for name in ("one", "two"):
        await register(busy, "pushed", platform="ios", token=f"token-of-device-{name}-" + "x" * 10)
    status = await busy.settled(
        await busy.send({"user_id": "pushed"}, {"name": "n"}, channel_preferences=["push"])
    )
    assert [one["status"] for one in status["deliveries"]] == ["delivered"] * 2


async def test_a_send_stores_the_user_when_asked(quiet: System) -> None:
    to = {"user_id": "upserted", "email": "u@example.com", "locale": "fr"}
    await quiet.send(to, {"name": "n"})
    assert_problem(await quiet.call("GET", "/users/upserted"), Code.NOT_FOUND)
    await quiet.send({**to, "upsert": True}, {"name": "n"})
    await quiet.call("PATCH", "/users/upserted", {"attributes": {"kept": True}})
    before = (await quiet.call("GET", "/users/upserted")).body
    assert (before["email"], before["locale"]) == ("u@example.com", "fr")
    # What says nothing new changes nothing, and what is not named stays.
    await quiet.send({**to, "upsert": True}, {"name": "n"})
    assert (await quiet.call("GET", "/users/upserted")).body == before
    newer = {"user_id": "upserted", "phone": "+15559990000", "email": "v@example.com"}
    await quiet.send({**newer, "upsert": True}, {"name": "n"})
    after = (await quiet.call("GET", "/users/upserted")).body
    assert (after["email"], after["phone"]) == ("v@example.com", "+15559990000")
    assert (after["locale"], after["attributes"]) == ("fr", {"kept": True})


async def test_many_sends_that_store_the_same_users(quiet: System) -> None:
    items = [
        {
            "template_id": "note",
            "recipient": {
                "user_id": f"bulk-{number % 7}",
                "email": f"b{number}@example.com",
                "upsert": True,
            },
            "data": {"name": "n"},
        }
        for number in range(70)
    ]
    answers = await asyncio.gather(
        *(quiet.call("POST", "/notifications/bulk", {"notifications": items}) for _ in range(6))
    )
    assert [one.body["rejected"] for one in answers] == [0] * 6
    for number in range(7):
        found = (await quiet.call("GET", f"/users/bulk-{number}")).body
        assert found["email"] == f"b{63 + number}@example.com"


async def test_the_last_of_several_counts_although_it_is_stored_already(quiet: System) -> None:
    await quiet.call("PUT", "/users/last", {"email": "second@example.com"})
    items = [
        {
            "template_id": "note",
            "recipient": {"user_id": "last", "email": f"{name}@example.com", "upsert": True},
            "data": {"name": "n"},
        }
        for name in ("first", "second")
    ]
    answer = await quiet.call("POST", "/notifications/bulk", {"notifications": items})
    assert answer.body["rejected"] == 0
    assert (await quiet.call("GET", "/users/last")).body["email"] == "second@example.com"


@pytest.mark.parametrize(
    "recipient",
    [
        {"email": "a@example.com", "upsert": True},
        {"user_id": "a", "timezone": "Mars/Base", "upsert": True},
        {"user_id": "a", "upsert": "yes"},
    ],
)
async def test_a_send_that_cannot_store_the_user(quiet: System, recipient: dict[str, Any]) -> None:
    body = {"template_id": "note", "recipient": recipient, "data": {"name": "n"}}
    answer = await quiet.call("POST", "/notifications/send", body)
    assert_problem(answer, Code.INVALID_REQUEST, "recipient")


async def test_a_dead_token_is_retired_until_it_is_registered_again(
    quiet: System, quiet_connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    token = secrets.token_hex(20)
    keyring = open_keyring(quiet.settings)
    digest = keyring.address_hash(Channel.PUSH, token)
    first = await register(quiet, "fader", platform="ios", token=token)
    await devices.retire(quiet_connection, [digest], ["endpoint_gone"])
    await suppressions.suppress(quiet_connection, [(Channel.PUSH, token, "endpoint_gone")], keyring)
    (found,) = await devices_of(quiet, "fader")
    assert (found["state"], found["reason"]) == ("retired", "endpoint_gone")
    again = await register(quiet, "fader", platform="ios", token=token)
    assert (again.status, again.body["device_id"]) == (200, first.body["device_id"])
    assert (again.body["state"], again.body["reason"]) == ("active", None)
    left = (await quiet.call("GET", f"/suppressions?channel=push&address={token}")).body
    assert left["suppressions"] == []
