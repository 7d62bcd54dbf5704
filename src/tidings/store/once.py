"""Once only: the newest of a collapse key, and the first within a deduplication window.

Each is a row per recipient, locked by the transaction that writes it: of several at the same time, the next
waits and then sees what the one before it stored. Sorted, so that none wait for each other in a circle.
"""

from collections.abc import Mapping
from uuid import UUID

from tidings.store.database import Connection


async def take_windows(connection: Connection, windows: Mapping[bytes, int]) -> set[bytes]:
    """Which of these open a window of so many seconds now; the others are inside one."""
    ordered = sorted(windows)
    rows = await connection.fetch(
        """INSERT INTO deduplication AS d (hash, until)
           SELECT hash, now() + make_interval(secs => seconds) FROM unnest($1::bytea[], $2::int[]) AS w (hash, seconds)
           ON CONFLICT (hash) DO UPDATE SET until = excluded.until WHERE d.until <= now()
           RETURNING hash""",
        ordered,
        [windows[one] for one in ordered],
    )
    return {row["hash"] for row in rows}


async def take_places(connection: Connection, newest: Mapping[bytes, UUID]) -> list[UUID]:
    """Make these the newest of their collapse keys; the notifications whose place they take."""
    ordered = sorted(newest)
    rows = await connection.fetch(
        """INSERT INTO collapsing AS c (hash, notification_id)
           SELECT * FROM unnest($1::bytea[], $2::uuid[])
           ON CONFLICT (hash) DO UPDATE SET previous = c.notification_id, used_at = now(),
             notification_id = excluded.notification_id
           RETURNING previous""",
        ordered,
        [newest[one] for one in ordered],
    )
    return [row["previous"] for row in rows if row["previous"] is not None]


async def forget(connection: Connection) -> None:
    """Delete windows that are over, and collapse keys under which nothing waits."""
    await connection.execute("DELETE FROM deduplication WHERE until < now()")
    await connection.execute(
        """DELETE FROM collapsing WHERE used_at < now() - interval '1 day' AND hash = ANY (ARRAY(
             SELECT c.hash FROM collapsing c WHERE c.used_at < now() - interval '1 day'
               AND NOT EXISTS (SELECT FROM deliveries d WHERE d.notification_id = c.notification_id
                               AND d.status = 'pending') LIMIT 20000))"""
    )
