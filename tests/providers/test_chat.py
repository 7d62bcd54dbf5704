"""Slack, Discord, Teams and Telegram before their documented answers: what is asked, and what an answer means."""

import json
from typing import Any

import pytest

from tests.providers.vendor_answers import (
    BOT,
    DISCORD,
    DISCORD_HOOK,
    SLACK,
    SLACK_HOOK,
    TEAMS,
    TEAMS_HOOK,
    TELEGRAM,
    teams_refusal,
    telegram_refusal,
)
from tests.providers.vendors import Reply, Vendor, account, chat, exchange
from tidings.domain.chat import service_of
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.reasons import Reason
from tidings.providers.catalogue import CATALOGUE, Ports
from tidings.providers.http import Request
from tidings.settings import SettingsError

VENDOR = {one.name: one for one in (SLACK, DISCORD, TEAMS, TELEGRAM)}


def told(vendor: Vendor, reply: Reply, address: str = "", body: str = "") -> tuple[Outcome, Any]:
    """The outcome, and the request that was made, if one was."""
    [outcome], received = exchange(
        vendor.name, vendor.values, [chat(address or vendor.address, body=body)], reply
    )
    return outcome, received[0] if received else None


def test_slack_gets_text_that_mentions_nobody() -> None:
    outcome, request = told(SLACK, Reply(200, "ok"), body="a < b & <!channel>")
    assert outcome == Accepted(detail="HTTP 200")
    assert (request.method, request.target) == (
        "POST",
        SLACK_HOOK.removeprefix("https://hooks.slack.com"),
    )
    assert json.loads(request.body) == {"text": "a &lt; b &amp; &lt;!channel&gt;"}


def test_discord_is_waited_for_and_calls_nobody() -> None:
    taken = Reply(200, {"id": "77"})
    outcome, request = told(DISCORD, taken, body="@everyone hello")
    assert outcome == Accepted("77", detail="HTTP 200")
    assert request.target == f"{DISCORD_HOOK.removeprefix('https://discord.com')}?wait=true"
    assert json.loads(request.body) == {
        "content": "@everyone hello",
        "allowed_mentions": {"parse": []},
    }
    _, request = told(DISCORD, taken, f"{DISCORD_HOOK}?thread_id=99")
    assert request.target.endswith("?thread_id=99&wait=true")


def test_teams_gets_a_card_whose_text_is_no_markdown() -> None:
    outcome, request = told(TEAMS, Reply(202), body="5 * 3 [x](y)")
    assert isinstance(outcome, Accepted)
    assert request.target == TEAMS_HOOK.removeprefix("https://prod-01.westeurope.logic.azure.com")
    [attachment] = json.loads(request.body)["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    [block] = attachment["content"]["body"]
    assert block == {"type": "TextBlock", "text": r"5 \* 3 \[x\]\(y\)", "wrap": True}


def test_telegram_gets_chat_and_topic() -> None:
    taken = Reply(200, {"ok": True, "result": {"message_id": 42}})
    outcome, request = told(TELEGRAM, taken, body="*plain*")
    assert outcome == Accepted("42", detail="HTTP 200")
    assert request.target == f"/bot{BOT}/sendMessage"
    assert json.loads(request.body) == {"chat_id": "-1001234567890", "text": "*plain*"}
    _, request = told(TELEGRAM, taken, "telegram:-100123/7")
    assert json.loads(request.body)["message_thread_id"] == 7
    _, request = told(TELEGRAM, taken, "telegram:@some_channel")
    assert json.loads(request.body)["chat_id"] == "@some_channel"


GONE = Permanent(Reason.ENDPOINT_GONE, suppress=True)


def discord(status: int, code: int) -> Reply:
    return Reply(status, {"message": "…", "code": code})


@pytest.mark.parametrize(
    ("name", "reply", "kind", "reason"),
    [
        ("slack", Reply(404, "no_service"), Permanent, Reason.ENDPOINT_GONE),
        ("slack", Reply(404, "no_team"), Permanent, Reason.ENDPOINT_GONE),
        ("slack", Reply(404, "channel_not_found"), Permanent, Reason.ENDPOINT_GONE),
        ("slack", Reply(403, "invalid_token"), Permanent, Reason.ADDRESS_INVALID),
        ("slack", Reply(403, "action_prohibited"), Transient, Reason.ACCOUNT_REFUSED),
        ("slack", Reply(410, "channel_is_archived"), Permanent, Reason.PROVIDER_REJECTED),
        ("slack", Reply(500, "rollup_error"), Transient, Reason.PROVIDER_UNAVAILABLE),
        ("slack", Reply(504, "<html>"), Unknown, Reason.TIMED_OUT),
        ("discord", discord(404, 10015), Permanent, Reason.ENDPOINT_GONE),
        ("discord", discord(401, 50027), Permanent, Reason.ENDPOINT_GONE),
        ("discord", discord(400, 50035), Permanent, Reason.CONTENT_REJECTED),
        ("discord", discord(400, 50083), Permanent, Reason.PROVIDER_REJECTED),
        ("discord", discord(400, 220001), Permanent, Reason.PROVIDER_REJECTED),
        ("discord", discord(400, 20009), Permanent, Reason.CONTENT_REJECTED),
        ("discord", discord(429, 40062), Transient, Reason.PROVIDER_THROTTLED),
        ("discord", discord(503, 130000), Transient, Reason.PROVIDER_UNAVAILABLE),
        ("discord", Reply(204), Unknown, Reason.MALFORMED_ANSWER),
        ("teams", teams_refusal(404, "WorkflowNotFound"), Permanent, Reason.ENDPOINT_GONE),
        (
            "teams",
            teams_refusal(400, "WorkflowTriggerIsNotEnabled"),
            Transient,
            Reason.ACCOUNT_REFUSED,
        ),
        (
            "teams",
            Reply(200, "Microsoft Teams endpoint returned HTTP error 429 with ContextId 1"),
            Transient,
            Reason.PROVIDER_THROTTLED,
        ),
        (
            "teams",
            Reply(200, "Webhook message delivery failed: Teams returned HTTP error 413"),
            Permanent,
            Reason.MESSAGE_TOO_LARGE,
        ),
        (
            "telegram",
            telegram_refusal(403, "Forbidden: bot was blocked by the user"),
            Permanent,
            Reason.PROVIDER_SUPPRESSED,
        ),
        (
            "telegram",
            telegram_refusal(403, "Forbidden: bot was kicked from the supergroup chat"),
            Permanent,
            Reason.ENDPOINT_GONE,
        ),
        (
            "telegram",
            telegram_refusal(403, "Forbidden: bot can't initiate conversation with a user"),
            Permanent,
            Reason.ADDRESS_INVALID,
        ),
        (
            "telegram",
            telegram_refusal(400, "Bad Request: group is deactivated"),
            Permanent,
            Reason.ENDPOINT_GONE,
        ),
        (
            "telegram",
            telegram_refusal(400, "Bad Request: user not found"),
            Permanent,
            Reason.ADDRESS_INVALID,
        ),
        (
            "telegram",
            telegram_refusal(400, "Bad Request: message must be non-empty"),
            Permanent,
            Reason.CONTENT_REJECTED,
        ),
        (
            "telegram",
            telegram_refusal(400, "Bad Request: have no rights to send a message"),
            Transient,
            Reason.ACCOUNT_REFUSED,
        ),
        (
            "telegram",
            telegram_refusal(400, "Bad Request: message is too long"),
            Permanent,
            Reason.MESSAGE_TOO_LARGE,
        ),
        (
            "telegram",
            telegram_refusal(404, "Not Found"),
            Transient,
            Reason.CREDENTIALS_REFUSED,
        ),
    ],
)
def test_documented_errors(name: str, reply: Reply, kind: type, reason: Reason) -> None:
    outcome, _ = told(VENDOR[name], reply)
    assert isinstance(outcome, kind)
    assert outcome.reason is reason
    if reason in {Reason.ENDPOINT_GONE, Reason.PROVIDER_SUPPRESSED}:
        assert isinstance(outcome, Permanent)
        assert outcome.suppress


def test_telegram_says_how_long_to_wait_in_the_body() -> None:
    parameters = {"retry_after": 35}
    outcome, _ = told(TELEGRAM, telegram_refusal(429, "Too Many Requests", parameters=parameters))
    assert outcome == Transient(Reason.PROVIDER_THROTTLED, 35.0, "HTTP 429")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("slack", "https://hooks.slack.com/api/chat.postMessage"),
        ("slack", "https://hooks.slack.com/services/../../x"),
        ("slack", "https://hooks.slack.com.evil.example/services/T/B/x"),
        ("slack", "https://hooks.slack.com@169.254.169.254/services/T/B/x"),
        ("slack", "http://hooks.slack.com/services/T/B/x"),
        ("slack", DISCORD_HOOK),
        ("discord", "https://discord.com/api/v10/users/@me"),
        ("discord", f"{DISCORD_HOOK}/messages/1"),
        ("discord", f"{DISCORD_HOOK}?wait=false&thread_id=1"),
        ("teams", "https://logic.azure.com.evil.example/x"),
        ("teams", "https://127.0.0.1/x"),
        ("teams", "https://[::1]:80/.logic.azure.com"),
        ("teams", "file:///etc/passwd#.logic.azure.com"),
        ("telegram", "telegram:1/../getUpdates"),
        ("telegram", "telegram:"),
        ("telegram", "123"),
    ],
)
def test_an_address_leads_nowhere_else(name: str, address: str) -> None:
    outcome, request = told(VENDOR[name], Reply(200, "ok"), address)
    assert request is None
    assert outcome == Permanent(Reason.ADDRESS_INVALID, detail="not an address of this service")


@pytest.mark.parametrize(
    ("name", "longest"), [("slack", 40_000), ("discord", 2_000), ("telegram", 4_096)]
)
def test_what_is_too_long_is_not_cut(name: str, longest: int) -> None:
    outcome, request = told(VENDOR[name], Reply(200, "ok"), body="x" * (longest + 1))
    assert request is None
    assert outcome == Permanent(Reason.MESSAGE_TOO_LARGE, detail=f"more than {longest} characters")


@pytest.mark.parametrize("name", VENDOR)
@pytest.mark.parametrize("body", ["   ", "\ud800"])
def test_what_is_no_text_is_not_sent(name: str, body: str) -> None:
    outcome, request = told(VENDOR[name], Reply(200, "ok"), body=body)
    assert request is None
    assert outcome == Permanent(Reason.CONTENT_REJECTED, detail="no text that can be sent")


class Recorder:
    def __init__(self) -> None:
        self.urls: list[str] = []

    async def send(self, request: Request) -> Transient:
        self.urls.append(request.url)
        return Transient(Reason.CONNECTION_FAILED)

    async def close(self) -> None:
        """Nothing is open."""


async def _nothing(*_: object) -> None:
    raise AssertionError("chat stores nothing with us")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "address",
    [
        TEAMS_HOOK,
        "https://acme.webhook.office.com/webhookb2/1@2/IncomingWebhook/3/4",
        "https://default1.0a.environment.api.powerplatform.com:443/powerautomate/automations/x?api-version=1",
    ],
)
async def test_teams_is_called_where_the_address_is(address: str) -> None:
    _, mine = account("teams", "")
    http = Recorder()
    _, make = CATALOGUE["teams"]
    provider = make(mine, Ports(http, http, _nothing, _nothing))
    [outcome] = await provider.send([chat(address)])
    assert isinstance(outcome, Transient)
    assert http.urls == [address.replace(":443", "")]


@pytest.mark.parametrize("values", [{"token": "bot"}, {"token": BOT, "chat": "@channel"}])
def test_telegram_fields_that_cannot_be_used(values: dict[str, str]) -> None:
    _, mine = account("telegram", "https://api.telegram.org", 10.0, **values)
    _, make = CATALOGUE["telegram"]
    http = Recorder()
    with pytest.raises(
        SettingsError, match=f"accounts.mine.{'chat' if 'chat' in values else 'token'}"
    ):
        make(mine, Ports(http, http, _nothing, _nothing))


@pytest.mark.parametrize(
    ("address", "service"),
    [
        (SLACK_HOOK, "slack"),
        (DISCORD_HOOK, "discord"),
        (TEAMS_HOOK, "teams"),
        ("telegram:1", "telegram"),
        ("matrix://user:pass@host/!room", "other"),
        ("https://[::1", "other"),
        ("https://example.com/", "other"),
    ],
)
def test_the_service_of_an_address(address: str, service: str) -> None:
    assert service_of(address) == service
