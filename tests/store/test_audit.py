"""The audit: silent over a healthy database, and each promise, broken by hand, is found."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from tests.store.breakages import BREAKAGES, fill
from tidings.store.audit import CHECKS, audit

pytestmark = pytest.mark.anyio


@pytest.fixture
async def filled(dsn: str, tmp_path: Path) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    await fill(dsn, tmp_path)
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def broken(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, int]:
    found = [one async for one in audit(connection, lease=60)]
    assert [one.check for one in found] == list(CHECKS)
    assert all(bool(one.count) == bool(one.samples) for one in found)
    return {one.check.name: one.count for one in found if one.count}


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
async def test_what_is_broken_is_found(
    filled: "asyncpg.Connection[asyncpg.Record]", name: str
) -> None:
    assert await broken(filled) == {}
    for statement in BREAKAGES[name]:
        await filled.execute(statement)
    assert name in await broken(filled)
