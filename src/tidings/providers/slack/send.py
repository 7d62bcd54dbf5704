"""Chat messages through Slack's incoming webhooks: one a call, to the webhook that the address is."""

from collections.abc import Sequence

import orjson

from tidings.domain.chat import SLACK
from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome, Permanent
from tidings.domain.provider import Account
from tidings.providers.chatting import Chat, read_chat, webhook_of
from tidings.providers.http import Answer, retry_after
from tidings.providers.refusals import UNREADABLE
from tidings.providers.slack.verdicts import NO_TEXT, TABLE
from tidings.providers.vendor import Call, Probe, one_each

_LONGEST = 40_000
_HEADERS = {"content-type": "application/json"}
_LOCATE = webhook_of(SLACK, r"/services/[A-Za-z0-9]+/[A-Za-z0-9]+/[A-Za-z0-9]+")
# https://docs.slack.dev/messaging/formatting-message-text: with these no text can mention a channel or be a link.
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class SlackApi:
    def __init__(self, account: Account) -> None:
        self._url = account.text("url")

    def prepare(self, message: Message) -> Chat | Permanent:
        return read_chat(message, _LOCATE, _LONGEST)

    def groups(self, items: Sequence[Chat]) -> Sequence[Sequence[int]]:
        return one_each(items)

    def call(self, items: Sequence[Chat]) -> Call:
        [chat] = items
        body = orjson.dumps({"text": chat.body.translate(_ESCAPED)})
        return Call("POST", chat.target, _HEADERS, body)

    def read(self, items: Sequence[Chat], answer: Answer, now: float) -> Sequence[Outcome]:
        said = answer.body.decode("ascii", "replace").strip() if answer.complete else ""
        if answer.status != 200:
            return [TABLE.refusal(answer.status, said, "", retry_after(answer, now))]
        return [Accepted(detail="HTTP 200") if said == "ok" else UNREADABLE]

    def probe(self) -> Probe | str:
        """A message without text, which a webhook that works refuses as such."""
        target = _LOCATE(self._url)
        if target is None:
            return "No webhook of its own to try: recipients bring theirs."
        return Probe(Call("POST", target, _HEADERS, b"{}"), proves=(400,), says=NO_TEXT)
