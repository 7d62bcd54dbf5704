"""Broadcasts: one request to a topic, a segment or everyone; each user once, whatever happens meanwhile."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code
from tidings.bootstrap import foundation
from tidings.bootstrap.foundation import pass_by
from tidings.bootstrap.intake import now, open_intake
from tidings.intake.broadcasting import Broadcaster
from tidings.metrics import Metrics
from tidings.store.api_keys import Role
from tidings.store.categories import CategoryCache
from tidings.store.database import open_pool
from tidings.store.templates import TemplateCache

pytestmark = pytest.mark.anyio

IN_APP = {"in_app": {"title": "{{ word }}", "body": "{{ recipient.user_id }}"}}
PAGE = 250


async def called(system: System, method: str, path: str, body: Any = None) -> Any:
    answer = await system.call(method, path, body)
    assert answer.status in {200, 201, 202, 204}, answer.body
    return answer.body


async def topic(system: System, name: str, *user_ids: str) -> None:
    await called(system, "PUT", f"/topics/{name}", {})
    await called(system, "POST", f"/topics/{name}/subscribers", {"user_ids": user_ids})


async def broadcast(system: System, **changes: Any) -> str:
    body = {"template_id": "note", "data": {"word": "hello"}, **changes}
    made = await called(system, "POST", "/broadcasts", body)
    broadcast_id: str = made["broadcast_id"]
    return broadcast_id


async def read(system: System, broadcast_id: str) -> Any:
    return await called(system, "GET", f"/broadcasts/{broadcast_id}")


async def finished(system: System, broadcast_id: str) -> Any:
    async with asyncio.timeout(30):
        while (found := await read(system, broadcast_id))["finished_at"] is None:
            await asyncio.sleep(0.02)
    return found


async def completed(system: System, broadcast_id: str) -> Any:
    """Its batch, when all of it has ended."""
    await finished(system, broadcast_id)
    async with asyncio.timeout(30):
        while not (batch := await called(system, "GET", f"/batches/{broadcast_id}"))["complete"]:
            await asyncio.sleep(0.02)
    return batch


async def reached(system: System, broadcast_id: str) -> list[str]:
    """Users, one for each notification."""
    connection = await asyncpg.connect(system.dsn)
    try:
        rows = await connection.fetch(
            "SELECT user_id FROM notifications WHERE batch_id = $1 ORDER BY user_id", broadcast_id
        )
        return [row["user_id"] for row in rows]
    finally:
        await connection.close()


async def test_topics_and_segments_reach_each_user_once(system: System) -> None:
    await system.template(IN_APP)
    await topic(system, "news", "ann", "bob", "nobody-else-knows-me")
    await topic(system, "tips", "bob", "cem")
    for user_id, plan in (("ann", "pro"), ("dan", "pro"), ("eve", "free")):
        await called(system, "PUT", f"/users/{user_id}", {"attributes": {"plan": plan}})
    await called(system, "PUT", "/attributes/plan", {"type": "string"})
    async with asyncio.timeout(20):
        while (await called(system, "GET", "/attributes"))["filling"]:
            await asyncio.sleep(0.01)
    await called(system, "PUT", "/segments/pros", {"filter": {"attribute": "plan", "is": "pro"}})
    chosen = {"topics": ["news", "tips", "news"], "segments": ["pros"]}
    broadcast_id = await broadcast(system, name="June", audience=chosen)
    batch = await completed(system, broadcast_id)
    users = ["ann", "bob", "cem", "dan", "nobody-else-knows-me"]
    assert await reached(system, broadcast_id) == users
    assert (batch["name"], batch["expected"], batch["accepted"], batch["refused"]) == (
        "June",
        5,
        5,
        0,
    )
    assert batch["notifications"]["delivered"] == 5
    view = await read(system, broadcast_id)
    assert (view["state"], view["done"], view["expected"]) == ("finished", 5, 5)
    assert (view["template_version"], view["problem"]) == (1, None)
    inbox = await called(system, "GET", "/users/cem/inbox")
    assert (inbox["entries"][0]["title"], inbox["entries"][0]["body"]) == ("hello", "cem")
    page = await called(system, "GET", "/broadcasts")
    assert [one["broadcast_id"] for one in page["broadcasts"]] == [broadcast_id]


async def test_everyone_and_who_cannot_be_reached(system: System) -> None:
    await system.template({"email": {"subject": "{{ word }}", "text": "x"}})
    await called(system, "PUT", "/users/ann", {"email": "ann@example.com"})
    await called(system, "PUT", "/users/bob", {"phone": "+15551234567"})
    broadcast_id = await broadcast(system, audience={"everyone": True})
    batch = await completed(system, broadcast_id)
    assert (batch["expected"], batch["lines"], batch["refused"], batch["accepted"]) == (2, 2, 1, 1)
    [why] = batch["refusals"]
    assert (why["code"], why["count"]) == ("no_reachable_channel", 1)
    assert (await read(system, broadcast_id))["refusals"] == [why]
    assert await reached(system, broadcast_id) == ["ann"]


async def test_an_empty_audience_ends_at_once(system: System) -> None:
    await system.template(IN_APP)
    await topic(system, "empty", "ann")
    await called(system, "DELETE", "/topics/empty/subscribers/ann")
    broadcast_id = await broadcast(system, audience={"topics": ["empty"]})
    batch = await completed(system, broadcast_id)
    assert (batch["accepted"], batch["expected"], batch["sealed"]) == (0, None, True)


async def test_later_it_goes_to_who_belongs_to_it_then(system: System) -> None:
    await system.template(IN_APP)
    await topic(system, "news", "ann")
    audience = {"topics": ["news"]}
    broadcast_id = await broadcast(system, audience=audience, send_at=system.from_now(2))
    assert (await read(system, broadcast_id))["state"] == "scheduled"
    await topic(system, "news", "bob")
    await completed(system, broadcast_id)
    assert await reached(system, broadcast_id) == ["ann", "bob"]


async def test_the_same_key_is_the_same_broadcast(system: System) -> None:
    await system.template(IN_APP)
    await topic(system, "news", "ann")
    body = {"template_id": "note", "data": {"word": "x"}, "audience": {"topics": ["news"]}}
    headers = {"Idempotency-Key": "june"}
    first = await system.call("POST", "/broadcasts", body, headers=headers)
    again = await system.call("POST", "/broadcasts", {**body, "idempotency_key": "june"})
    assert first.body["broadcast_id"] == again.body["broadcast_id"]
    other = await system.call("POST", "/broadcasts", {**body, "data": {}}, headers=headers)
    assert_problem(other, Code.IDEMPOTENCY_CONFLICT, "idempotency_key")
    differs = await system.call(
        "POST", "/broadcasts", {**body, "idempotency_key": "july"}, headers=headers
    )
    assert_problem(differs, Code.INVALID_REQUEST, "idempotency_key")
    await completed(system, first.body["broadcast_id"])
    assert await reached(system, first.body["broadcast_id"]) == ["ann"]


async def test_a_template_that_went_away_ends_it(system: System) -> None:
    await system.template(IN_APP)
    await topic(system, "news", "ann")
    broadcast_id = await broadcast(
        system, audience={"topics": ["news"]}, send_at=system.from_now(1.5)
    )
    await called(system, "POST", "/templates/note/archive")
    found = await finished(system, broadcast_id)
    assert (found["state"], found["done"]) == ("failed", 0)
    assert "template" in found["problem"]
    assert await reached(system, broadcast_id) == []


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"audience": {}}, Code.INVALID_REQUEST, "audience"),
        ({"audience": {"everyone": False}}, Code.INVALID_REQUEST, "audience.everyone"),
        ({"audience": {"everyone": True, "topics": ["x"]}}, Code.INVALID_REQUEST, "audience"),
        ({"audience": {"topics": ["nope"]}}, Code.INVALID_REQUEST, "audience.topics.0"),
        ({"audience": {"segments": ["nope"]}}, Code.INVALID_REQUEST, "audience.segments.0"),
        ({"audience": {"topics": ["x"] * 21}}, Code.INVALID_REQUEST, "audience.topics"),
        ({"recipient": {"user_id": "ann"}}, Code.INVALID_REQUEST, "recipient"),
        ({"template_id": "nope"}, Code.UNKNOWN_TEMPLATE, "template_id"),
        ({"idempotency_key": ""}, Code.INVALID_REQUEST, "idempotency_key"),
        ({"send_at": "tomorrow"}, Code.INVALID_REQUEST, "send_at"),
    ],
)
async def test_wrong_requests(quiet: System, changes: Any, code: Code, path: str) -> None:
    body = {"template_id": "note", "audience": {"everyone": True}, **changes}
    assert_problem(await quiet.call("POST", "/broadcasts", body), code, path)
    page = await called(quiet, "GET", "/broadcasts")
    assert page["broadcasts"] == []


# ---------------------------------------------------------------- step by step


@pytest.fixture
async def still(dsn: str, tmp_path: Path) -> AsyncIterator[System]:
    """Without a worker: the test makes the steps."""
    async with System.run(dsn, tmp_path, working=False) as running:
        await running.template(IN_APP)
        yield running


@contextlib.asynccontextmanager
async def broadcaster(system: System) -> AsyncIterator[Broadcaster]:
    laid = foundation.lay(system.settings, system.dsn, "test")
    pool = await open_pool(system.dsn, size=2, name="test", hot=True)
    try:
        intake = open_intake(
            laid,
            pool,
            TemplateCache(pool),
            CategoryCache(),
            wake=lambda: None,
            metrics=Metrics(CollectorRegistry()),
            checkpoint=pass_by,
        )
        yield Broadcaster(pool, laid.keyring, intake, now, asyncio.Event(), pass_by)
    finally:
        await pool.close()


USERS = [f"user-{number:04}" for number in range(2 * PAGE + 50)]


async def test_paused_resumed_and_cancelled(still: System) -> None:
    await topic(still, "news", *USERS)
    broadcast_id = await broadcast(still, audience={"topics": ["news"]})
    async with broadcaster(still) as one:
        assert await one.step()
        assert (await read(still, broadcast_id))["expected"] == len(USERS)
        assert await one.step()
        assert await reached(still, broadcast_id) == USERS[:PAGE]
        await called(still, "POST", f"/batches/{broadcast_id}/pause")
        assert not await one.step()
        assert (await read(still, broadcast_id))["state"] == "paused"
        await called(still, "POST", f"/batches/{broadcast_id}/resume")
        assert await one.step()
        view = await read(still, broadcast_id)
        assert (view["state"], view["done"]) == ("running", 2 * PAGE)
        await called(still, "POST", f"/batches/{broadcast_id}/cancel")
        assert await one.step()
        assert not await one.step()
    assert await reached(still, broadcast_id) == USERS[: 2 * PAGE]
    view = await read(still, broadcast_id)
    assert (view["state"], view["problem"]) == ("cancelled", "It was cancelled.")


async def test_what_it_began_with_holds_for_all_of_them(still: System) -> None:
    """Template, segment, and dates relative to the day."""
    for start in range(0, PAGE + 20, 90):
        several = USERS[start : min(start + 90, PAGE + 20)]
        calls = [called(still, "PUT", f"/users/{user_id}", {"locale": "de"}) for user_id in several]
        await asyncio.gather(*calls)
    german = {
        "all": [
            {"attribute": "locale", "is": "de"},
            {"attribute": "created_at", "before": {"days_ago": 0}},
        ]
    }
    await called(still, "PUT", "/segments/german", {"filter": german})
    broadcast_id = await broadcast(still, audience={"segments": ["german"]})
    async with broadcaster(still) as one:
        assert await one.step()
        assert await one.step()
        await called(still, "PUT", "/segments/german", {"filter": {"not": german}})
        await called(
            still, "PUT", "/templates/note", {"content": {"in_app": {"title": "2", "body": "2"}}}
        )
        await called(still, "PUT", "/users/zoe", {"locale": "de"})
        while await one.step():
            pass
    assert await reached(still, broadcast_id) == USERS[: PAGE + 20]
    connection = await asyncpg.connect(still.dsn)
    versions = await connection.fetch("SELECT DISTINCT template_version FROM notifications")
    await connection.close()
    assert [row["template_version"] for row in versions] == [1]


async def test_several_at_once_reach_each_user_once(still: System) -> None:
    await topic(still, "news", *USERS)
    first = await broadcast(still, audience={"topics": ["news"]})
    second = await broadcast(still, audience={"topics": ["news"]})
    async with broadcaster(still) as one, broadcaster(still) as other:

        async def work(broadcasting: Broadcaster) -> None:
            while await broadcasting.step():
                pass

        await asyncio.gather(work(one), work(other), work(one))
        # Whoever came when the others held all of them may have gone before the last page.
        await work(one)
    for broadcast_id in (first, second):
        assert await reached(still, broadcast_id) == USERS
        view = await read(still, broadcast_id)
        assert (view["state"], view["done"]) == ("finished", len(USERS))


async def test_a_revoked_key_sends_no_more(still: System) -> None:
    await topic(still, "news", *USERS)
    body = {"template_id": "note", "data": {"word": "x"}, "audience": {"topics": ["news"]}}
    made = await still.call("POST", "/broadcasts", body, role=Role.SENDER)
    connection = await asyncpg.connect(still.dsn)
    await connection.execute("UPDATE api_keys SET revoked_at = now() WHERE role = 'sender'")
    await connection.close()
    async with broadcaster(still) as one:
        while await one.step():
            pass
    view = await read(still, made.body["broadcast_id"])
    assert (view["state"], view["done"]) == ("failed", 0)
    assert "revoked" in view["problem"]
