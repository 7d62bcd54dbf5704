"""The tables of the schema, to count and to search all that is stored."""

import asyncpg


async def table_names(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """Every table; the rows of partitions are found in theirs."""
    found = await connection.fetch(
        """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
             AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname"""
    )
    return [row["relname"] for row in found]


async def row_counts(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, int]:
    query = " UNION ALL ".join(
        f"SELECT '{name}' AS name, count(*) FROM {name}" for name in await table_names(connection)
    )
    return {row["name"]: row["count"] for row in await connection.fetch(query)}
