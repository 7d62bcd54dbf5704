"""Text messages through Vonage: one a call, answered part by part."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import orjson

from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.provider import Account
from tidings.domain.reasons import Reason
from tidings.providers.http import Answer, retry_after
from tidings.providers.refusals import UNREADABLE
from tidings.providers.texting import Text, Texts, told
from tidings.providers.vendor import Call, Probe, document, one_each, read_token
from tidings.providers.vonage.verdicts import TABLE

_HEADERS = {"content-type": "application/json", "accept": "application/json"}
_TAKEN = "0"


class VonageApi:
    """Raises SettingsError for a key, secret or sender that cannot be used."""

    def __init__(self, account: Account) -> None:
        self._texts = Texts(account, sender_required=True)
        self._callback = account.text("callback")
        self._credentials = {
            "api_key": read_token(account, "api_key"),
            "api_secret": read_token(account, "api_secret"),
        }

    def prepare(self, message: Message) -> Text | Permanent | Transient:
        return self._texts.read(message)

    def groups(self, items: Sequence[Text]) -> Sequence[Sequence[int]]:
        return one_each(items)

    def call(self, items: Sequence[Text]) -> Call:
        [text] = items
        body: dict[str, str | int] = {
            **self._credentials,
            "to": text.number.removeprefix("+"),
            "from": text.sender.removeprefix("+"),
            "text": text.body,
            "type": "unicode" if text.length.encoding == "ucs2" else "text",
            "client-ref": text.delivery_id,
            "status-report-req": 1,
        }
        if self._callback:
            body["callback"] = self._callback
        return Call("POST", "/sms/json", _HEADERS, orjson.dumps(body))

    def read(self, items: Sequence[Text], answer: Answer, now: float) -> Sequence[Outcome]:
        wait = retry_after(answer, now)
        if answer.status != 200:
            return [TABLE.refusal(answer.status, "", "", wait)]
        parts = _parts(document(answer))
        refused = [status for status, _ in parts if status != _TAKEN]
        if not parts:
            return [UNREADABLE]
        if not refused:
            detail = f"HTTP 200, {told(items[0].length)}"
            return [Accepted(parts[0][1] or None, detail=detail)]
        if len(refused) < len(parts):
            detail = f"{len(parts) - len(refused)} of {len(parts)} parts taken"
            return [Unknown(Reason.PROVIDER_REJECTED, detail)]
        return [TABLE.refusal(200, refused[0], "", wait)]

    def probe(self) -> Probe:
        """The balance: https://developer.vonage.com/en/api/account."""
        pair = ":".join(self._credentials.values()).encode()
        headers = {"authorization": f"Basic {b64encode(pair).decode('ascii')}"}
        return Probe(Call("GET", "/account/get-balance", headers))


def _parts(found: Any) -> list[tuple[str, str]]:
    """Status and id of each part."""
    parts = found.get("messages") if isinstance(found, dict) else None
    if not isinstance(parts, list) or not all(
        isinstance(one, dict) and isinstance(one.get("status"), str) for one in parts
    ):
        return []
    return [(one["status"], str(one.get("message-id") or "")) for one in parts]
