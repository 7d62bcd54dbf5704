"""Chat messages by a Telegram bot: one a call, to the chat that the address names."""

import re
from collections.abc import Sequence
from typing import Any

import orjson

from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome, Permanent
from tidings.domain.provider import Account
from tidings.providers.chatting import Chat, read_chat
from tidings.providers.http import Answer, retry_after
from tidings.providers.refusals import UNREADABLE
from tidings.providers.telegram.verdicts import TABLE
from tidings.providers.vendor import Call, Probe, document, one_each
from tidings.settings import SettingsError

_LONGEST = 4_096
_HEADERS = {"content-type": "application/json"}
_ADDRESS = re.compile(
    r"telegram:(?P<chat>-?[0-9]{1,20}|@[A-Za-z][A-Za-z0-9_]{3,31})(/[0-9]{1,10})?"
)
_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{20,100}")


class TelegramApi:
    """Raises SettingsError for what is no token or no chat."""

    def __init__(self, account: Account) -> None:
        token = account.text("token").strip()
        if not _TOKEN.fullmatch(token):
            raise SettingsError(
                f"accounts.{account.name}.token: not a bot's token, which is a number, a colon and letters"
            )
        chat = account.text("chat")
        if chat and not _ADDRESS.fullmatch(chat):
            raise SettingsError(
                f"accounts.{account.name}.chat: it is telegram:CHAT_ID, telegram:@channel or "
                "telegram:CHAT_ID/TOPIC_ID"
            )
        self._path = f"/bot{token}"

    def prepare(self, message: Message) -> Chat | Permanent:
        return read_chat(message, _target, _LONGEST)

    def groups(self, items: Sequence[Chat]) -> Sequence[Sequence[int]]:
        return one_each(items)

    def call(self, items: Sequence[Chat]) -> Call:
        [chat] = items
        name, _, topic = chat.target.partition("/")
        body: dict[str, Any] = {"chat_id": name, "text": chat.body}
        if topic:
            body["message_thread_id"] = int(topic)
        return Call("POST", f"{self._path}/sendMessage", _HEADERS, orjson.dumps(body))

    def read(self, items: Sequence[Chat], answer: Answer, now: float) -> Sequence[Outcome]:
        found = document(answer)
        said: dict[str, Any] = found if isinstance(found, dict) else {}
        if answer.status == 200 and said.get("ok") is True:
            return [_taken(said)]
        if answer.status == 200 and said.get("ok") is not False:
            return [UNREADABLE]
        why = said.get("description")
        wait = _wait(said) or retry_after(answer, now)
        return [TABLE.refusal(answer.status, "", why if isinstance(why, str) else "", wait)]

    def probe(self) -> Probe:
        """https://core.telegram.org/bots/api#getme"""
        return Probe(Call("GET", f"{self._path}/getMe"))


def _target(address: str) -> str | None:
    return address.removeprefix("telegram:") if _ADDRESS.fullmatch(address) else None


def _taken(said: dict[str, Any]) -> Outcome:
    result = said.get("result")
    number = result.get("message_id") if isinstance(result, dict) else None
    return Accepted(str(number), detail="HTTP 200") if isinstance(number, int) else UNREADABLE


def _wait(said: dict[str, Any]) -> float | None:
    """https://core.telegram.org/bots/api#responseparameters"""
    parameters = said.get("parameters")
    seconds = parameters.get("retry_after") if isinstance(parameters, dict) else None
    return min(float(seconds), 3600.0) if isinstance(seconds, int) and seconds > 0 else None
