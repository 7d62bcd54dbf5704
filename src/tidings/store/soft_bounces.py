"""How often addresses bounced softly since they last worked."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from tidings.domain.channels import Channel
from tidings.store.database import Reader

Key = tuple[Channel, bytes]
"""A channel, and the hash of an address."""


async def count(connection: Reader, more: Mapping[Key, int], within: timedelta) -> dict[Key, int]:
    """So many more for each; how many these are by now. within: after a longer time without, the first is the first
    again."""
    rows = await connection.fetch(
        """INSERT INTO soft_bounces AS s (channel, address_hash, count, last_at)
           SELECT channel, address_hash, more, now()
           FROM unnest($1::text[], $2::bytea[], $3::int[]) AS w (channel, address_hash, more)
           ORDER BY 1, 2
           ON CONFLICT (channel, address_hash) DO UPDATE SET last_at = now(),
             count = excluded.count + CASE WHEN s.last_at < now() - $4::interval THEN 0 ELSE s.count END
           RETURNING channel, address_hash, count""",
        [channel for channel, _ in more],
        [digest for _, digest in more],
        list(more.values()),
        within,
    )
    return {(Channel(row["channel"]), row["address_hash"]): row["count"] for row in rows}


async def forget(connection: Reader, keys: Sequence[Key]) -> None:
    """They work."""
    await connection.execute(
        """DELETE FROM soft_bounces s USING unnest($1::text[], $2::bytea[]) AS w (channel, address_hash)
           WHERE s.channel = w.channel AND s.address_hash = w.address_hash""",
        [channel for channel, _ in keys],
        [digest for _, digest in keys],
    )


async def clock(connection: Reader) -> datetime:
    found: datetime = await connection.fetchval("SELECT now()")
    return found
