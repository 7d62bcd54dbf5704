"""Sealed at rest: what was sent is nowhere in clear, neither in a row nor in a file of the database."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.store.tables import table_names
from tests.support.system import System
from tidings.bootstrap.foundation import open_keyring
from tidings.domain.channels import Channel
from tidings.store import suppressions
from tidings.store.embedded import EmbeddedServer

pytestmark = pytest.mark.anyio

# Each is long and strange enough to be found nowhere by accident, in any case of its letters.
MARKS = {
    "name": "Quzixy Ωmega-7f3a",
    "email": "quzixy.9d4c@mail.example.com",
    "phone": "+15559481726",
    "token": "tok-quzixy-55ab1c",
    "webhook": "https://hooks.example.com/quzixy-77e1",
    "chat": "https://chat.example.com/quzixy-23fe",
    "metadata": "meta-quzixy-0c9b",
    "suppressed": "gone-quzixy-41d8@example.com",
    "failing": "fail-quzixy-8a8a@example.com",
    "url": "https://app.example.com/reset/quzixy-6b2d",
}
CONTENT = {
    "email": {"subject": "For {{ name }}", "html": "<a href='{{ url }}'>{{ name }}</a>"},
    "sms": {"body": "{{ name }} {{ url }}"},
    "push": {"title": "{{ name }}", "body": "{{ url }}"},
    "in_app": {"title": "{{ name }}", "body": "{{ url }}", "url": "{{ url }}"},
    "webhook": {},
    "chat": {"body": "{{ name }} {{ url }}"},
}
FAILING = {
    "email": {"subject": "s", "text": "{{ name }}{{ names[name] }}{{ name.missing }}"},
    "sms": {"body": "{{ name + 1 }}"},
}


async def send_all(system: System) -> None:
    """Through every channel; then failing, suppressed, scheduled, and with every option."""
    await system.template(CONTENT)
    await system.template(FAILING, "failing")
    data = {"name": MARKS["name"], "url": MARKS["url"], "names": {}}
    recipient = {
        "user_id": "ann",
        "email": MARKS["email"],
        "phone": MARKS["phone"],
        "push_tokens": [MARKS["token"]],
        "webhook_url": MARKS["webhook"],
        "chat_url": MARKS["chat"],
    }
    options: dict[str, Any] = {"metadata": {"order": MARKS["metadata"]}, "idempotency_key": "key-1"}
    status = await system.settled(await system.send(recipient, data, **options))
    assert {one["status"] for one in status["deliveries"]} == {"delivered"}
    await system.send(recipient, data, send_at="2100-01-01T00:00:00Z")
    failed = await system.settled(
        await system.send(
            {"email": MARKS["failing"], "phone": MARKS["phone"]}, data, template_id="failing"
        )
    )
    assert {one["status"] for one in failed["deliveries"]} == {"failed"}
    connection = await asyncpg.connect(system.dsn)
    gone = [(Channel.EMAIL, MARKS["suppressed"], "mailbox_not_found")]
    await suppressions.suppress(connection, gone, open_keyring(system.settings))
    await connection.close()
    await system.send({"email": MARKS["suppressed"]}, data)


def spellings() -> Iterator[tuple[str, bytes]]:
    for name, mark in MARKS.items():
        for text in {mark, mark.lower(), mark.upper(), mark.split("@")[0]}:
            yield name, text.encode()
            yield name, text.encode("utf-16-le")
            yield name, text.encode().hex().encode()


async def test_no_row_shows_it(system: System, connection: Any) -> None:
    await send_all(system)
    seen = 0
    for table in await table_names(connection):
        for row in await connection.fetch(f"SELECT * FROM {table}"):
            seen += 1
            stored = b"\n".join(
                value if isinstance(value, bytes) else str(value).encode() for value in row.values()
            )
            for name, mark in spellings():
                assert mark not in stored, f"the {name} is in clear in {table}"
    assert seen > 30


async def test_no_file_of_the_database_shows_it(
    server: EmbeddedServer, system: System, connection: Any
) -> None:
    """Indexes, the write-ahead log and the server's log included."""
    await send_all(system)
    number = await connection.fetchval(
        "SELECT oid FROM pg_database WHERE datname = current_database()"
    )
    control = "control-mark-quzixy-3344"
    await connection.execute(f"CREATE TABLE control AS SELECT '{control}' AS mark")
    await connection.execute("CHECKPOINT")
    found = False
    for file in _files(server.directory, number):
        stored = file.read_bytes()
        found = found or control.encode() in stored
        for name, mark in spellings():
            assert mark not in stored, f"the {name} is in clear in {file.name}"
    assert found, "the search itself does not work"


def _files(directory: Path, database: int) -> Iterator[Path]:
    yield directory / "log"
    for place in (directory / "base" / str(database), directory / "pg_wal"):
        yield from (file for file in place.iterdir() if file.is_file())


async def test_what_is_sealed_still_answers(system: System) -> None:
    await send_all(system)
    kept = (await system.call("GET", "/outbox?limit=200")).body["messages"]
    addresses = {message["address"] for message in kept}
    assert {MARKS[name] for name in ("email", "phone", "token", "webhook", "chat")} <= addresses
    feed = (await system.call("GET", "/users/ann/inbox")).body["entries"]
    assert [entry["title"] for entry in feed] == [MARKS["name"]]
