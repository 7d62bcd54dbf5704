"""Libraries that Python's applications use for chat services, before the sandbox: Slack's own, and for the others, whose
makers give none for Python, those that are kept."""

import asyncio
from typing import Any

import pytest
import telegram as telegram_client
import telegram.error as telegram_errors
from discord_webhook import DiscordWebhook
from pymsteams import TeamsWebhookException, connectorcard
from slack_sdk.webhook import WebhookClient

from tests.support.sandbox import Box


def at_the_sandbox(box: Box, vendor: str, token: str) -> str:
    """The webhook's URL, of which the sandbox has the path."""
    account = box.account(vendor)
    path = account["url"].split("/", 3)[3].rpartition("/")[0]
    return f"{account['endpoint']}/{path}/{token}"


# --- Slack ---


def slack(box: Box, token: str = "sandbox") -> WebhookClient:
    return WebhookClient(at_the_sandbox(box, "slack", token))


def test_slack(box: Box) -> None:
    answer = slack(box).send(text="Hello &lt;there&gt;")
    assert (answer.status_code, answer.body) == (200, "ok")
    assert box.message(vendor="slack")["text"] == "Hello <there>"


def test_slack_refuses(box: Box) -> None:
    answer = slack(box).send(text="")
    assert (answer.status_code, answer.body) == (400, "no_text")
    answer = slack(box, "invalid-7").send(text="Hello")
    assert (answer.status_code, answer.body) == (404, "no_service")
    assert slack(box, "throttle-7").send(text="Hello").status_code == 429
    assert box.messages() == []


# --- Telegram ---


def telegram(box: Box, chat: str, text: str, token: str = "") -> telegram_client.Message:
    account = box.account("telegram")

    async def send() -> telegram_client.Message:
        base = f"{account['endpoint']}/bot"
        async with telegram_client.Bot(token or account["token"], base_url=base) as bot:
            return await bot.send_message(chat, text)

    return asyncio.run(send())


def test_telegram(box: Box) -> None:
    told = telegram(box, "@orders", "Hello there")
    message = box.message(vendor="telegram")
    assert (message["text"], str(told.message_id)) == ("Hello there", message["message_id"])
    assert told.text == "Hello there"


def test_telegram_refuses(box: Box) -> None:
    with pytest.raises(telegram_errors.BadRequest, match=r"[Cc]hat not found"):
        telegram(box, "@invalid_7", "Hello")
    with pytest.raises(telegram_errors.Forbidden, match="kicked"):
        telegram(box, "@bounce_7", "Hello")
    with pytest.raises(telegram_errors.RetryAfter):
        telegram(box, "@throttle_7", "Hello")
    with pytest.raises(telegram_errors.InvalidToken):
        telegram(box, "@orders", "Hello", token="1:other")
    assert box.messages() == []


# --- Discord ---


def discord(box: Box, token: str, content: str) -> Any:
    return DiscordWebhook(url=at_the_sandbox(box, "discord", token), content=content).execute()


def test_discord(box: Box) -> None:
    answer = discord(box, "sandbox", "Hello **there**")
    message = box.message(vendor="discord")
    assert (answer.status_code, answer.json()["id"]) == (200, message["message_id"])
    assert (message["text"], answer.json()["content"]) == ("Hello **there**", "Hello **there**")


@pytest.mark.parametrize(
    ("token", "content", "status", "code"),
    [
        ("invalid-7", "Hello", 404, 10015),
        ("suppressed-7", "Hello", 401, 50027),
        ("sandbox", "x" * 2001, 400, 50035),
    ],
)
def test_discord_refuses(box: Box, token: str, content: str, status: int, code: int) -> None:
    answer = discord(box, token, content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert box.messages() == []


def test_discord_throttles(box: Box) -> None:
    answer = DiscordWebhook(url=at_the_sandbox(box, "discord", "throttle-7"), content="Hello")
    refused = answer.api_post_request()
    assert (refused.status_code, refused.json()["retry_after"]) == (429, 1.0)
    assert answer.execute().status_code == 200
    assert box.message()["text"] == "Hello"


# --- Teams ---


def teams(box: Box, token: str = "sandbox") -> connectorcard:
    return connectorcard(at_the_sandbox(box, "teams", token))


def test_teams(box: Box) -> None:
    """The library's own form is that of connectors; a workflow takes an adaptive card, which goes as its payload."""
    card = teams(box)
    card.text("Hello there")
    assert card.send()
    block = {"type": "TextBlock", "text": "Hello again", "wrap": True}
    content = {"type": "AdaptiveCard", "version": "1.4", "body": [block]}
    kind = "application/vnd.microsoft.card.adaptive"
    workflow = teams(box)
    workflow.payload = {
        "type": "message",
        "attachments": [{"contentType": kind, "contentUrl": None, "content": content}],
    }
    assert workflow.send()
    assert [one["text"] for one in box.messages(vendor="teams")] == ["Hello there", "Hello again"]


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("invalid-7", "WorkflowNotFound"),
        ("suppressed-7", "WorkflowTriggerIsNotEnabled"),
        ("throttle-7", "TooManyRequests"),
    ],
)
def test_teams_refuses(box: Box, token: str, code: str) -> None:
    card = teams(box, token)
    card.text("Hello")
    with pytest.raises(TeamsWebhookException, match=code):
        card.send()
    assert box.messages() == []
