"""Email through Postmark, whose batches take emails of their own, each with an answer of its own."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient
from tidings.domain.provider import Account
from tidings.domain.reasons import Reason
from tidings.providers.http import Answer, retry_after
from tidings.providers.letters import Letter, read_letter, read_sender, shown
from tidings.providers.postmark.verdicts import TABLE
from tidings.providers.refusals import UNREADABLE
from tidings.providers.vendor import Call, Probe, document, read_token

_CALL_SIZE = 30 * 2**20
"""Bytes of content in one call; Base64 and JSON make about a half more of it, and 50 MB are allowed."""
_RECIPIENTS = 50
"""Of one email, cc and bcc included."""
_METADATA_NAME, _METADATA_VALUE, _METADATA_FIELDS = 20, 80, 10
"""https://postmarkapp.com/support/article/1125-custom-metadata-faq"""


class PostmarkApi:
    """Raises SettingsError for a token or sender that cannot be used."""

    def __init__(self, account: Account) -> None:
        self._sender = shown(read_sender(account))
        self._stream = account.text("message_stream")
        self._headers = {
            "accept": "application/json",
            "content-type": "application/json",
            "x-postmark-server-token": read_token(account, "server_token"),
        }

    def prepare(self, message: Message) -> Letter | Permanent | Transient:
        letter = read_letter(message)
        if isinstance(letter, Letter) and 1 + len(letter.cc) + len(letter.bcc) > _RECIPIENTS:
            return Permanent(Reason.CONTENT_REJECTED, detail="more than 50 recipients")
        return letter

    def groups(self, items: Sequence[Letter]) -> Sequence[Sequence[int]]:
        groups: list[list[int]] = [[]]
        size = 0
        for at, letter in enumerate(items):
            if groups[-1] and size + letter.size > _CALL_SIZE:
                groups.append([])
                size = 0
            groups[-1].append(at)
            size += letter.size
        return groups

    def call(self, items: Sequence[Letter]) -> Call:
        body = orjson.dumps([self._email(letter) for letter in items])
        return Call("POST", "/email/batch", self._headers, body)

    def read(self, items: Sequence[Letter], answer: Answer, now: float) -> Sequence[Outcome | None]:
        found = document(answer)
        if answer.status == 200:
            if not isinstance(found, list) or len(found) != len(items):
                return [UNREADABLE] * len(items)
            return [_outcome(one) for one in found]
        if answer.status == 422 and len(items) > 1:
            return [None] * len(items)
        code, text = _error(found)
        refusal = TABLE.refusal(answer.status, code, text, retry_after(answer, now))
        return [refusal] * len(items)

    def probe(self) -> Probe:
        return Probe(Call("GET", "/server", self._headers))

    def _email(self, letter: Letter) -> dict[str, Any]:
        content = letter.content
        email: dict[str, Any] = {
            "From": shown(letter.sender) if letter.sender else self._sender,
            "To": shown(letter.to),
            "Subject": content.subject,
            "TextBody": content.text,
            "MessageStream": self._stream,
            "Metadata": _metadata(letter.metadata),
        }
        email |= {
            name: ", ".join(map(shown, mailboxes))
            for name, mailboxes in (("Cc", letter.cc), ("Bcc", letter.bcc))
            if mailboxes
        }
        if content.html is not None:
            email["HtmlBody"] = content.html
        if letter.reply_to is not None:
            email["ReplyTo"] = shown(letter.reply_to)
        if letter.headers:
            email["Headers"] = [{"Name": n, "Value": value} for n, value in letter.headers.items()]
        if letter.tags:
            email["Tag"] = letter.tags[0][:1000]  # it takes one
        if content.attachments:
            email["Attachments"] = [
                {
                    "Name": one.filename,
                    "Content": b64encode(one.data).decode("ascii"),
                    "ContentType": one.content_type,
                    **({"ContentID": f"cid:{one.content_id}"} if one.content_id else {}),
                }
                for one in content.attachments
            ]
        return email


def _metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Our ids, and of the application's what the vendor has room for."""
    ours = {name: metadata[name] for name in ("delivery_id", "notification_id")}
    theirs = {
        name: value
        for name, value in metadata.items()
        if len(name) <= _METADATA_NAME and len(value) <= _METADATA_VALUE
    }
    return dict([*(ours | theirs).items()][:_METADATA_FIELDS])


def _outcome(one: Any) -> Outcome:
    code, text = _error(one)
    if code == "0":
        message_id = one.get("MessageID")
        return Accepted(message_id if isinstance(message_id, str) else None, detail="HTTP 200")
    return TABLE.refusal(200, code, text) if code else UNREADABLE


def _error(found: Any) -> tuple[str, str]:
    """Code and text; empty where it is none."""
    if not isinstance(found, dict) or not isinstance(found.get("ErrorCode"), int):
        return "", ""
    return str(found["ErrorCode"]), str(found.get("Message") or "")
