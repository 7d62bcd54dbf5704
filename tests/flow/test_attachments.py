"""Files of a request: on the wire to the byte, at rest sealed, bounded in size and in memory, refused where they cannot go."""

import asyncio
import base64
import email
import email.policy
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.api.problem import assert_problem
from tests.flow.test_delivery import smtp_account
from tests.providers.smtp_server import MailServer, mail_server
from tests.support.system import Answer, System
from tidings.api.problems import Code
from tidings.store.api_keys import Role

pytestmark = pytest.mark.anyio

ADA = {"email": "ada@example.com"}
CONTENT = {
    "email": {"subject": "Invoice", "html": '<p>Yours: <img src="cid:logo"></p>', "text": "Yours"},
    "in_app": {"title": "Invoice", "body": "Yours"},
}
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 4


def file(content: bytes = PDF, filename: str = "invoice.pdf", **more: Any) -> dict[str, Any]:
    return {"filename": filename, "content": base64.b64encode(content).decode(), **more}


def attached(*files: dict[str, Any]) -> dict[str, Any]:
    return {"attachments": list(files)}


@pytest.fixture
async def mail() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


@pytest.fixture
async def system(dsn: str, tmp_path: Path, mail: MailServer) -> AsyncIterator[System]:
    async with System.run(dsn, tmp_path, accounts=smtp_account(mail.port)) as running:
        await running.template(CONTENT)
        yield running


def parts_of(mail: MailServer, number: int = -1) -> list[tuple[str | None, str, str | None, bytes]]:
    """Of each file that came: its name, type, content id and bytes."""
    content = mail.envelopes[number].original_content
    assert isinstance(content, bytes)
    message = email.message_from_bytes(content, policy=email.policy.default)
    return [
        (
            part.get_filename(),
            part.get_content_type(),
            part["Content-ID"],
            cast("bytes", part.get_content())
            if part.get_content_maintype() != "text"
            else cast("bytes", part.get_payload(decode=True)),
        )
        for part in message.walk()
        if part.get_filename() is not None
    ]


async def count(dsn: str, table: str = "attachments") -> int:
    connection = await asyncpg.connect(dsn)
    try:
        found: int = await connection.fetchval(f"SELECT count(*) FROM {table}")
    finally:
        await connection.close()
    return found


async def post(system: System, options: Any, **more: Any) -> Answer:
    body = {"template_id": "note", "recipient": ADA, "email": options, **more}
    return await system.call("POST", "/notifications/send", body)


async def test_files_arrive_as_they_were(system: System, mail: MailServer) -> None:
    picture, words = os.urandom(3_000), "Grüße\r\nund\nmehr".encode()
    files = [
        file(),
        file(words, "Übersicht – 2030 «neu».csv"),
        file(picture, "logo.png", content_id="logo"),
        file(b"\x00\x01", "data.unknown", content_type="application/x-thing"),
    ]
    status = await system.settled(await system.send(ADA, email=attached(*files)))
    assert status["deliveries"][0]["status"] == "sent"
    found = {name: rest for name, *rest in parts_of(mail)}
    assert found == {
        "invoice.pdf": ["application/pdf", None, PDF],
        "Übersicht – 2030 «neu».csv": ["text/csv", None, words],
        "logo.png": ["image/png", "<logo>", picture],
        "data.unknown": ["application/x-thing", None, b"\x00\x01"],
    }


async def test_they_may_be_larger_than_all_the_rest(system: System, mail: MailServer) -> None:
    large = os.urandom(3 * 2**20)
    status = await system.settled(await system.send(ADA, email=attached(file(large))))
    assert status["deliveries"][0]["status"] == "sent"
    assert [content for *_, content in parts_of(mail)] == [large]


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        (file(b""), "content"),
        ({"filename": "a.txt", "content": "no base64!"}, "content"),
        ({"filename": "a.txt", "content": "YQ"}, "content"),
        ({"filename": "a.txt", "content": 7}, "content"),
        ({"filename": "a.txt"}, "content"),
        ({"content": "YQ=="}, "filename"),
        (file(filename=""), "filename"),
        (file(filename="../../etc/passwd"), "filename"),
        (file(filename="C:\\invoice.pdf"), "filename"),
        (file(filename=".."), "filename"),
        (file(filename="a\r\nBcc: eve@example.com"), "filename"),
        (file(filename="fdp.\u202eexe"), "filename"),
        (file(filename="a" * 256), "filename"),
        (file(content_type="text"), "content_type"),
        (file(content_type="text/html\r\nBcc: eve@example.com"), "content_type"),
        (file(content_type="multipart/mixed"), "content_type"),
        (file(content_type="message/rfc822"), "content_type"),
        (file(content_id="a b"), "content_id"),
        (file(content_id="<logo>"), "content_id"),
        (file(url="https://example.com/"), "url"),
    ],
)
async def test_what_is_no_file_is_told_where(
    system: System, mail: MailServer, wrong: dict[str, Any], where: str
) -> None:
    answer = await post(system, attached(file(), wrong))
    assert_problem(answer, Code.INVALID_REQUEST, f"email.attachments.1.{where}")
    assert "%PDF" not in json.dumps(answer.body)
    assert await count(system.dsn, "notifications") == 0


async def test_too_many_and_two_of_one_content_id(system: System) -> None:
    assert_problem(
        await post(system, attached(*[file(b"a")] * 21)),
        Code.INVALID_REQUEST,
        "email.attachments",
    )
    twice = attached(file(content_id="logo"), file(content_id="logo"))
    assert_problem(await post(system, twice), Code.INVALID_REQUEST, "email.attachments")


async def test_too_large_stores_nothing(dsn: str, tmp_path: Path) -> None:
    api = {"max_attachments": 100_000, "max_body": 10_000}
    async with System.run(dsn, tmp_path, api=api, working=False) as system:
        await system.template(CONTENT)
        half = file(os.urandom(50_000))
        assert (await post(system, attached(half, half))).status == 202
        answer = await post(system, attached(half, half, file(b"a")))
        assert_problem(answer, Code.ATTACHMENTS_TOO_LARGE, "email.attachments")
        answer = await post(system, attached(*[half] * 4))
        assert_problem(answer, Code.BODY_TOO_LARGE)
        answer = await post(system, attached(half), data={"text": "x" * 10_000})
        assert_problem(answer, Code.BODY_TOO_LARGE)
        answer = await post(system, None, data={"text": "x" * 10_000})
        assert_problem(answer, Code.BODY_TOO_LARGE)
        assert await count(dsn, "notifications") == 1
        assert await count(dsn) == 2


async def test_where_there_are_to_be_none(dsn: str, tmp_path: Path) -> None:
    async with System.run(dsn, tmp_path, api={"max_attachments": 0}, working=False) as system:
        await system.template(CONTENT)
        assert_problem(await post(system, attached(file())), Code.ATTACHMENTS_TOO_LARGE)
        schedule = {
            "cron": "0 9 * * *",
            "request": {"template_id": "note", "recipient": ADA, "email": attached(file())},
        }
        assert_problem(
            await system.call("POST", "/schedules", schedule), Code.ATTACHMENTS_TOO_LARGE
        )


async def test_in_bulk_each_has_its_own(system: System, mail: MailServer) -> None:
    one = {"template_id": "note", "recipient": ADA}
    large = os.urandom(400_000)
    items = [
        {**one, "email": attached(file(b"first"))},
        one,
        {**one, "email": attached(file(large))},
        {**one, "email": attached(file(b"x")), "data": {"text": "x" * 300_000}},
        {**one, "email": {"attachments": [{"filename": "a", "content": "?"}]}},
    ]
    answer = await system.call("POST", "/notifications/bulk", {"notifications": items})
    results = answer.body["results"]
    codes = [one["problem"]["code"] if "problem" in one else None for one in results]
    assert codes == [None, None, None, "body_too_large", "invalid_request"]
    for result in results[:3]:
        await system.settled(result["notification_id"])
    found = [content for number in range(3) for *_, content in parts_of(mail, number)]
    assert sorted(found, key=len) == [b"first", large]


async def test_in_a_stream(system: System, mail: MailServer) -> None:
    one = {"template_id": "note", "recipient": ADA}
    large = os.urandom(400_000)
    lines = [{**one, "email": attached(file(large))}, one]
    raw = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    headers = {"content-type": "application/x-ndjson"}
    request = (
        system.client.post(f"{system.url}/notifications/bulk?ids=true")
        .bearer_auth(system.keys[Role.ADMIN])
        .headers(headers)
        .body_bytes(raw)
    )
    told = [json.loads(line) for line in (await (await request.build().send()).text()).splitlines()]
    sent = [one["notification_id"] for one in told if "notification_id" in one]
    assert len(sent) == 2
    for one_sent in sent:
        await system.settled(one_sent)
    assert sorted(len(parts_of(mail, number)) for number in range(2)) == [0, 1]


async def test_a_stream_takes_none_for_all_of_its_lines(system: System) -> None:
    lines = [{"defaults": {"template_id": "note", "email": attached(file())}}, {"recipient": ADA}]
    raw = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    answer = await (
        system.client.post(f"{system.url}/notifications/bulk")
        .bearer_auth(system.keys[Role.ADMIN])
        .header("content-type", "application/x-ndjson")
        .body_bytes(raw)
        .build()
        .send()
    )
    last = json.loads((await answer.text()).splitlines()[-1])
    assert last["problem"]["errors"][0]["path"] == "defaults.email.attachments"


async def test_a_dry_run_stores_none(system: System) -> None:
    answer = await post(system, attached(file()), dry_run=True)
    assert answer.status == 200, answer.body
    assert await count(system.dsn) == 0


async def test_another_channel_knows_nothing_of_them(system: System, mail: MailServer) -> None:
    recipient = {**ADA, "user_id": "ada"}
    options = attached(file())
    sent = await system.send(recipient, email=options, channel_preferences=["in_app"])
    status = await system.settled(sent)
    assert [one["status"] for one in status["deliveries"]] == ["delivered"]
    assert await count(system.dsn) == 0


async def test_the_key_of_a_request_covers_them(system: System) -> None:
    first = await post(system, attached(file()), idempotency_key="one")
    again = await post(system, attached(file()), idempotency_key="one")
    assert first.body == again.body
    other = await post(system, attached(file(b"other")), idempotency_key="one")
    assert_problem(other, Code.IDEMPOTENCY_CONFLICT)
    assert await count(system.dsn) == 1


async def test_where_no_account_sends_files_the_request_is_refused(
    dsn: str, tmp_path: Path
) -> None:
    # In the place of the outbox of development, which would serve every channel.
    accounts = {"outbox": {"provider": "webhook", "secret": "whsec_" + "c2VjcmV0" * 4}}
    async with System.run(dsn, tmp_path, accounts=accounts, working=False) as system:
        await system.template(CONTENT)
        for wanted in (file(), file(content_id="logo")):
            body = {"template_id": "note", "recipient": {**ADA, "user_id": "ada"}}
            body["email"] = attached(wanted)
            answer = await system.call("POST", "/notifications/send", body)
            assert_problem(answer, Code.ATTACHMENTS_NOT_SUPPORTED, "email.attachments.0")


async def test_at_rest_they_are_sealed_and_wait_for_a_worker(
    dsn: str, tmp_path: Path, mail: MailServer
) -> None:
    accounts = smtp_account(mail.port)
    async with System.run(dsn, tmp_path, accounts=accounts, working=False) as system:
        await system.template(CONTENT)
        notification_id = await system.send(ADA, email=attached(file(b"terms" * 100, "terms.txt")))
    connection = await asyncpg.connect(dsn)
    try:
        sealed = [row["sealed"] for row in await connection.fetch("SELECT sealed FROM attachments")]
        sealed += [
            row["sealed"] for row in await connection.fetch("SELECT sealed FROM notifications")
        ]
    finally:
        await connection.close()
    assert len(sealed) == 2
    assert not any(b"terms" in one for one in sealed)
    async with System.run(dsn, tmp_path, accounts=accounts) as system:
        await system.settled(notification_id)
    assert [content for *_, content in parts_of(mail)] == [b"terms" * 100]


async def test_no_more_of_them_is_in_memory_than_allowed(
    dsn: str, tmp_path: Path, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the mail server thinks about the first, the second waits, and says why; one without files passes."""
    release, waiting = asyncio.Event(), list[Envelope]()
    take = mail.handle_DATA

    async def held(server: SMTP, session: Session, envelope: Envelope) -> str:
        if b"attachment;" in bytes(envelope.original_content or b""):
            waiting.append(envelope)
            await release.wait()
        return await take(server, session, envelope)

    monkeypatch.setattr(mail, "handle_DATA", held)
    accounts, worker = smtp_account(mail.port), {"attachment_memory": 2**20}
    async with System.run(dsn, tmp_path, accounts=accounts, worker=worker) as system:
        await system.template(CONTENT)
        large = attached(file(os.urandom(700_000)))
        sent = [await system.send(ADA, email=large) for _ in range(3)]
        plain = await system.send(ADA)
        assert (await system.settled(plain))["deliveries"][0]["status"] == "sent"

        def told(delivery: Any) -> bool:
            return bool(delivery["reason"] == "files_waiting")

        seen = 0
        async with asyncio.timeout(20):
            while seen < 2:
                found = [(await system.status(one))["deliveries"][0] for one in sent]
                seen = sum(map(told, found))
                await asyncio.sleep(0.05)
        assert len(waiting) == 1
        release.set()
        for one in sent:
            (delivery,) = (await system.settled(one))["deliveries"]
            assert (delivery["status"], delivery["attempts"]) == ("sent", 1)
    assert sum(len(parts_of(mail, number)) for number in range(4)) == 3


async def test_one_that_is_larger_than_all_of_it_goes_alone(
    dsn: str, tmp_path: Path, mail: MailServer
) -> None:
    accounts, worker = smtp_account(mail.port), {"attachment_memory": 2**20}
    async with System.run(dsn, tmp_path, accounts=accounts, worker=worker) as system:
        await system.template(CONTENT)
        large = attached(file(os.urandom(1_500_000)))
        sent = [await system.send(ADA, email=large) for _ in range(2)]
        for one in sent:
            assert (await system.settled(one))["deliveries"][0]["status"] == "sent"


async def test_a_replay_takes_them_along(
    system: System, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing, take = asyncio.Event(), mail.handle_DATA

    async def choosy(server: SMTP, session: Session, envelope: Envelope) -> str:
        return "550 5.7.1 No" if refusing.is_set() else await take(server, session, envelope)

    monkeypatch.setattr(mail, "handle_DATA", choosy)
    refusing.set()
    failed = await system.settled(await system.send(ADA, email=attached(file(), file(b"b"))))
    refusing.clear()
    (delivery,) = failed["deliveries"]
    assert delivery["status"] == "failed"
    answer = await system.call("POST", f"/dead-letters/{delivery['delivery_id']}/replay", {})
    assert answer.status in {200, 202}, answer.body
    status = await system.settled(answer.body["notification_id"])
    assert status["deliveries"][0]["status"] == "sent"
    assert [content for *_, content in parts_of(mail)] == [PDF, b"b"]


async def test_they_go_with_the_person(system: System, mail: MailServer) -> None:
    await system.settled(await system.send({**ADA, "user_id": "ada"}, email=attached(file())))
    request = system.client.get(f"{system.url}/users/ada/export").bearer_auth(
        system.keys[Role.ADMIN]
    )
    assert '"filename":"invoice.pdf"' in await (await request.build().send()).text()
    erased = await system.call("POST", "/users/ada/erase")
    assert erased.body["complete"]
    assert await count(system.dsn) == 0
