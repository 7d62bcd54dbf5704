"""What a provider says in a form that cannot be stored does not undo that it took the message."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest

from tests.support.sink import Sink
from tests.support.system import System
from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome
from tidings.providers.webhook.send import WebhookProvider

pytestmark = pytest.mark.anyio

SECRET = "whsec_" + "c2VjcmV0" * 4


@pytest.mark.parametrize("odd", [12345, {"id": "a"}, object()], ids=["number", "object", "thing"])
async def test_an_id_that_is_no_text_costs_the_id_alone(
    dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    connection: "asyncpg.Connection[asyncpg.Record]",
    odd: object,
) -> None:
    """As a provider from elsewhere might answer, whose vendor numbers its messages."""
    send = WebhookProvider.send

    async def numbered(self: WebhookProvider, messages: Sequence[Message]) -> Sequence[Outcome]:
        outcomes = await send(self, messages)
        return [
            Accepted(cast("Any", odd), detail=cast("Any", odd)) if "odd" in one.address else outcome
            for one, outcome in zip(messages, outcomes, strict=True)
        ]

    monkeypatch.setattr(WebhookProvider, "send", numbered)
    accounts = {"hooks": {"provider": "webhook", "secret": SECRET}}
    outbound = {"allow": ["127.0.0.0/8"]}
    async with (
        Sink.run() as sink,
        System.run(dsn, tmp_path, accounts=accounts, outbound=outbound) as system,
    ):
        await system.template({"webhook": {}})
        items = [
            {"template_id": "note", "recipient": {"webhook_url": f"{sink.url}/{name}"}}
            for name in ("a", "odd", "b")
        ]
        answer = await system.call("POST", "/notifications/bulk", {"notifications": items})
        for one in answer.body["results"]:
            (delivery,) = (await system.settled(one["notification_id"]))["deliveries"]
            assert (delivery["status"], delivery["attempts"]) == ("delivered", 1)
    assert not sink.doubled
    assert await connection.fetchval("SELECT count(*) FROM attempts") == 3
