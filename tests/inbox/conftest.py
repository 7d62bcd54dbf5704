"""Systems whose feeds are watched."""

from collections.abc import AsyncIterator

import pytest

from tests.api.conftest import CONTENT, own_database
from tests.support.system import System
from tidings.store.embedded import EmbeddedServer

APP = "https://app.example.com"


@pytest.fixture(scope="module")
async def live(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """API and worker, shared by a module, with the template `note`; pages of one other origin may use it."""
    directory = tmp_path_factory.mktemp("live")
    settings = {"origins": [APP], "connections_per_user": 3}
    async with (
        own_database(server) as dsn,
        System.run(dsn, directory, inbox=settings) as system,
    ):
        await system.template(CONTENT)
        yield system


async def notify(system: System, user_id: str, text: str = "n") -> None:
    """Accepted; it arrives in the feed in a moment."""
    await system.send({"user_id": user_id}, {"name": text}, channel_preferences=["in_app"])
