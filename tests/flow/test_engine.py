"""The engine through its public doors: doubt that stays, accounts that fail, and neighbours that suffer nothing."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import pytest
import structlog
import structlog.testing

from tests.cli.conftest import free_port
from tests.providers.smtp_server import mail_server
from tests.support.sink import Sink
from tests.support.system import System
from tidings.delivery import deciding, pump
from tidings.delivery.claiming import Claimer
from tidings.delivery.preparing import prepare
from tidings.delivery.verdicts import Verdicts
from tidings.store import deliveries, settlements

pytestmark = pytest.mark.anyio

SECRET = "whsec_" + "c2VjcmV0" * 4
ALLOWED: dict[str, Any] = {"outbound": {"allow": ["127.0.0.0/8"]}, "retry": {"base": 0.05}}
FEED = {"in_app": {"title": "t", "body": "b"}}
Database: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@contextlib.contextmanager
def captured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What the delivery room logs. Loggers remember how they were set up when first used: these are new."""
    for module in (pump, deciding):
        monkeypatch.setattr(module, "log", structlog.get_logger())
    with structlog.testing.capture_logs() as logs:
        yield logs


def hooks(**more: Any) -> dict[str, Any]:
    return {"hooks": {"provider": "webhook", "secret": SECRET, **more}}


def mail(port: int, **more: Any) -> dict[str, Any]:
    return {
        "provider": "smtp",
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "from": "shop@example.com",
        **more,
    }


async def attempts(connection: Database) -> list[tuple[str, str, str | None]]:
    rows = await connection.fetch("SELECT account, outcome, choice FROM attempts ORDER BY number")
    return [(row["account"], row["outcome"], row["choice"]) for row in rows]


def tried(count: int) -> Callable[[Any], bool]:
    return lambda delivery: delivery["attempts"] >= count


async def test_a_refusal_does_not_undo_an_earlier_doubt(dsn: str, tmp_path: Path) -> None:
    """The first call may have been taken, so that the second was refused says nothing of it."""
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=hooks(timeout=0.5), **ALLOWED) as system,
    ):
        await system.template({"webhook": {}})
        sink.delay = 30
        notification_id = await system.send({"webhook_url": sink.url})
        await sink.times(1)
        sink.delay, sink.status = 0, 410
        status = await system.settled(notification_id)
    (delivery,) = status["deliveries"]
    assert (delivery["status"], delivery["reason"]) == ("unknown", "endpoint_gone")
    assert delivery["attempts"] == 2


@pytest.mark.parametrize("end", ["expired", "cancelled"])
async def test_what_ends_in_doubt_ends_as_unknown(dsn: str, tmp_path: Path, end: str) -> None:
    options = {**ALLOWED, "retry": {"base": 3600}}
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=hooks(timeout=0.5), **options) as system,
    ):
        await system.template({"webhook": {}, **FEED})
        sink.delay = 30
        expires: dict[str, Any] = {"expires_at": system.from_now(3)} if end == "expired" else {}
        notification_id = await system.send(
            {"webhook_url": sink.url, "user_id": "u"},
            routing="fallback",
            channel_preferences=["webhook", "in_app"],
            **expires,
        )
        await system.until(
            notification_id, lambda one: one["attempts"] or one["channel"] != "webhook"
        )
        if end == "cancelled":
            answer = await system.call("POST", f"/notifications/{notification_id}/cancel")
            assert answer.status == 200
        status = await system.settled(notification_id)
    first, second = status["deliveries"]
    assert (first["status"], first["reason"]) == ("unknown", end)
    assert first["provider"] == "webhook", "who may have sent it stays known"
    assert second["status"] in {"skipped", "cancelled"}, "the person may have been told already"


async def test_the_next_account_takes_what_one_could_not(
    dsn: str, tmp_path: Path, connection: Database
) -> None:
    async with mail_server() as server:
        accounts = {
            "dead": mail(free_port(), order=1),
            "alive": mail(server.port, order=2),
        }
        async with System.run(dsn, tmp_path, accounts=accounts) as system:
            await system.template({"email": {"subject": "s", "text": "t"}})
            status = await system.settled(await system.send({"email": "ada@example.com"}))
        assert len(server.envelopes) == 1
    assert status["status"] == "sent"
    assert await attempts(connection) == [
        ("dead", "transient", "first"),
        ("alive", "accepted", "after_failure"),
    ]


async def test_no_other_account_takes_what_one_may_have_sent(
    dsn: str, tmp_path: Path, connection: Database
) -> None:
    """Two accounts for webhooks; the one that was called first falls silent, and stays the only one."""
    accounts = {
        "first": hooks(timeout=0.5, order=1)["hooks"],
        "second": hooks(timeout=0.5, order=2)["hooks"],
    }
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=accounts, **ALLOWED) as system,
    ):
        await system.template({"webhook": {}})
        sink.delay = 30
        notification_id = await system.send({"webhook_url": sink.url})
        await sink.times(1)
        sink.delay, sink.status = 0, 503
        await system.until(notification_id, tried(3))
        sink.status = 200
        status = await system.settled(notification_id)
    assert status["status"] == "delivered"
    first, *others = await attempts(connection)
    assert first == ("first", "unknown", "first")
    assert {(account, choice) for account, _, choice in others} == {("first", "pinned")}


async def test_a_silent_server_does_not_hold_up_another_channel(dsn: str, tmp_path: Path) -> None:
    """More mail for it than the worker has places, and a feed entry behind it all."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    accounts = {"mail": mail(server.sockets[0].getsockname()[1], timeout=15)}
    worker = {"concurrency": 60, "shutdown_grace": 0.1}
    async with server, System.run(dsn, tmp_path, accounts=accounts, worker=worker) as system:
        await system.template({"email": {"subject": "s", "text": "t"}}, "mail")
        await system.template(FEED)
        many = [
            {"template_id": "mail", "recipient": {"email": f"p{n}@example.com"}, "priority": "low"}
            for n in range(300)
        ]
        answer = await system.call("POST", "/notifications/bulk", {"notifications": many})
        assert answer.body["rejected"] == 0
        quick = await asyncio.gather(
            *(system.send({"user_id": "u"}, priority=word) for word in ("critical", "low"))
        )
        for notification_id in quick:
            assert (await system.settled(notification_id, 10))["status"] == "delivered"
        first = answer.body["results"][0]["notification_id"]
        assert (await system.status(first))["status"] == "pending"


async def test_an_error_with_one_delivery_is_its_own(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "@".join(("ada", "example.com"))

    def failing(work: Any, *rest: Any, **more: Any) -> Any:
        if work.user_id == "poison":
            raise RuntimeError(secret)
        return prepare(work, *rest, **more)

    monkeypatch.setattr(deciding, "prepare", failing)
    async with System.run(dsn, tmp_path) as system:
        await system.template(FEED)
        with captured(monkeypatch) as logs:
            poisoned = await system.send({"user_id": "poison"})
            status = await system.until(poisoned, lambda one: one["reason"] is not None)
            fine = await system.settled(await system.send({"user_id": "u"}))
    assert fine["status"] == "delivered"
    (delivery,) = status["deliveries"]
    assert (delivery["status"], delivery["reason"]) == ("pending", "internal_error")
    errors = [line for line in logs if line["event"] == "delivery.internal_error"]
    assert errors
    assert secret not in str(logs)


async def test_what_was_being_sent_when_a_newer_took_its_place_is_not_tried_again(
    dsn: str, tmp_path: Path
) -> None:
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=hooks(), **ALLOWED) as system,
    ):
        await system.template({"webhook": {}})
        sink.delay, sink.status = 1, 503
        recipient = {"user_id": "u", "webhook_url": sink.url}
        channels: dict[str, Any] = {"channel_preferences": ["webhook"], "collapse_key": "score"}
        older = await system.send(recipient, **channels)
        await sink.times(1)
        newer = await system.send(recipient, **channels)
        (delivery,) = (await system.settled(older))["deliveries"]
        sink.delay, sink.status = 0, 200
        assert (await system.settled(newer))["status"] == "delivered"
    assert (delivery["status"], delivery["reason"]) == ("cancelled", "collapsed")
    assert delivery["attempts"] == 1


async def test_an_error_upon_an_error_holds_nothing(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What should postpone a delivery after an error fails too: a worker of one place goes on to the next."""

    def failing(work: Any, *rest: Any, **more: Any) -> Any:
        if work.user_id == "poison":
            raise RuntimeError
        return prepare(work, *rest, **more)

    def failing_again(*_: Any) -> Any:
        raise OverflowError

    monkeypatch.setattr(deciding, "prepare", failing)
    monkeypatch.setattr(Verdicts, "postponed", failing_again)
    async with System.run(dsn, tmp_path, worker={"concurrency": 1}) as system:
        await system.template(FEED)
        items = [{"template_id": "note", "recipient": {"user_id": u}} for u in ("u", "poison", "v")]
        answer = await system.call("POST", "/notifications/bulk", {"notifications": items})
        first, poisoned, last = (one["notification_id"] for one in answer.body["results"])
        assert (await system.settled(first))["status"] == "delivered"
        assert (await system.settled(last))["status"] == "delivered"
        (delivery,) = (await system.until(poisoned, lambda one: one["reason"]))["deliveries"]
    assert (delivery["status"], delivery["reason"]) == ("pending", "internal_error")


async def test_an_error_with_what_a_limit_refuses_keeps_no_place_for_ever(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> Any:
        raise OverflowError

    monkeypatch.setattr(Verdicts, "limited", failing)
    limits = {"gentle": {"rate": "1/h", "scope": "user"}}
    async with System.run(dsn, tmp_path, worker={"concurrency": 1}, limits=limits) as system:
        await system.template(FEED)
        first = await system.send({"user_id": "u"})
        assert (await system.settled(first))["status"] == "delivered"
        refused = await system.send({"user_id": "u"})
        other = await system.send({"user_id": "v"})
        assert (await system.settled(other))["status"] == "delivered"
        (delivery,) = (await system.until(refused, lambda one: one["reason"]))["deliveries"]
    assert (delivery["status"], delivery["reason"]) == ("pending", "internal_error")


async def test_a_row_that_cannot_be_written_does_not_lose_the_others(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a batch, the database refuses one row: the outcomes of the others are known only to this worker."""
    refused: set[Any] = set()
    write = settlements.settle

    async def refusing(connection: Any, rows: Any, now: Any) -> Any:
        if any(row.delivery_id in refused for row in rows):
            raise asyncpg.CheckViolationError("as a broken release might cause")
        return await write(connection, rows, now)

    monkeypatch.setattr(settlements, "settle", refusing)
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=hooks(), **ALLOWED) as system,
    ):
        await system.template({"webhook": {}})
        many = [{"template_id": "note", "recipient": {"webhook_url": sink.url}} for _ in range(40)]
        sink.delay = 0.3
        answer = await system.call("POST", "/notifications/bulk", {"notifications": many})
        ids = [one["notification_id"] for one in answer.body["results"]]
        bad = (await system.status(ids[7]))["deliveries"][0]["delivery_id"]
        refused.add(UUID(bad))
        for number, one in enumerate(ids):
            if number != 7:
                assert (await system.settled(one))["status"] == "delivered"
        assert (await system.status(ids[7]))["status"] == "pending"
    assert sink.doubled == set()


async def test_an_error_of_a_whole_claim_does_not_end_the_worker(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its entries are taken over when their lease has run out, and the outcomes of other calls are kept."""
    load, failures = deliveries.load, iter([RuntimeError("broken"), None])

    async def failing(*arguments: Any) -> Any:
        if (failure := next(failures, None)) is not None:
            raise failure
        return await load(*arguments)

    monkeypatch.setattr(deliveries, "load", failing)
    worker = {"lease": 2, "heartbeat": 0.5, "poll": 0.1}
    accounts = {"feed": {"provider": "inapp", "timeout": 1}}
    async with System.run(dsn, tmp_path, worker=worker, accounts=accounts) as system:
        await system.template(FEED)
        with captured(monkeypatch) as logs:
            status = await system.settled(await system.send({"user_id": "u"}))
    assert status["status"] == "delivered"
    assert [line["error"] for line in logs if line["event"] == "claim.failed"] == ["RuntimeError"]


async def test_an_error_of_an_urgent_claim_does_not_end_the_worker(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes while the claim loop is busy with the first."""
    load, tried = deliveries.load, asyncio.Event()

    async def held_up(*arguments: Any) -> Any:
        await tried.wait()
        return await load(*arguments)

    async def failing(*_: Any) -> Any:
        tried.set()
        raise RuntimeError("broken")

    monkeypatch.setattr(deliveries, "load", held_up)
    monkeypatch.setattr(Claimer, "claim_urgent", failing)
    accounts = {"feed": {"provider": "inapp", "timeout": 1}}
    async with System.run(dsn, tmp_path, worker={"poll": 0.1}, accounts=accounts) as system:
        await system.template(FEED)
        with captured(monkeypatch) as logs:
            first = await system.send({"user_id": "u"})
            async with asyncio.timeout(20):
                while not tried.is_set():  # the worker may not yet be busy when it hears of one
                    last = await system.send({"user_id": "v"})
                    await asyncio.sleep(0.01)
            ends = [await system.settled(one) for one in (first, last)]
    assert [one["status"] for one in ends] == ["delivered", "delivered"]
    assert "RuntimeError" in [line["error"] for line in logs if line["event"] == "claim.failed"]


async def test_two_loops_that_took_more_than_there_is_room_for_claim_no_more(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim for less than no places would be held against the lanes that are critical."""
    load, claim = deliveries.load, Claimer.claim
    both, wanted = asyncio.Event(), []
    loads = 0

    async def held_up(*arguments: Any) -> Any:
        nonlocal loads
        loads += 1
        if loads == 2:
            both.set()
        await both.wait()
        return await load(*arguments)

    async def watched(self: Claimer, most: int, ordinary: int) -> Any:
        wanted.append(most)
        return await claim(self, most, ordinary)

    monkeypatch.setattr(deliveries, "load", held_up)
    monkeypatch.setattr(Claimer, "claim", watched)
    async with (
        Sink.run() as sink,
        System.run(
            dsn, tmp_path, accounts=hooks(), worker={"concurrency": 2, "poll": 0.1}, **ALLOWED
        ) as system,
    ):
        await system.template({"webhook": {}})
        sink.delay = 1
        async with asyncio.timeout(20):
            while not both.is_set():
                await system.call(
                    "POST",
                    "/notifications/bulk",
                    {
                        "notifications": [
                            {
                                "template_id": "note",
                                "recipient": {"webhook_url": sink.url},
                                "priority": "critical",
                            }
                        ]
                        * 4
                    },
                )
                await asyncio.sleep(0.05)
        await sink.times(4)
    assert min(wanted) > 0
