"""Fixtures for all tests: PostgreSQL is real, embedded, and one server per test process."""

import asyncio
import contextlib
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import hypothesis
import pytest

from tests.support.system import System
from tidings.store.embedded import EmbeddedServer
from tidings.store.migrate import migrate

# A slow machine is not a failed test.
hypothesis.settings.register_profile("tidings", deadline=None)
hypothesis.settings.load_profile("tidings")

# A developer's own settings must not reach the tests.
for name in [name for name in os.environ if name.startswith("TIDINGS_")]:
    del os.environ[name]
os.environ["TIDINGS_CONFIG"] = os.devnull


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    # Not below pytest's own directory: other runs clean that up, and a socket's path must be short.
    with tempfile.TemporaryDirectory(
        prefix="tidings-test-", ignore_cleanup_errors=True
    ) as directory:
        embedded = EmbeddedServer(Path(directory) / "pg")
        embedded.start()
        try:
            asyncio.run(embedded.ensure_database())
            asyncio.run(migrate(embedded.url))
            yield embedded
        finally:
            embedded.stop()


@pytest.fixture
async def dsn(server: EmbeddedServer) -> AsyncIterator[str]:
    """A database of its own, with the schema."""
    name = f"test_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(server.url.replace("/tidings?", "/postgres?"))
    try:
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE tidings')
        yield server.url.replace("/tidings?", f"/{name}?")
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await admin.close()


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """For looking at what is stored."""
    opened = await asyncpg.connect(dsn)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def system(dsn: str, tmp_path: Path) -> AsyncIterator[System]:
    """API and worker in this process, over real sockets, with the development accounts."""
    async with contextlib.AsyncExitStack() as stack:
        yield await stack.enter_async_context(System.run(dsn, tmp_path))
