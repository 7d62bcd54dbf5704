"""Chat from the HTTP call to the service: each address goes to the account of its own service."""

from pathlib import Path
from typing import Any

import pytest

from tests.providers.http_server import HttpStandIn
from tests.providers.vendors import Reply, answering
from tests.support.system import System

pytestmark = pytest.mark.anyio

SLACK = "https://hooks.slack.com/services/T00000000/B00000000/abcdefgh"
DISCORD = "https://discord.com/api/webhooks/1234567890/abcdefgh"


async def test_each_address_goes_to_its_own_service(dsn: str, tmp_path: Path) -> None:
    async with (
        HttpStandIn(answering(lambda _: Reply(200, "ok"))) as slack,
        HttpStandIn(answering(lambda _: Reply(200, {"id": "77"}))) as discord,
    ):
        accounts: dict[str, Any] = {
            "team": {"provider": "slack", "url": SLACK, "endpoint": slack.url("")},
            "players": {"provider": "discord", "endpoint": discord.url("")},
        }
        async with System.run(dsn, tmp_path, accounts=accounts) as system:
            await system.template({"chat": {"body": "Hello {{ name }}"}})
            found = {}
            for address in (SLACK, DISCORD, None):
                recipient = {"user_id": "ada"} | ({"chat_url": address} if address else {})
                status = await system.settled(await system.send(recipient, {"name": "Ada"}))
                [delivery] = status["deliveries"]
                found[address] = (delivery["status"], delivery["account"])
            nobody = await system.send({"chat_url": "telegram:123"}, {"name": "Ada"})
            waiting = await system.until(nobody, lambda one: one["reason"] == "no_account")
    assert found == {
        SLACK: ("sent", "team"),
        DISCORD: ("sent", "players"),
        None: ("sent", "team"),  # the address that an account stands in with
    }
    assert [b"Hello Ada" in one.body for one in slack.received] == [True, True]
    assert [b"Hello Ada" in one.body for one in discord.received] == [True]
    assert waiting["status"] == "pending"


async def test_a_webhook_that_was_removed_is_not_called_again(dsn: str, tmp_path: Path) -> None:
    gone = Reply(404, {"message": "Unknown Webhook", "code": 10015})
    async with HttpStandIn(answering(lambda _: gone)) as discord:
        accounts = {"players": {"provider": "discord", "endpoint": discord.url("")}}
        async with System.run(dsn, tmp_path, accounts=accounts) as system:
            await system.template({"chat": {"body": "Hello"}})
            seen = []
            for _ in range(2):
                status = await system.settled(await system.send({"chat_url": DISCORD}))
                [delivery] = status["deliveries"]
                seen.append((delivery["status"], delivery["reason"]))
    assert seen == [("failed", "endpoint_gone"), ("suppressed", "address_suppressed")]
    assert len(discord.received) == 1
