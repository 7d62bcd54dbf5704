"""`tidings audit`: silent and 0 over a healthy database; each broken promise is printed, and the status is 1."""

import asyncio
import secrets
from collections.abc import Iterator

import asyncpg
import pytest

from tests.cli.conftest import Cli
from tests.store.breakages import BREAKAGES, fill
from tidings.store.audit import CHECKS, Check
from tidings.store.embedded import EmbeddedServer


def of(server: EmbeddedServer, database: str) -> str:
    return server.url.replace("/tidings?", f"/{database}?")


def on(url: str, *statements: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


@pytest.fixture(scope="module")
def healthy(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a filled database, for others to be made after."""
    name = f"test_{secrets.token_hex(6)}"
    on(of(server, "postgres"), f'CREATE DATABASE "{name}" TEMPLATE tidings')
    asyncio.run(fill(of(server, name), tmp_path_factory.mktemp("healthy")))
    yield name
    on(of(server, "postgres"), f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def url(
    alone: Cli, server: EmbeddedServer, healthy: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A copy of it, which the commands use."""
    name = f"test_{secrets.token_hex(6)}"
    on(of(server, "postgres"), f'CREATE DATABASE "{name}" TEMPLATE "{healthy}"')
    monkeypatch.setenv("TIDINGS_DATABASE_URL", of(server, name))
    yield of(server, name)
    on(of(server, "postgres"), f'DROP DATABASE "{name}" WITH (FORCE)')


def test_a_healthy_database_holds_all_promises(alone: Cli, url: str) -> None:
    assert alone("audit").out == f"All {len(CHECKS)} promises hold.\n"
    document = alone("audit", "--json").document
    assert document["holds"] is True
    assert [one["check"] for one in document["checks"]] == [check.name for check in CHECKS]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_broken_promise_is_printed(alone: Cli, url: str, check: Check) -> None:
    name = check.name
    on(url, *BREAKAGES[name])
    document = alone("audit", "--json", status=1).document
    assert document["holds"] is False
    broken = {one["check"]: one for one in document["checks"] if one["broken"]}
    assert name in broken
    shown = alone("audit", status=1).out
    for one in broken.values():
        assert one["check"] in shown
        assert one["samples"][0] in shown
