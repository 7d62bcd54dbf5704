"""Forgetting a user: all rows that are theirs alone."""

from tidings.store.database import Connection

OF_USERS: tuple[tuple[str, str], ...] = (
    ("users", "id"),
    ("devices", "user_id"),
    ("preferences", "user_id"),
    ("preference_changes", "user_id"),
    ("subscriptions", "user_id"),
    ("digests", "user_id"),
)
"""(table, column of the user's id) of what goes with a user. What was sent to them is not among it."""


async def forget_digests(connection: Connection, user_id: str) -> None:
    """What was gathered for them is not told any more."""
    await connection.execute("DELETE FROM digests WHERE user_id = $1", user_id)


async def forget(connection: Connection, user_id: str) -> dict[str, int]:
    """Within a transaction. How many rows went, by table."""
    gone = {}
    for table, column in OF_USERS:
        rows = await connection.fetch(
            f"DELETE FROM {table} WHERE {column} = $1 RETURNING 1", user_id
        )
        gone[table] = len(rows)
    return gone
