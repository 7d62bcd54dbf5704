"""Connections that break, processes that stop, messages that get lost: no change is lost or doubled."""

import asyncio
import contextlib
import random
import socket as socket_module
from pathlib import Path
from typing import Any

import pytest
import uuid_utils.compat as uuids
from websockets import ConnectionClosed

from tests.api.conftest import CONTENT
from tests.inbox.conftest import notify
from tests.inbox.following import follow
from tests.inbox.watchers import event_source, socket, token_for
from tests.support.system import System
from tidings.bootstrap.api import bind
from tidings.bootstrap.foundation import open_keyring
from tidings.inbox.telling import key_of
from tidings.store import inbox
from tidings.store.feeds import CHANNEL

pytestmark = pytest.mark.anyio


async def add(connection: Any, system: System, user_id: str, body: str, *, told: bool) -> None:
    """As the provider does it. told: the processes hear of it."""
    entry = inbox.Entry(uuids.uuid7(), user_id, "social", {"title": "t", "body": body})
    await inbox.add(connection, [entry], open_keyring(system.settings))
    if told:
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, key_of(user_id))


async def counted(connection: Any, user_id: str) -> dict[str, int]:
    row = await connection.fetchrow(
        """SELECT count(*) FILTER (WHERE read_at IS NULL) AS unread, count(*) FILTER (WHERE seen_at IS NULL) AS unseen,
             count(*) AS total FROM inbox WHERE user_id = $1 AND archived_at IS NULL""",
        user_id,
    )
    return dict(row)


async def live_for_a_while(system: System, other: System, users: list[str]) -> None:
    """Entries come, and are read and archived here and there."""
    dice = random.Random(7)
    for number in range(60):
        user = dice.choice(users)
        await notify(system, user, str(number))
        page = (await system.call("GET", f"/users/{user}/inbox")).body["entries"]
        what = dice.choice(["seen", "read", "read", "unread", "archive", "unarchive"])
        which = f"/{dice.choice(page)['id']}" if page and what != "seen" else ""
        if which or what in {"seen", "read"}:
            await dice.choice([system, other]).call("POST", f"/users/{user}/inbox{which}/{what}")


async def test_random_reconnects(dsn: str, connection: Any, tmp_path: Path) -> None:
    """To two API processes, with a worker that tells both, while entries come and go."""
    async with (
        System.run(dsn, tmp_path, inbox={"connections_per_user": 1_000}) as first,
        System.run(dsn, tmp_path, working=False, inbox={"connections_per_user": 1_000}) as second,
    ):
        await first.template(CONTENT)
        users = [f"user-{number}" for number in range(4)]
        goal: dict[str, int] = {}
        async with asyncio.TaskGroup() as tasks:
            followers = [
                tasks.create_task(
                    follow(
                        (first, second),
                        user,
                        await token_for(first, user),
                        random.Random(seed),
                        12,
                        goal,
                    )
                )
                for seed, user in enumerate(users * 2)
            ]
            await live_for_a_while(first, second, users)
            async with asyncio.timeout(30):
                while await connection.fetchval("SELECT count(*) FROM inbox") < 60:
                    await asyncio.sleep(0.01)
            rows = await connection.fetch("SELECT user_id, last FROM feeds")
            goal.update({row["user_id"]: row["last"] for row in rows})
        added = 0
        for user, follower in zip(users * 2, followers, strict=True):
            copy = follower.result()
            added += len(copy.added)
            assert copy.counters == copy.counted == await counted(connection, user)
            stored = (await first.call("GET", f"/users/{user}/inbox?limit=200")).body["entries"]
            shown = {key: one for key, one in copy.entries.items() if not one["archived"]}
            assert {one["id"]: one["read_at"] is not None for one in stored} == {
                key: one["read"] for key, one in shown.items()
            }
        assert added == 2 * 60


async def test_what_no_message_told_of_is_found(dsn: str, connection: Any, tmp_path: Path) -> None:
    async with System.run(dsn, tmp_path, working=False, inbox={"poll": 0.1}) as system:
        token = await token_for(system, "ann")
        async with event_source(system, "ann", token) as one, socket(system, "ann", token) as two:
            for watcher in (one, two):
                await watcher.next()
            await add(connection, system, "ann", "untold", told=False)
            for watcher in (one, two):
                assert (await watcher.next())["entries"][0]["body"] == "untold"


async def test_a_database_that_goes_away_for_a_while(
    dsn: str, connection: Any, tmp_path: Path
) -> None:
    """All connections of the process are cut: what was said meanwhile is found, though nobody hears of it."""
    async with (
        System.run(dsn, tmp_path, working=False, inbox={"poll": 300}) as system,
        event_source(system, "ann", await token_for(system, "ann")) as watcher,
    ):
        await watcher.next()
        await connection.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        )
        await add(connection, system, "ann", "meanwhile", told=True)
        assert (await watcher.next())["entries"][0]["body"] == "meanwhile"


@pytest.mark.parametrize("watch", [event_source, socket], ids=["sse", "websocket"])
async def test_one_who_takes_nothing_is_sent_away_and_comes_back(
    dsn: str, connection: Any, tmp_path: Path, watch: Any
) -> None:
    settings = {"buffer": 3, "patience": 1}
    async with System.run(dsn, tmp_path, working=False, inbox=settings) as system:
        token = await token_for(system, "ann")
        count = 120
        async with watch(system, "ann", token) as slow, watch(system, "ann", token) as quick:
            await slow.next()
            if watch is socket:
                slow.connection.transport.pause_reading()
            else:
                slow.writer.transport.pause_reading()
            await quick.next()
            for number in range(count):
                await add(connection, system, "ann", f"{number}:{'x' * 200_000}", told=True)
                assert (await quick.next())["entries"][0]["body"].startswith(f"{number}:")
            await closed_for(system, "too_slow")
            if watch is socket:
                slow.connection.transport.resume_reading()
            else:
                slow.writer.transport.resume_reading()
            bodies, number = await read_to_the_end(slow)
        assert len(bodies) < count
        mark = "?" if watch is socket else "&"
        async with watch(system, "ann", token, f"{mark}after={number}") as again:
            assert (await again.next())["event"] == "ready"
            while len(bodies) < count:
                bodies.append((await again.next())["entries"][0]["body"].partition(":")[0])
        assert bodies == [str(number) for number in range(count)]


async def read_to_the_end(watcher: Any) -> tuple[list[str], int]:
    """What had been sent before the connection was given up, and the last number of it."""
    bodies: list[str] = []
    number = 0
    with contextlib.suppress(EOFError, OSError, ConnectionClosed, ValueError):
        while (event := await watcher.next())["event"] != "closing":
            number = event["number"]
            bodies.append(event["entries"][0]["body"].partition(":")[0])
    return bodies, number


async def closed_for(system: System, reason: str) -> None:
    async with asyncio.timeout(30):
        while f'reason="{reason}"' not in (await system.call("GET", "/metrics")).body:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("watch", [event_source, socket], ids=["sse", "websocket"])
async def test_a_process_that_stops_says_so_at_once(dsn: str, tmp_path: Path, watch: Any) -> None:
    async with contextlib.AsyncExitStack() as stack:
        running = contextlib.AsyncExitStack()
        system = await running.enter_async_context(
            System.run(dsn, tmp_path, working=False, api={"shutdown_grace": 60})
        )
        token = await token_for(system, "ann")
        watcher = await stack.enter_async_context(watch(system, "ann", token))
        await watcher.next()
        stopping = asyncio.create_task(running.aclose())
        assert await watcher.next() == {"event": "closing", "reason": "shutting_down"}
        if watch is socket:
            assert await watcher.closed() == (1012, "shutting_down")
        async with asyncio.timeout(20):  # of 60 that open requests would get
            await stopping


async def test_a_feed_that_cannot_be_shown_leaves_the_others_alone(
    dsn: str, connection: Any, tmp_path: Path
) -> None:
    async with (
        System.run(dsn, tmp_path, working=False) as system,
        event_source(system, "ann", await token_for(system, "ann")) as ann,
        event_source(system, "bob", await token_for(system, "bob")) as bob,
    ):
        await ann.next()
        await bob.next()
        broken = inbox.Entry(uuids.uuid7(), "ann", "social", {"no": "title"})
        whole = inbox.Entry(uuids.uuid7(), "bob", "social", {"title": "t", "body": "b"})
        await inbox.add(connection, [broken, whole], open_keyring(system.settings))
        told = f"{key_of('ann')} {key_of('bob')}"
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, told)
        assert (await bob.next())["event"] == "added"
        assert await ann.next() == {"event": "closing", "reason": "failed"}


@pytest.mark.parametrize("watch", [event_source, socket], ids=["sse", "websocket"])
async def test_heartbeats_tell_the_number(dsn: str, tmp_path: Path, watch: Any) -> None:
    async with (
        System.run(dsn, tmp_path, working=False, inbox={"heartbeat": 1}) as system,
        watch(system, "ann", await token_for(system, "ann")) as watcher,
    ):
        ready = await watcher.any()
        assert await watcher.any() == {"event": "heartbeat", "number": ready["number"]}


@pytest.mark.skipif(not hasattr(socket_module, "TCP_USER_TIMEOUT"), reason="Linux has it")
def test_a_peer_that_died_is_not_waited_for() -> None:
    with bind("127.0.0.1", 0) as listening:
        listening.listen()
        with socket_module.create_connection(listening.getsockname()), listening.accept()[0] as one:
            waits = one.getsockopt(socket_module.IPPROTO_TCP, socket_module.TCP_USER_TIMEOUT)
    assert 0 < waits <= 60_000
