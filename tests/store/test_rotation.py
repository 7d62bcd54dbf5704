"""Key rotation, against a real database."""

import asyncio
import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

import asyncpg
import pytest
import uuid_utils.compat as uuids

from tidings.domain import ids
from tidings.domain.callbacks import RawCallback
from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.lanes import Lane
from tidings.domain.priorities import Priority
from tidings.domain.receipts import Receipt, ReceiptType
from tidings.store import (
    acceptance,
    attachments,
    callbacks,
    deliveries,
    endpoints,
    inbox,
    link_targets,
    notifications,
    outbox,
    people,
    receipts,
    ring_file,
    rotation,
    suppressions,
)
from tidings.store.acceptance import NewDelivery
from tidings.store.attachments import NewFile
from tidings.store.database import prepare
from tidings.store.endpoints import Failure
from tidings.store.keyring import (
    KEYS_AGE,
    KeyRing,
    KeyRingError,
    Keys,
    create_keys,
    read_keys,
    write_keys,
)
from tidings.store.link_targets import Targets
from tidings.store.notifications import NotificationRow
from tidings.store.rotation import SEALED, Count, Outcome

pytestmark = pytest.mark.anyio

NOW = datetime(2030, 1, 1, tzinfo=UTC)

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


def notification(number: int) -> NotificationRow:
    return NotificationRow(
        id=uuids.uuid7(),
        api_key_id=uuids.uuid7(),
        template_id="note",
        template_version=1,
        category="transactional",
        priority=Priority.MEDIUM,
        routing="all",
        on_unknown="resend",
        user_id=None,
        correlation_id=None,
        collapse_key=None,
        batch_id=None,
        send_at=None,
        expires_at=None,
        payload={"data": {"number": number}},
    )


async def add_notifications(
    connection: Connection, keyring: KeyRing, count: int
) -> list[NotificationRow]:
    rows = [notification(number) for number in range(count)]
    planned = [
        NewDelivery(
            notification_id=row.id,
            id=ids.delivery_id(row.id, ordinal),
            channel=channel,
            address=address,
            status=DeliveryStatus.PENDING,
            reason=None,
            queued=False,
            lane=Lane(Priority.MEDIUM, 1),
            due_at=None,
        )
        for row in rows
        for ordinal, (channel, address) in enumerate(
            [(Channel.EMAIL, "ada@example.com"), (Channel.SMS, None)], start=1
        )
    ]
    await acceptance.store(connection, rows, planned, keyring)
    return rows


async def fill(connection: Connection, keyring: KeyRing) -> list[NotificationRow]:
    """Something in every table that holds sealed values."""
    await prepare(connection)
    rows = await add_notifications(connection, keyring, 3)
    own = [uuids.uuid7() for _ in range(2)]
    await inbox.add(
        connection,
        [inbox.Entry(one, "ada", "social", {"title": "t", "body": "b"}) for one in own],
        keyring,
    )
    await outbox.add(
        connection,
        [outbox.KeptMessage(one, "email", "outbox", {"address": "a@b.c"}) for one in own],
        keyring,
    )
    broken = Failure(Channel.WEBHOOK, "https://hooks.example.com/", "hooks", "timed_out", 60.0)
    await endpoints.note(connection, [broken], keyring)
    await suppressions.suppress(
        connection, [(Channel.EMAIL, "gone@example.com", "bounced")], keyring
    )
    callback = RawCallback("POST", "https://x.example/callbacks/a/b", {}, b"{}", 1.0)
    await callbacks.add(connection, [(own[0], "mail", callback)], keyring)
    opened = Receipt(
        ReceiptType.OPENED,
        NOW,
        "opened",
        delivery_id=ids.delivery_id(rows[0].id, 1),
        user_agent="Mozilla",
    )
    strange = Receipt(ReceiptType.INBOUND, NOW, "inbound", address="+15551234567", text="STOP")
    await receipts.store(connection, [("mail", opened), ("texts", strange)], keyring)
    targets = Targets(ids.delivery_id(rows[0].id, 1), rows[0].id, ["https://shop.example/"])
    await link_targets.add(connection, [targets], keyring)
    files = [NewFile(rows[0].id, number, b"file") for number in range(6)]
    await attachments.add(connection, files, keyring)
    await connection.execute(
        "INSERT INTO users (id, sealed) VALUES ('ada', $1)",
        keyring.seal(b'{"email": "ada@example.com"}', b"ada"),
    )
    await connection.execute(
        """INSERT INTO devices (id, user_id, platform, token_hash, sealed_token)
           VALUES ($1, 'ada', 'ios', 'hash', $2)""",
        own[0],
        keyring.seal(b"token", own[0].bytes),
    )
    await connection.execute(
        """INSERT INTO schedules (id, api_key_id, cron, timezone, catch_up, sealed)
           VALUES ($1, $1, '0 9 * * *', 'UTC', 'one', $2)""",
        own[1],
        keyring.seal(b"{}", own[1].bytes),
    )
    await connection.execute(
        """INSERT INTO event_subscriptions (id, name, sealed, types, templates, categories, channels)
           VALUES ($1, 'shop', $2, '{}', '{}', '{}', '{}')""",
        own[0],
        keyring.seal(b"{}", own[0].bytes),
    )
    await connection.execute(
        """INSERT INTO conversions (id, api_key_id, name, occurred_at, fingerprint, sealed)
           VALUES ($1, $1, 'purchased', now(), '', $2)""",
        own[0],
        keyring.seal(b"{}", own[0].bytes),
    )
    await connection.execute("INSERT INTO batches (id, api_key_id) VALUES ($1, $1)", own[0])
    await connection.execute(
        """INSERT INTO broadcasts (id, fingerprint, template_id, audience, sealed, starts_at)
           VALUES ($1, '', 'note', '{}', $2, now())""",
        own[0],
        keyring.seal(b"{}", own[0].bytes),
    )
    await connection.execute(
        """INSERT INTO digests (hash, user_id, count, closes_at, api_key_id, template_id, template_version, sealed)
           VALUES ('hash', 'ada', 1, now(), $1, 'note', 1, $2)""",
        own[0],
        keyring.seal(b"{}", b"hash"),
    )
    await connection.execute(
        "INSERT INTO installation (name, value) VALUES ('keyring_probe', $1)",
        keyring.seal(b"tidings", b"keyring_probe"),
    )
    return rows


async def at_once(_: float) -> None:
    """Nobody else writes: there is nothing to wait for."""


async def reseal(connection: Connection, keyring: KeyRing) -> Outcome:
    return await rotation.reseal(connection, keyring, lambda _: None, settle=at_once)


def keys_in_use(usage: dict[str, dict[int, int]]) -> set[int]:
    return {key for table in usage.values() for key in table}


def in_file(path: Path) -> KeyRing:
    return KeyRing(read_keys(path), reload=lambda: read_keys(path))


async def test_every_bytea_column_is_either_sealed_or_known_to_be_a_hash(
    connection: Connection,
) -> None:
    rows = await connection.fetch(
        """SELECT table_name, column_name FROM information_schema.columns
           WHERE table_schema = 'public' AND data_type = 'bytea' AND table_name !~ '_(default|\\d{4}w\\d\\d)$'"""
    )
    sealed = {(one.table, one.column) for one in SEALED}
    plain = {tuple(row) for row in rows} - sealed
    assert all("hash" in column or column == "fingerprint" for _, column in plain), plain
    assert sealed <= {tuple(row) for row in rows}


async def test_the_keys_of_the_table_are_the_primary_keys(connection: Connection) -> None:
    for sealed in SEALED:
        rows = await connection.fetch(
            """SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_index i
               JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
               WHERE i.indrelid = $1::regclass AND i.indisprimary
               ORDER BY array_position(i.indkey::int[], a.attnum::int)""",
            sealed.table,
        )
        assert tuple(tuple(row) for row in rows) == sealed.key


async def test_everything_is_sealed_with_the_new_key_and_opens(
    connection: Connection, tmp_path: Path
) -> None:
    path = tmp_path / "ring.json"
    create_keys(path)
    rows = await fill(connection, in_file(path))
    rotated = ring_file.add_key(path)
    outcome = await reseal(connection, in_file(path))
    assert outcome.complete
    assert not outcome.unreadable
    assert {table: count.resealed for table, count in outcome.counts.items()} == {
        "installation": 1,
        "users": 1,
        "devices": 1,
        "failing_endpoints": 1,
        "suppressions": 1,
        "schedules": 1,
        "event_subscriptions": 1,
        "conversions": 1,
        "broadcasts": 1,
        "digests": 1,
        "notifications": 3,
        "deliveries": 3,
        "callbacks": 1,
        "receipts": 1,
        "link_targets": 1,
        "attachments": 6,
        "stray_receipts": 1,
        "inbox": 2,
        "outbox": 2,
    }
    assert keys_in_use(await rotation.usage(connection)) == {2}
    only_new = KeyRing(Keys(2, {2: rotated.keys[2]}, rotated.hash_key))
    read = await notifications.fetch(connection, rows[0].id, only_new)
    assert read is not None
    assert read.payload == rows[0].payload
    work = await deliveries.load(
        connection, [(rows[0].id, ids.delivery_id(rows[0].id, 1))], only_new
    )
    assert [one.address for one in work.values()] == ["ada@example.com"]
    assert (await people.fetch_many(connection, ["ada"], only_new))["ada"].push_tokens == ("token",)
    kept = await outbox.listed(connection, only_new, before=None, limit=9, channel=None)
    assert kept[0].message == {"address": "a@b.c"}


async def test_pages_reach_every_row(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "PAGE", 7)
    keys = Keys.generate()
    await fill(connection, KeyRing(keys))
    await add_notifications(connection, KeyRing(keys), 50)
    pages: list[Count] = []
    keyring = KeyRing(keys.rotated())
    outcome = await rotation.reseal(connection, keyring, pages.append, settle=at_once)
    assert outcome.complete
    assert sum(page.rows for page in pages) == await rotation.total(connection)
    assert max(page.rows for page in pages) == 7
    assert keys_in_use(await rotation.usage(connection)) == {2}


async def test_a_rotation_that_was_broken_off_is_resumed(connection: Connection) -> None:
    keys = Keys.generate()
    await fill(connection, KeyRing(keys))
    keyring = KeyRing(keys.rotated())

    class PowerCut(Exception):
        pass

    def cut(page: Count) -> None:
        if page.table == "notifications":
            raise PowerCut

    with pytest.raises(PowerCut):
        await rotation.reseal(connection, keyring, cut, settle=at_once)
    assert keys_in_use(await rotation.usage(connection)) == {1, 2}
    outcome = await reseal(connection, keyring)
    assert outcome.complete
    assert outcome.counts["users"].resealed == 0
    assert outcome.counts["outbox"].resealed == 2
    assert keys_in_use(await rotation.usage(connection)) == {2}


async def test_a_value_that_does_not_open_is_counted_and_stays(connection: Connection) -> None:
    keys = Keys.generate()
    await fill(connection, KeyRing(keys))
    await connection.execute("UPDATE outbox SET sealed = sealed || 'x'")
    outcome = await reseal(connection, KeyRing(keys.rotated()))
    assert outcome.complete
    assert outcome.unreadable == outcome.counts["outbox"].unreadable == 2
    assert (await rotation.usage(connection))["outbox"] == {1: 2}


async def test_a_row_held_by_another_is_passed_over_and_not_waited_for(
    dsn: str, connection: Connection
) -> None:
    keys = Keys.generate()
    await fill(connection, KeyRing(keys))
    keyring = KeyRing(keys.rotated())
    holder = await asyncpg.connect(dsn)
    try:
        held = holder.transaction()
        await held.start()
        await holder.execute("UPDATE users SET locale = 'de'")
        looks = 0

        async def settle(_: float) -> None:
            nonlocal looks
            looks += 1
            if looks == 1:
                assert (await rotation.usage(connection))["users"] == {1: 1}
                await held.commit()

        outcome = await rotation.reseal(connection, keyring, lambda _: None, settle=settle)
    finally:
        await holder.close()
    assert outcome.complete
    assert outcome.counts["users"] == Count("users", rows=1, resealed=1)
    assert await connection.fetchval("SELECT locale FROM users") == "de"


async def test_a_writer_that_never_learns_of_the_new_key_is_reported(
    connection: Connection,
) -> None:
    keys = Keys.generate()
    await fill(connection, KeyRing(keys))
    stubborn = KeyRing(keys)

    async def settle(_: float) -> None:
        await add_notifications(connection, stubborn, 1)

    outcome = await rotation.reseal(
        connection, KeyRing(keys.rotated()), lambda _: None, settle=settle
    )
    assert not outcome.complete


async def test_nothing_is_left_under_the_old_key_while_others_write(
    dsn: str, connection: Connection, tmp_path: Path
) -> None:
    """Two writers accept and a third replaces kept messages throughout; all learn from the file."""
    path = tmp_path / "ring.json"
    create_keys(path)
    await fill(connection, in_file(path))
    done, begun = asyncio.Event(), asyncio.Semaphore(0)
    written: list[UUID] = []

    async def accept() -> None:
        own, keyring = await asyncpg.connect(dsn), in_file(path)
        try:
            await prepare(own)
            while not done.is_set():
                written.extend(row.id for row in await add_notifications(own, keyring, 20))
                begun.release()
                await asyncio.sleep(0.01)  # a load, not a flood
        finally:
            await own.close()

    async def replace() -> None:
        own, keyring = await asyncpg.connect(dsn), in_file(path)
        try:
            kept = [uuids.uuid7() for _ in range(20)]
            while not done.is_set():
                await outbox.add(
                    own,
                    [outbox.KeptMessage(one, "sms", "outbox", {"address": "x"}) for one in kept],
                    keyring,
                )
                begun.release()
                await asyncio.sleep(0.01)  # a load, not a flood
        finally:
            await own.close()

    async with asyncio.TaskGroup() as tasks:
        for writer in (accept, accept, replace):
            tasks.create_task(writer())
        for _ in range(20):
            await begun.acquire()
        ring_file.add_key(path)
        outcome = await rotation.reseal(connection, in_file(path), lambda _: None)
        assert outcome.complete
        assert not outcome.unreadable
        assert keys_in_use(await rotation.usage(connection)) == {2}
        done.set()
    keyring = in_file(path)
    assert await connection.fetchval("SELECT count(*) FROM notifications") == len(written) + 3
    for notification_id in written[::25]:
        assert await notifications.fetch(connection, notification_id, keyring) is not None


def test_two_rotations_of_one_file_add_two_keys(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    first = create_keys(path)

    async def both() -> None:
        await asyncio.gather(*(asyncio.to_thread(ring_file.add_key, path) for _ in range(8)))

    asyncio.run(both())
    keys = read_keys(path)
    assert keys.active == 9
    assert len(set(keys.keys.values())) == 9
    assert keys.follows(first)


def test_the_file_keeps_its_mode_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    create_keys(path)
    path.chmod(0o640)
    ring_file.add_key(path)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["ring.json"]


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(KeyRingError, match="cannot read the key ring"):
        ring_file.add_key(tmp_path / "none.json")


def test_a_running_process_follows_the_file_within_its_age(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    create_keys(path)
    moments = itertools.chain([0, KEYS_AGE / 2], itertools.repeat(KEYS_AGE * 1.5))
    keyring = KeyRing(read_keys(path), reload=lambda: read_keys(path), clock=lambda: next(moments))
    rotated = ring_file.add_key(path)
    opener = KeyRing(rotated)
    assert not opener.is_current(keyring.seal(b"a", b"b"))
    assert opener.is_current(keyring.seal(b"a", b"b"))


def test_a_running_process_keeps_its_keys_when_the_file_is_gone_or_foreign(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    create_keys(path)
    times = itertools.count(0.0, KEYS_AGE * 2)
    keyring = KeyRing(read_keys(path), lambda: read_keys(path), clock=lambda: next(times))
    before = keyring.seal(b"a", b"b")
    path.unlink()
    assert keyring.open(keyring.seal(b"a", b"b"), b"b") == b"a"
    write_keys(path, Keys.generate().rotated())
    assert keyring.is_current(keyring.seal(b"a", b"b"))
    assert keyring.open(before, b"b") == b"a"
