"""A text message as the vendors' APIs want it: number, sender by country, and its length in parts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tidings.domain.messages import Message, SmsContent
from tidings.domain.outcomes import Permanent, Transient
from tidings.domain.phones import country_of
from tidings.domain.provider import Account, Field
from tidings.domain.reasons import Reason
from tidings.domain.segments import Segments, segments
from tidings.settings import SettingsError

ANYWHERE = "*"

FROM = Field(
    "from",
    "Senders by the recipient's country (ISO 3166, two letters), e.g. US=+15551234567, GB=ACME, *=+46701234567; "
    "* or no country is for all others. A number with its +, a short code, or a name of at most 11 letters and "
    "digits.",
    kind="list",
)

MAX_PARTS = Field(
    "max_parts",
    "A longer text is refused instead of sent: each part is paid for.",
    kind="whole_number",
    default=10,
    minimum=1,
    maximum=100,
    unit="parts",
)

_SENDER = re.compile(r"\+[1-9][0-9]{1,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 &._-]{1,11}")
_COUNTRY = re.compile(r"[A-Z]{2}|\*")


@dataclass(frozen=True, slots=True)
class Text:
    """number: E.164. sender: empty where the vendor chooses."""

    delivery_id: str
    number: str = field(repr=False)
    body: str = field(repr=False)
    sender: str
    length: Segments


class Texts:
    """Reads messages for one account. sender_required: the vendor does not choose one itself.

    Raises SettingsError.
    """

    def __init__(self, account: Account, *, sender_required: bool) -> None:
        self._senders = read_senders(account)
        self._sender_required = sender_required
        self._max_parts = int(account.number("max_parts"))
        if sender_required and not self._senders:
            raise SettingsError(f"accounts.{account.name}.from is required: who the text is from")

    def read(self, message: Message) -> Text | Permanent | Transient:
        content = message.content
        if not isinstance(content, SmsContent):
            return Permanent(Reason.CONTENT_REJECTED, detail="not a text message")
        if not content.body or not _encodable(content.body):
            return Permanent(Reason.CONTENT_REJECTED, detail="no text that can be sent")
        country = country_of(message.address)
        if country is None:
            return Permanent(Reason.ADDRESS_INVALID, detail="not a phone number in E.164")
        sender = self._senders.get(country) or self._senders.get(ANYWHERE, "")
        if self._sender_required and not sender:
            return Transient(Reason.ACCOUNT_REFUSED, detail=f"no sender for {country}")
        length = segments(content.body)
        if length.parts > self._max_parts:
            return Permanent(Reason.MESSAGE_TOO_LARGE, detail=f"{length.parts} parts")
        return Text(str(message.delivery_id), message.address, content.body, sender, length)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_senders(account: Account) -> Mapping[str, str]:
    """By country. Raises SettingsError."""
    senders: dict[str, str] = {}
    for position, entry in enumerate(account.listed("from"), start=1):
        country, equals, sender = entry.rpartition("=")
        country = country.strip().upper() if equals else ANYWHERE
        sender = sender.strip()
        if not _COUNTRY.fullmatch(country) or not _SENDER.fullmatch(sender):
            raise SettingsError(
                f"accounts.{account.name}.from: number {position} is not a sender; it looks like "
                "US=+15551234567, GB=ACME or *=+46701234567"
            )
        if country in senders:
            raise SettingsError(f"accounts.{account.name}.from: two senders for {country}")
        senders[country] = sender
    return senders


def told(length: Segments) -> str:
    """For the detail of an outcome: what the text costs in parts."""
    return f"{length.parts} part{'s' if length.parts > 1 else ''}"
