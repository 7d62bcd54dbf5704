"""The files that go with emails: stored with their notification, read when it is sent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from uuid import UUID

from tidings.domain.records import record
from tidings.store.database import Connection, Reader
from tidings.store.keyring import KeyRing, KeyRingError

_AT_ONCE = 16 * 2**20  # bytes in one statement, about: it is in memory several times over


@record
class NewFile:
    """number: its place among those of its notification."""

    notification_id: UUID
    number: int
    content: bytes = field(repr=False)


async def add(connection: Connection, files: Sequence[NewFile], keyring: KeyRing) -> None:
    """Within the transaction that stores their notifications."""
    for some in _portions(files):
        await connection.execute(
            """INSERT INTO attachments (notification_id, number, sealed)
               SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::bytea[])""",
            [one.notification_id for one in some],
            [one.number for one in some],
            [keyring.seal(one.content, bound_to(one.notification_id, one.number)) for one in some],
        )


async def of(
    connection: Reader, notification_ids: Sequence[UUID], keyring: KeyRing
) -> Mapping[UUID, Sequence[bytes] | None]:
    """The files of each notification that has any, in their order; None where the ring does not open one."""
    rows = await connection.fetch(
        """SELECT notification_id, number, sealed FROM attachments
           WHERE notification_id = ANY ($1::uuid[]) ORDER BY notification_id, number""",
        list(notification_ids),
    )
    found: dict[UUID, list[bytes] | None] = {}
    for row in rows:
        notification_id: UUID = row["notification_id"]
        try:
            content = keyring.open(row["sealed"], bound_to(notification_id, row["number"]))
        except KeyRingError:
            found[notification_id] = None
            continue
        if (files := found.setdefault(notification_id, [])) is not None:
            files.append(content)
    return found


async def forget_of(connection: Connection, notification_ids: Sequence[UUID]) -> None:
    await connection.execute(
        "DELETE FROM attachments WHERE notification_id = ANY ($1::uuid[])", list(notification_ids)
    )


def bound_to(notification_id: UUID, number: int) -> bytes:
    """What a sealed file is bound to: so none can be taken for another."""
    return notification_id.bytes + number.to_bytes(2, "big")


def _portions(files: Sequence[NewFile]) -> Iterator[Sequence[NewFile]]:
    some, size = list[NewFile](), 0
    for one in files:
        if some and size + len(one.content) > _AT_ONCE:
            yield some
            some, size = [], 0
        some.append(one)
        size += len(one.content)
    if some:
        yield some
