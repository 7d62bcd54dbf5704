"""Fixtures for the API's tests: systems that many tests share, and the count of all rows."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.store.tables import row_counts
from tests.support.system import Answer, System
from tidings.store.embedded import EmbeddedServer

CONTENT = {
    "email": {
        "subject": "Hello {{ name }}",
        "text": "Dear {{ name }}",
        "html": "<p>{{ name }}</p>",
    },
    "sms": {"body": "Hi {{ name }}"},
    "push": {"title": "Hi", "body": "{{ name }}"},
    "in_app": {"title": "Hi", "body": "{{ name }}"},
    "webhook": {"type": "note.sent"},
    "chat": {"body": "{{ name }}"},
}

Rows = Callable[[], Awaitable[dict[str, int]]]


@contextlib.asynccontextmanager
async def own_database(server: EmbeddedServer) -> AsyncIterator[str]:
    """A database with the schema; like the fixture `dsn`, for wider scopes."""
    name = f"test_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(server.url.replace("/tidings?", "/postgres?"))
    try:
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE tidings')
        yield server.url.replace("/tidings?", f"/{name}?")
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await admin.close()


@pytest.fixture(scope="module")
async def quiet(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """An API without a worker, shared by a module: what is accepted stays as it was stored. It has the
    template `note`, with content for every channel."""
    directory = tmp_path_factory.mktemp("quiet")
    async with (
        own_database(server) as dsn,
        System.run(dsn, directory, working=False) as system,
    ):
        await system.template(CONTENT)
        yield system


@pytest.fixture(scope="module")
async def busy(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """API and worker, shared by a module, with the template `note`."""
    directory = tmp_path_factory.mktemp("busy")
    async with own_database(server) as dsn, System.run(dsn, directory) as system:
        await system.template(CONTENT)
        yield system


@pytest.fixture
async def rows(quiet: System) -> AsyncIterator[Rows]:
    """Counts the rows of every table, to show that nothing was stored."""
    connection = await asyncpg.connect(quiet.dsn)
    try:
        yield lambda: row_counts(connection)
    finally:
        await connection.close()


@dataclass(frozen=True)
class Served:
    """A system with an event loop of its own, for tests that are not asynchronous."""

    system: System
    portal: BlockingPortal

    def call(self, *arguments: Any, **options: Any) -> Answer:
        return self.portal.call(partial(self.system.call, *arguments, **options))


@pytest.fixture(scope="module")
def served(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """API and worker in a thread, with the template `note`."""
    directory = tmp_path_factory.mktemp("served")
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(own_database(server)) as dsn,
        portal.wrap_async_context_manager(System.run(dsn, directory)) as system,
    ):
        portal.call(system.template, CONTENT)
        yield Served(system, portal)
