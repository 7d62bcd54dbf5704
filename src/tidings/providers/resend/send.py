"""Email through Resend: one a call, each with its idempotency key."""

import re
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import orjson

from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient
from tidings.domain.provider import Account
from tidings.domain.reasons import Reason
from tidings.providers.http import Answer, retry_after
from tidings.providers.letters import Letter, read_letter, read_sender, shown
from tidings.providers.refusals import UNREADABLE
from tidings.providers.resend.verdicts import TABLE
from tidings.providers.vendor import Call, Probe, document, one_each, read_token

_RECIPIENTS = 50
_NOT_IN_TAGS = re.compile(r"[^A-Za-z0-9_-]")
_TAG = 256
_RESET = re.compile(r"[0-9]{1,6}")


class ResendApi:
    """Raises SettingsError for a key or sender that cannot be used."""

    def __init__(self, account: Account) -> None:
        self._sender = shown(read_sender(account))
        self._headers = {"authorization": f"Bearer {read_token(account, 'api_key')}"}

    def prepare(self, message: Message) -> Letter | Permanent | Transient:
        letter = read_letter(message)
        if isinstance(letter, Letter) and max(len(letter.cc), len(letter.bcc)) > _RECIPIENTS:
            return Permanent(Reason.CONTENT_REJECTED, detail="more than 50 recipients")
        return letter

    def groups(self, items: Sequence[Letter]) -> Sequence[Sequence[int]]:
        return one_each(items)

    def call(self, items: Sequence[Letter]) -> Call:
        [letter] = items
        headers = {
            **self._headers,
            "content-type": "application/json",
            "idempotency-key": letter.delivery_id,
        }
        return Call("POST", "/emails", headers, orjson.dumps(self._email(letter)))

    def read(self, items: Sequence[Letter], answer: Answer, now: float) -> Sequence[Outcome]:
        found = document(answer)
        if 200 <= answer.status < 300:
            message_id = found.get("id") if isinstance(found, dict) else None
            if not isinstance(message_id, str):
                return [UNREADABLE]
            return [Accepted(message_id, detail=f"HTTP {answer.status}")]
        name, text = "", ""
        if isinstance(found, dict):
            name, text = str(found.get("name") or ""), str(found.get("message") or "")
        return [TABLE.refusal(answer.status, name, text, _wait(answer, now))]

    def probe(self) -> Probe:
        """An email without any field: the only call that a key for sending alone may make."""
        headers = {**self._headers, "content-type": "application/json"}
        return Probe(Call("POST", "/emails", headers, b"{}"), proves=(400, 422))

    def _email(self, letter: Letter) -> dict[str, Any]:
        content = letter.content
        email: dict[str, Any] = {
            "from": shown(letter.sender) if letter.sender else self._sender,
            "to": [shown(letter.to)],
            "subject": content.subject,
            "text": content.text,
            "tags": _tags(letter),
        }
        for name, mailboxes in (("cc", letter.cc), ("bcc", letter.bcc)):
            if mailboxes:
                email[name] = list(map(shown, mailboxes))
        if content.html is not None:
            email["html"] = content.html
        if letter.reply_to is not None:
            email["reply_to"] = [shown(letter.reply_to)]
        if letter.headers:
            email["headers"] = dict(letter.headers)
        if content.attachments:
            email["attachments"] = [
                {
                    "filename": one.filename,
                    "content": b64encode(one.data).decode("ascii"),
                    "content_type": one.content_type,
                    **({"content_id": one.content_id} if one.content_id else {}),
                }
                for one in content.attachments
            ]
        return email


def _tags(letter: Letter) -> list[dict[str, str]]:
    """Pairs of a narrow alphabet: metadata as they are, and each tag as a pair with "yes".

    What does not fit the alphabet has it replaced; names are unique.
    """
    pairs = {_clean(tag): "yes" for tag in letter.tags}
    pairs |= {_clean(name): _clean(value) for name, value in letter.metadata.items()}
    return [{"name": name, "value": value} for name, value in pairs.items() if name and value]


def _clean(text: str) -> str:
    return _NOT_IN_TAGS.sub("_", text)[:_TAG]


def _wait(answer: Answer, now: float) -> float | None:
    """Retry-After, or the seconds after which the window of the rate limit begins anew."""
    wait = retry_after(answer, now)
    reset = answer.header("ratelimit-reset")
    if wait is None and answer.status == 429 and _RESET.fullmatch(reset):
        return float(reset)
    return wait
