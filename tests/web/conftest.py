"""A system whose messages have links to its pages."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from tests.api.conftest import CONTENT, own_database
from tests.support.system import Answer, System
from tidings.domain import ids
from tidings.store.embedded import EmbeddedServer

PUBLIC = "https://notify.example.com"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Site:
    system: System

    async def email(self, recipient: dict[str, Any], **more: Any) -> dict[str, Any]:
        """The email that it gets, as the development outbox keeps it."""
        notification_id = await self.system.send(
            recipient, {"name": "n"}, channel_preferences=["email"], **more
        )
        (delivery,) = (await self.system.settled(notification_id))["deliveries"]
        assert delivery["status"] == "delivered", delivery
        kept = (await self.system.call("GET", "/outbox?channel=email&limit=200")).body["messages"]
        wanted = str(ids.delivery_id(UUID(notification_id), 1))
        (message,) = [one for one in kept if one["delivery_id"] == wanted]
        content: dict[str, Any] = message["content"]
        return content

    async def link(self, recipient: dict[str, Any], **more: Any) -> str:
        """The path of its link to unsubscribe."""
        headers = (await self.email(recipient, **more))["headers"]
        path: str = headers["List-Unsubscribe"].removeprefix(f"<{PUBLIC}").removesuffix(">")
        return path

    async def visit(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            given |= FORM
        return await self.system.call(
            method, path, role=None, headers=given, raw=None if body is None else body.encode()
        )

    async def preferences(self, user_id: str) -> Any:
        return (await self.system.call("GET", f"/users/{user_id}/preferences")).body


@pytest.fixture(scope="module")
async def site(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """With the templates `note` (transactional), `news` and `alarm`, whose category is mandatory, and `comments`
    (social), told in digests."""
    directory = tmp_path_factory.mktemp("site")
    web = {"public_url": f"{PUBLIC}/", "name": "Example Shop"}
    async with own_database(server) as dsn, System.run(dsn, directory, web=web) as system:
        await system.template(CONTENT)
        await system.template(CONTENT, "news", category="news")
        await system.template(CONTENT, "alarm", category="security")
        summary = {"email": {"subject": "{{ count }} new", "text": "{{ count }}"}}
        await system.template(summary, "comments", category="social", digest={"window": "cadence"})
        for name, more in {
            "news": {"name": "Monthly <news>"},
            "security": {"name": "Security", "mandatory": True},
        }.items():
            answer = await system.call("PUT", f"/categories/{name}", more)
            assert answer.status in {200, 201}, answer.body
        yield Site(system)
