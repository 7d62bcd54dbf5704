"""Makes what is stored older: as if all of it had been accepted, sent and stored so many days before."""

import asyncpg

from tidings.store.upkeep import PARTITIONED

_SHIFT = """CREATE OR REPLACE FUNCTION pg_temp.older(id uuid, days int) RETURNS uuid LANGUAGE sql AS $$
  SELECT (left(uuid_first_at(uuid_time(id) - make_interval(days => days))::text, 14)
    || substr(id::text, 15))::uuid $$"""
_IDS = {
    "notifications": ("id",),
    "deliveries": ("notification_id", "id"),
    "attempts": ("delivery_id",),
    "receipts": ("delivery_id",),
    "link_targets": ("delivery_id",),
    "attachments": ("notification_id",),
    "engagements": ("delivery_id",),
    "inbox": ("id",),
    "queue": ("notification_id", "delivery_id"),
    "dead_letters": ("id", "notification_id", "delivery_id"),
    "idempotency_keys": ("notification_id",),
    "account_events": ("id",),
}
_TIMES = {"deliveries": ("updated_at",), "inbox": ("stored_at",)}


async def age(
    connection: "asyncpg.Connection[asyncpg.Record]", days: int, *, partitions: bool = True
) -> None:
    """Everything that has an id of its time; batches and what is unsealed by id stay unreadable. partitions:
    whether there are some of those weeks, too."""
    await connection.execute(_SHIFT)
    for table in PARTITIONED if partitions else ():
        await connection.execute(
            "SELECT ensure_partitions($1, now() - make_interval(days => $2), 2)", table, days
        )
    for table, columns in _IDS.items():
        sets = [f"{one} = pg_temp.older({one}, {days})" for one in columns]
        sets += [f"{one} = {one} - interval '{days} days'" for one in _TIMES.get(table, ())]
        await connection.execute(f"UPDATE {table} SET {', '.join(sets)}")
