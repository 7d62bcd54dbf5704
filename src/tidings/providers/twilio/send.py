"""Text messages through Twilio: one a call."""

import re
from base64 import b64encode
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient
from tidings.domain.provider import Account
from tidings.domain.reasons import Reason
from tidings.providers.http import Answer, retry_after
from tidings.providers.refusals import UNREADABLE
from tidings.providers.texting import Text, Texts, told
from tidings.providers.twilio.verdicts import TABLE
from tidings.providers.vendor import Call, Probe, document, one_each, read_token
from tidings.settings import SettingsError

DELIVERY = "tidings_delivery"
"""The parameter of the status callback that names the delivery: Twilio takes no reference of ours."""

_LONGEST = 1600
_SIDS = {"account_sid": "AC", "api_key": "SK", "messaging_service_sid": "MG"}


class TwilioApi:
    """Raises SettingsError where fields do not go together or cannot be used."""

    def __init__(self, account: Account) -> None:
        for name, start in _SIDS.items():
            given = account.text(name)
            if given and not re.fullmatch(rf"{start}[0-9a-fA-F]{{32}}", given):
                raise SettingsError(
                    f"accounts.{account.name}.{name}: it is {start} and 32 hexadecimal digits"
                )
        self._service = account.text("messaging_service_sid")
        self._texts = Texts(account, sender_required=not self._service)
        self._callback = account.text("status_callback")
        self._path = f"/2010-04-01/Accounts/{account.text('account_sid')}"
        self._headers = {"authorization": f"Basic {_credentials(account)}"}

    def prepare(self, message: Message) -> Text | Permanent | Transient:
        text = self._texts.read(message)
        if isinstance(text, Text) and len(text.body) > _LONGEST:
            return Permanent(Reason.MESSAGE_TOO_LARGE, detail=f"more than {_LONGEST} characters")
        return text

    def groups(self, items: Sequence[Text]) -> Sequence[Sequence[int]]:
        return one_each(items)

    def call(self, items: Sequence[Text]) -> Call:
        [text] = items
        form = {"To": text.number, "Body": text.body}
        if text.sender:
            form["From"] = text.sender
        if self._service:
            form["MessagingServiceSid"] = self._service
        if self._callback:
            form["StatusCallback"] = with_delivery(self._callback, text.delivery_id)
        headers = {**self._headers, "content-type": "application/x-www-form-urlencoded"}
        return Call("POST", f"{self._path}/Messages.json", headers, urlencode(form).encode())

    def read(self, items: Sequence[Text], answer: Answer, now: float) -> Sequence[Outcome]:
        found = document(answer)
        said: dict[str, Any] = found if isinstance(found, dict) else {}
        wait = retry_after(answer, now)
        if not 200 <= answer.status < 300:
            return [TABLE.refusal(answer.status, _code(said.get("code")), "", wait)]
        if not isinstance(said.get("sid"), str):
            return [UNREADABLE]
        failed = _code(said.get("error_code"))
        if failed:
            return [TABLE.refusal(400, failed, "", wait)]
        return [Accepted(said["sid"], detail=f"HTTP {answer.status}, {told(items[0].length)}")]

    def probe(self) -> Probe:
        return Probe(Call("GET", f"{self._path}.json", self._headers))


def with_delivery(url: str, delivery_id: str) -> str:
    """The callback's URL with the delivery's id among its parameters."""
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), (DELIVERY, delivery_id)]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _credentials(account: Account) -> str:
    """Of the API key, else of the account itself."""
    key = account.text("api_key")
    if bool(key) != bool(account.text("api_key_secret")):
        raise SettingsError(f"accounts.{account.name}: api_key and api_key_secret go together")
    if not key and not account.text("auth_token"):
        raise SettingsError(
            f"accounts.{account.name}: auth_token, or api_key with api_key_secret, is required"
        )
    name, secret = ("api_key", "api_key_secret") if key else ("account_sid", "auth_token")
    pair = f"{read_token(account, name)}:{read_token(account, secret)}"
    return b64encode(pair.encode()).decode("ascii")


def _code(found: object) -> str:
    return str(found) if isinstance(found, int | str) else ""
