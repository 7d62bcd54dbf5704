"""Questions to a system's PostgreSQL, asked from plain code."""

import asyncio
from typing import Any

import asyncpg


class Database:
    """One connection, used from one thread."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(asyncpg.connect(url))

    def execute(self, statement: str) -> None:
        self._runner.run(self._connection.execute(statement))

    def row(self, query: str, *values: object) -> Any:
        return self._runner.run(self._connection.fetchrow(query, *values))

    def rows(self, query: str, *values: object) -> Any:
        return self._runner.run(self._connection.fetch(query, *values))

    def close(self) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()
