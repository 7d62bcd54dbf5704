"""Feeds: each user's numbered changes, and the counters after each of them. Why so: docs/adr/0024-live-feeds.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from tidings.store.database import Connection, Reader, Record

CHANNEL = "tidings_feeds"
"""Where it is told (NOTIFY) whose feeds changed."""

_CHUNK = 500
_FORGOTTEN_AT_ONCE = 5_000


class Kind(StrEnum):
    """What a change did. counted: old entries were forgotten, and the counters follow."""

    ADDED = "added"
    SEEN = "seen"
    READ = "read"
    UNREAD = "unread"
    ARCHIVED = "archived"
    UNARCHIVED = "unarchived"
    COUNTED = "counted"


@dataclass(frozen=True, slots=True)
class Counters:
    """Of entries that are not archived. unseen: those that came since the user last looked."""

    unread: int = 0
    unseen: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """number: one more than that of the user's change before. entry_ids: None for all that were there."""

    number: int
    kind: Kind
    entry_ids: Sequence[UUID] | None
    counters: Counters


@dataclass(frozen=True, slots=True)
class Feed:
    """last: the number of the newest change; first: the number before the first. changes: in order, of those asked
    for. whole: there are no more than these."""

    first: int = 0
    last: int = 0
    counters: Counters = Counters()
    changes: Sequence[Change] = ()
    whole: bool = True


NOBODYS = Feed()
"""Of a user who never had an entry."""

NO_CHANGES = 2**63 - 1
"""As the number to read from: nothing comes after it."""


async def read(
    connection: Reader, after: Mapping[str, int], *, limit: int = 200
) -> dict[str, Feed]:
    """What came after these numbers, by user, as it was at one moment. After 0, from the beginning. Users without
    a feed are missing. limit: of changes for each user."""
    rows = await connection.fetch(
        """SELECT f.user_id, f.first, f.last, f.unread, f.unseen, f.total, c.number, c.kind, c.entry_ids,
             c.unread AS unread_then, c.unseen AS unseen_then, c.total AS total_then
           FROM unnest($1::text[], $2::bigint[]) AS w (user_id, after) JOIN feeds f ON f.user_id = w.user_id
           LEFT JOIN LATERAL (SELECT * FROM feed_changes WHERE user_id = w.user_id
             AND number > CASE w.after WHEN 0 THEN f.first ELSE w.after END
             ORDER BY number LIMIT $3) AS c ON true
           ORDER BY f.user_id, c.number""",
        list(after),
        list(after.values()),
        limit,
    )
    by_user: dict[str, list[Record]] = {}
    for row in rows:
        by_user.setdefault(row["user_id"], []).append(row)
    return {user_id: _feed(mine, limit) for user_id, mine in by_user.items()}


def _feed(rows: Sequence[Record], limit: int) -> Feed:
    one = rows[0]
    changes = [
        Change(
            row["number"],
            Kind(row["kind"]),
            row["entry_ids"],
            Counters(row["unread_then"], row["unseen_then"], row["total_then"]),
        )
        for row in rows
        if row["number"] is not None
    ]
    return Feed(one["first"], one["last"], _counters(one), changes, whole=len(changes) < limit)


async def behind(connection: Reader, after: Mapping[str, int]) -> list[str]:
    """Those of the users whose feeds are not at these numbers any more."""
    rows = await connection.fetch(
        """SELECT w.user_id FROM unnest($1::text[], $2::bigint[]) AS w (user_id, after)
           LEFT JOIN feeds f ON f.user_id = w.user_id WHERE coalesce(f.last, 0) <> w.after""",
        list(after),
        list(after.values()),
    )
    return [row["user_id"] for row in rows]


async def find(connection: Reader, user_id: str) -> Feed:
    """The feed as it stands, without its changes."""
    return (await read(connection, {user_id: NO_CHANGES})).get(user_id, NOBODYS)


@dataclass(frozen=True, slots=True)
class Applied:
    """entries: how many it changed. last and counters: of the feed afterwards."""

    entries: int
    last: int
    counters: Counters


# By kind: what is set, and of which entries it is not yet true.
_CHANGES: Mapping[Kind, tuple[str, str]] = {
    Kind.SEEN: ("seen_at = now()", "seen_at IS NULL"),
    Kind.READ: ("read_at = now(), seen_at = coalesce(i.seen_at, now())", "read_at IS NULL"),
    Kind.UNREAD: ("read_at = NULL", "read_at IS NOT NULL"),
    Kind.ARCHIVED: ("archived_at = now()", "archived_at IS NULL"),
    Kind.UNARCHIVED: ("archived_at = NULL", "archived_at IS NOT NULL"),
}
_COUNTED = """count(*) AS entries, count(*) FILTER (WHERE archived_at IS NULL AND read_at IS NULL) AS unread,
    count(*) FILTER (WHERE archived_at IS NULL AND seen_at IS NULL) AS unseen,
    count(*) FILTER (WHERE archived_at IS NULL) AS total"""


async def change(
    connection: Connection, user_id: str, kind: Kind, entry_ids: Sequence[UUID] | None
) -> Applied:
    """Change these entries, or with None all that are not archived; none but the user's own, and again changes
    nothing more. In a transaction of its own, after which the user is to be told of."""
    wanted = None if entry_ids is None else list(entry_ids)
    async with connection.transaction():
        # A statement of its own: the next one sees what those did whom this one waited for.
        before = await connection.fetchrow(
            "SELECT * FROM feeds WHERE user_id = $1 FOR UPDATE", user_id
        )
        if before is None:
            return Applied(0, 0, Counters())
        after = await connection.fetchrow(_statement(kind), user_id, wanted, kind)
    if after is None:
        return Applied(0, before["last"], _counters(before))
    return Applied(after["entries"], after["last"], _counters(after))


def _statement(kind: Kind) -> str:
    sets, where = _CHANGES[kind]
    return f"""
        WITH old AS (
          SELECT id, read_at, seen_at, archived_at FROM inbox WHERE user_id = $1 AND {where}
            AND CASE WHEN $2::uuid[] IS NULL THEN archived_at IS NULL ELSE id = ANY ($2) END),
        new AS (UPDATE inbox i SET {sets} FROM old WHERE i.id = old.id
          RETURNING i.id, i.read_at, i.seen_at, i.archived_at),
        change AS (SELECT n.entries, n.unread - o.unread AS unread, n.unseen - o.unseen AS unseen,
            n.total - o.total AS total
          FROM (SELECT {_COUNTED} FROM old) AS o CROSS JOIN (SELECT {_COUNTED} FROM new) AS n
          WHERE n.entries > 0),
        moved AS (UPDATE feeds f SET last = f.last + 1, unread = f.unread + c.unread,
            unseen = f.unseen + c.unseen, total = f.total + c.total
          FROM change c WHERE f.user_id = $1
          RETURNING f.last, f.unread, f.unseen, f.total, c.entries),
        noted AS (INSERT INTO feed_changes (user_id, number, kind, entry_ids, unread, unseen, total)
          SELECT $1, last, $3, CASE WHEN $2::uuid[] IS NOT NULL THEN (SELECT array_agg(id ORDER BY id) FROM new) END,
            unread, unseen, total FROM moved)
        SELECT * FROM moved"""


async def recount(connection: Connection) -> bool:
    """Count some feeds anew, from which entries were forgotten since they were counted. Whether there may be more."""
    async with connection.transaction():
        rows = await connection.fetch(
            """SELECT user_id FROM feeds WHERE counted_at < (SELECT at FROM forgotten WHERE what = 'inbox')
               ORDER BY counted_at LIMIT $1""",
            _CHUNK,
        )
        users = [row["user_id"] for row in rows]
        if users:
            await connection.execute(
                "SELECT FROM feeds WHERE user_id = ANY ($1::text[]) ORDER BY user_id FOR UPDATE",
                users,
            )
            await connection.execute(_RECOUNT, users)
            await connection.execute(
                "UPDATE feeds SET counted_at = now() WHERE user_id = ANY ($1::text[])", users
            )
    return bool(users)


_RECOUNT = f"""
    WITH moved AS (
      UPDATE feeds f SET last = f.last + 1, unread = c.unread, unseen = c.unseen, total = c.total
      FROM unnest($1::text[]) AS u (user_id) CROSS JOIN LATERAL
        (SELECT {_COUNTED} FROM inbox WHERE inbox.user_id = u.user_id) AS c
      WHERE f.user_id = u.user_id AND (f.unread, f.unseen, f.total) <> (c.unread, c.unseen, c.total)
      RETURNING f.user_id, f.last, f.unread, f.unseen, f.total)
    INSERT INTO feed_changes (user_id, number, kind, entry_ids, unread, unseen, total)
    SELECT user_id, last, 'counted', '{{}}', unread, unseen, total FROM moved"""


def _counters(row: Record) -> Counters:
    return Counters(row["unread"], row["unseen"], row["total"])


async def forget_changes(connection: Reader, keep: float) -> None:
    """Forget changes that are older than so many seconds: who comes back after that loads the feed anew."""
    while True:
        done = await connection.execute(
            """DELETE FROM feed_changes WHERE (user_id, number) IN (
                 SELECT user_id, number FROM feed_changes WHERE at < now() - $1::interval
                 ORDER BY at LIMIT $2)""",
            timedelta(seconds=keep),
            _FORGOTTEN_AT_ONCE,
        )
        if done != f"DELETE {_FORGOTTEN_AT_ONCE}":
            return


async def erase(connection: Reader, user_id: str) -> None:
    """Within a transaction: the feed and its changes. Who watches it is told to load anew."""
    await connection.execute("DELETE FROM feeds WHERE user_id = $1", user_id)
    await connection.execute("DELETE FROM feed_changes WHERE user_id = $1", user_id)
