"""Email through Amazon SES: composed by us, one a call.

SendBulkEmail is not used: it takes templates that SES fills in later, so a message that cannot be
filled in is "accepted" first; its quota counts recipients all the same.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient
from tidings.domain.provider import Account
from tidings.providers.aws import Signer
from tidings.providers.aws_account import endpoint_of
from tidings.providers.http import Answer, Http, retry_after
from tidings.providers.letters import Letter, read_letter, read_sender
from tidings.providers.mailbox import Mailbox
from tidings.providers.mime import Composer
from tidings.providers.refusals import UNREADABLE
from tidings.providers.ses.verdicts import TABLE
from tidings.providers.vendor import Call, Probe, VendorProvider, document, one_each

_JSON = {"content-type": "application/json"}
_NOT_IN_TAGS = re.compile(r"[^A-Za-z0-9_.@-]")
_TAGS, _TAG = 50, 256
"""https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageTag.html"""


@dataclass(frozen=True, slots=True)
class SesApi:
    """clock: seconds since the epoch, for the message's date."""

    signer: Signer
    sender: Mailbox
    composer: Composer
    configuration_set: str
    clock: Callable[[], float]

    def prepare(self, message: Message) -> Letter | Permanent | Transient:
        return read_letter(message)

    def groups(self, items: Sequence[Letter]) -> Sequence[Sequence[int]]:
        return one_each(items)

    def call(self, items: Sequence[Letter]) -> Call:
        [letter] = items
        body = orjson.dumps(self._email(letter))
        return self.signer.call("POST", "/v2/email/outbound-emails", _JSON, body)

    def read(self, items: Sequence[Letter], answer: Answer, now: float) -> Sequence[Outcome]:
        found = document(answer)
        said: dict[str, Any] = found if isinstance(found, dict) else {}
        if answer.status == 200:
            message_id = said.get("MessageId")
            if not isinstance(message_id, str):
                return [UNREADABLE]
            return [Accepted(message_id, detail="HTTP 200")]
        text = str(said.get("message") or said.get("Message") or "")
        code = error_type(answer, said)
        return [TABLE.refusal(answer.status, code, text, retry_after(answer, now))]

    def probe(self) -> Probe:
        return Probe(self.signer.call("GET", "/v2/email/account", {}))

    def _email(self, letter: Letter) -> dict[str, Any]:
        sender = letter.sender or self.sender
        raw = self.composer.compose(
            letter.content,
            recipient=letter.to,
            # SES puts an id of its own in its place.
            message_id=f"{letter.delivery_id}@{sender.domain}",
            date=datetime.fromtimestamp(self.clock(), UTC),
        )
        destination = {"ToAddresses": [letter.to.address]}
        for name, mailboxes in (("CcAddresses", letter.cc), ("BccAddresses", letter.bcc)):
            if mailboxes:
                destination[name] = [one.address for one in mailboxes]
        email = {
            "FromEmailAddress": sender.address,
            "Destination": destination,
            "Content": {"Raw": {"Data": b64encode(raw).decode("ascii")}},
            "EmailTags": _tags(letter),
        }
        if self.configuration_set:
            email["ConfigurationSetName"] = self.configuration_set
        return email


def ses_provider(
    account: Account, http: Http, clock: Callable[[], float]
) -> VendorProvider[Letter]:
    """Raises SettingsError for a region, key or sender that cannot be used."""
    sender = read_sender(account)
    endpoint = endpoint_of(account, "email")
    api = SesApi(
        signer=Signer(account, "ses", endpoint),
        sender=sender,
        composer=Composer(sender, {"Auto-Submitted": "auto-generated"}),
        configuration_set=account.text("configuration_set"),
        clock=clock,
    )
    return VendorProvider(account, api, http, clock, endpoint)


def error_type(answer: Answer, said: dict[str, Any]) -> str:
    """The name of an error: the part before a colon, and after a # (Smithy, AWS restJson1)."""
    given = answer.header("x-amzn-errortype") or said.get("__type") or said.get("code") or ""
    return str(given).partition(":")[0].rpartition("#")[2]


def _tags(letter: Letter) -> list[dict[str, str]]:
    """Pairs of a narrow alphabet; what does not fit it has it replaced. Each tag is a pair with "yes"."""
    ours = {name: letter.metadata[name] for name in ("delivery_id", "notification_id")}
    pairs = ours | {_clean(tag): "yes" for tag in letter.tags}
    pairs |= {_clean(name): _clean(value) for name, value in letter.metadata.items()}
    known = [(name, value) for name, value in pairs.items() if name and value]
    return [{"Name": name, "Value": value} for name, value in known[:_TAGS]]


def _clean(text: str) -> str:
    return _NOT_IN_TAGS.sub("_", text)[:_TAG]
