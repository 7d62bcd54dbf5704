"""What the development provider kept to look at: rendered messages, sealed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from tidings.store.database import Reader
from tidings.store.keyring import KeyRing


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """id: the delivery's. message: address and rendered content."""

    id: UUID
    channel: str
    account: str
    message: dict[str, Any] = field(repr=False)
    stored_at: datetime = field(default_factory=lambda: datetime.now(UTC))


async def add(connection: Reader, kept: Sequence[KeptMessage], keyring: KeyRing) -> None:
    """Store; the same delivery again replaces what was kept of it."""
    await connection.execute(
        """INSERT INTO outbox (id, channel, account, sealed)
           SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[])
           ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed, stored_at = clock_timestamp()""",
        [one.id for one in kept],
        [one.channel for one in kept],
        [one.account for one in kept],
        [keyring.seal(orjson.dumps(one.message), one.id.bytes) for one in kept],
    )


async def listed(
    connection: Reader,
    keyring: KeyRing,
    *,
    before: UUID | None,
    limit: int,
    channel: str | None,
) -> list[KeptMessage]:
    """Newest first, below the id `before`."""
    rows = await connection.fetch(
        """SELECT id, channel, account, sealed, stored_at FROM outbox
           WHERE ($1::uuid IS NULL OR id < $1) AND ($2::text IS NULL OR channel = $2)
           ORDER BY id DESC LIMIT $3""",
        before,
        channel,
        limit,
    )
    return [
        KeptMessage(
            id=row["id"],
            channel=row["channel"],
            account=row["account"],
            message=orjson.loads(keyring.open(row["sealed"], row["id"].bytes)),
            stored_at=row["stored_at"],
        )
        for row in rows
    ]


async def trim(connection: Reader, keep: int) -> None:
    """Delete all but the newest."""
    await connection.execute(
        "DELETE FROM outbox WHERE id < (SELECT id FROM outbox ORDER BY id DESC OFFSET $1 LIMIT 1)",
        keep - 1,
    )
