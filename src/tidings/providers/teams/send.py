"""Chat messages through the webhooks of Microsoft Teams: one a call, as an adaptive card, to where the address is."""

import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from tidings.domain.chat import TEAMS
from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome, Permanent
from tidings.domain.provider import Account
from tidings.providers.chatting import Chat, read_chat, webhook_of
from tidings.providers.http import Answer, Http, retry_after
from tidings.providers.teams.verdicts import TABLE
from tidings.providers.vendor import Call, Probe, VendorProvider, document, one_each, read_endpoint

_MOST_BYTES = 28 * 1024
"""https://learn.microsoft.com/en-us/microsoftteams/limits-specifications-teams#channels"""
_HEADERS = {"content-type": "application/json"}
_LOCATE = webhook_of(TEAMS, r"/[^\s\\#]+")
# Of a connector, which says so in the body of a 200.
_REFUSED_BEHIND = re.compile(r"HTTP error (?P<status>[0-9]{3})")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-!|>~])")


class TeamsApi:
    """hosted: addresses stay whole, as the host of a webhook differs from one tenant to the other."""

    def __init__(self, account: Account, *, hosted: bool) -> None:
        self._url = account.text("url")
        self._locate = _whole if hosted else _LOCATE

    def prepare(self, message: Message) -> Chat | Permanent:
        return read_chat(message, self._locate, _MOST_BYTES)

    def groups(self, items: Sequence[Chat]) -> Sequence[Sequence[int]]:
        return one_each(items)

    def call(self, items: Sequence[Chat]) -> Call:
        [chat] = items
        return Call("POST", chat.target, _HEADERS, orjson.dumps(_card(chat.body)))

    def read(self, items: Sequence[Chat], answer: Answer, now: float) -> Sequence[Outcome]:
        wait = retry_after(answer, now)
        if answer.status not in (200, 202):
            return [TABLE.refusal(answer.status, _code(answer), "", wait)]
        behind = _REFUSED_BEHIND.search(answer.body.decode("utf-8", "replace"))
        if behind is not None:
            return [TABLE.refusal(int(behind["status"]), "", "", wait)]
        return [Accepted(detail=f"HTTP {answer.status}")]

    def probe(self) -> Probe | str:
        """Whether the host answers: more cannot be known without sending."""
        target = self._locate(self._url)
        if target is None:
            return "No webhook of its own to try: recipients bring theirs."
        call = Call("HEAD", target)
        return Probe(call, proves=(200, 202, 405), found="The webhook's host answers")


def teams_provider(
    account: Account, http: Http, clock: Callable[[], float]
) -> VendorProvider[Chat]:
    """Raises SettingsError."""
    stand_in = account.text("endpoint") and read_endpoint(account)
    return VendorProvider(account, TeamsApi(account, hosted=not stand_in), http, clock, stand_in)


def _whole(address: str) -> str | None:
    """With nothing but the host, path and query that were looked at."""
    target = _LOCATE(address)
    return None if target is None else f"https://{urlsplit(address).hostname}{target}"


def _card(text: str) -> dict[str, Any]:
    """https://adaptivecards.io/explorer/TextBlock.html: it knows some Markdown, which the text is not."""
    block = {"type": "TextBlock", "text": _MARKDOWN.sub(r"\\\1", text), "wrap": True}
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [block],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


def _code(answer: Answer) -> str:
    found = document(answer)
    error = found.get("error") if isinstance(found, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else ""
