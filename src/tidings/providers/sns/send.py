"""Text messages through Amazon SNS: Publish to a phone number, one a call.

https://docs.aws.amazon.com/sns/latest/dg/sms_sending-overview.html
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient
from tidings.domain.provider import Account
from tidings.domain.reasons import Reason
from tidings.providers.aws import Signer
from tidings.providers.aws_account import endpoint_of
from tidings.providers.http import Answer, Http, retry_after
from tidings.providers.refusals import UNREADABLE
from tidings.providers.sns.verdicts import TABLE
from tidings.providers.texting import Text, Texts, told
from tidings.providers.vendor import Call, Probe, VendorProvider, one_each

_FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
_VERSION = "2010-03-31"
_LONGEST = 1600
"""Characters of a text, at the most; SNS cuts it into parts."""

_MESSAGE_ID = re.compile(rb"<MessageId>([0-9A-Za-z-]{1,100})</MessageId>")
_CODE = re.compile(rb"<Code>([A-Za-z.]{1,100})</Code>")
_TEXT = re.compile(rb"<Message>([^<]{1,2000})</Message>")


@dataclass(frozen=True, slots=True)
class SnsApi:
    """same: the part of the form that every message has, with so many attributes."""

    signer: Signer
    texts: Texts
    same: str
    attributes: int

    def prepare(self, message: Message) -> Text | Permanent | Transient:
        text = self.texts.read(message)
        if isinstance(text, Text) and len(text.body) > _LONGEST:
            return Permanent(Reason.MESSAGE_TOO_LARGE, detail=f"more than {_LONGEST} characters")
        return text

    def groups(self, items: Sequence[Text]) -> Sequence[Sequence[int]]:
        return one_each(items)

    def call(self, items: Sequence[Text]) -> Call:
        [text] = items
        form = {"PhoneNumber": text.number, "Message": text.body}
        if text.sender:  # a number is bought or leased, a name only shown
            bare = text.sender.removeprefix("+")
            name = "AWS.MM.SMS.OriginationNumber" if bare.isdigit() else "AWS.SNS.SMS.SenderID"
            form |= _attribute(self.attributes + 1, name, "String", text.sender)
        return self._call(f"{urlencode(form)}&{self.same}")

    def read(self, items: Sequence[Text], answer: Answer, now: float) -> Sequence[Outcome]:
        if answer.status == 200:
            found = _MESSAGE_ID.search(answer.body)
            if not answer.complete or found is None:
                return [UNREADABLE]
            return [Accepted(found[1].decode(), detail=f"HTTP 200, {told(items[0].length)}")]
        code, text = (_first(pattern, answer.body) for pattern in (_CODE, _TEXT))
        return [TABLE.refusal(answer.status, code, text, retry_after(answer, now))]

    def probe(self) -> Probe:
        return Probe(self._call(urlencode({"Action": "GetSMSAttributes", "Version": _VERSION})))

    def _call(self, form: str) -> Call:
        return self.signer.call("POST", "/", _FORM, form.encode())


def sns_provider(account: Account, http: Http, clock: Callable[[], float]) -> VendorProvider[Text]:
    """Raises SettingsError for a region, key or sender that cannot be used."""
    endpoint = endpoint_of(account, "sns")
    attributes = _attributes(account)
    same = {"Action": "Publish", "Version": _VERSION}
    for number, (name, (kind, value)) in enumerate(attributes.items(), start=1):
        same |= _attribute(number, name, kind, value)
    api = SnsApi(
        signer=Signer(account, "sns", endpoint),
        texts=Texts(account, sender_required=False),
        same=urlencode(same),
        attributes=len(attributes),
    )
    return VendorProvider(account, api, http, clock, endpoint)


def _attribute(number: int, name: str, kind: str, value: str) -> dict[str, str]:
    entry = f"MessageAttributes.entry.{number}"
    return {
        f"{entry}.Name": name,
        f"{entry}.Value.DataType": kind,
        f"{entry}.Value.StringValue": value,
    }


def _attributes(account: Account) -> Mapping[str, tuple[str, str]]:
    given = {
        "AWS.SNS.SMS.SMSType": ("String", account.text("sms_type")),
        "AWS.MM.SMS.EntityId": ("String", account.text("entity_id")),
        "AWS.MM.SMS.TemplateId": ("String", account.text("template_id")),
    }
    if account.values.get("max_price") is not None:
        price = f"{account.number('max_price'):.5f}"
        given["AWS.SNS.SMS.MaxPrice"] = ("Number", price)
    return {name: (kind, value) for name, (kind, value) in given.items() if value}


def _first(pattern: re.Pattern[bytes], body: bytes) -> str:
    found = pattern.search(body)
    return found[1].decode("utf-8", "replace") if found else ""
