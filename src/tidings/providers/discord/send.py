"""Chat messages through Discord's webhooks: one a call, to the webhook that the address is."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from tidings.domain.chat import DISCORD
from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome, Permanent
from tidings.domain.provider import Account
from tidings.providers.chatting import Chat, read_chat, webhook_of
from tidings.providers.discord.verdicts import TABLE
from tidings.providers.http import Answer, retry_after
from tidings.providers.refusals import UNREADABLE
from tidings.providers.vendor import Call, Probe, document, one_each

_LONGEST = 2_000
_HEADERS = {"content-type": "application/json"}
_LOCATE = webhook_of(
    DISCORD, r"/api(/v[0-9]+)?/webhooks/[0-9]+/[A-Za-z0-9_-]+(\?thread_id=[0-9]+)?"
)


class DiscordApi:
    def __init__(self, account: Account) -> None:
        self._url = account.text("url")

    def prepare(self, message: Message) -> Chat | Permanent:
        chat = read_chat(message, _LOCATE, _LONGEST)
        if isinstance(chat, Permanent):
            return chat
        # Without wait, the answer says that it was read, not that it was posted.
        return replace(chat, target=f"{chat.target}{'&' if '?' in chat.target else '?'}wait=true")

    def groups(self, items: Sequence[Chat]) -> Sequence[Sequence[int]]:
        return one_each(items)

    def call(self, items: Sequence[Chat]) -> Call:
        [chat] = items
        # No text can call a whole server together.
        body = orjson.dumps({"content": chat.body, "allowed_mentions": {"parse": []}})
        return Call("POST", chat.target, _HEADERS, body)

    def read(self, items: Sequence[Chat], answer: Answer, now: float) -> Sequence[Outcome]:
        found = document(answer)
        said: dict[str, Any] = found if isinstance(found, dict) else {}
        if answer.status != 200:
            wait = retry_after(answer, now)
            return [TABLE.refusal(answer.status, str(said.get("code", "")), "", wait)]
        if not isinstance(said.get("id"), str):
            return [UNREADABLE]
        return [Accepted(said["id"], detail="HTTP 200")]

    def probe(self) -> Probe | str:
        """https://discord.com/developers/docs/resources/webhook#get-webhook-with-token"""
        target = _LOCATE(self._url)
        if target is None:
            return "No webhook of its own to try: recipients bring theirs."
        return Probe(Call("GET", target.partition("?")[0]))
