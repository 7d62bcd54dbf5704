"""Email through Amazon SES: composed by us, one a call, or as many in one call as share what they must share."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
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
from tidings.providers.ses import bulk
from tidings.providers.ses.envelope import destination, tags
from tidings.providers.ses.verdicts import TABLE
from tidings.providers.vendor import Call, Probe, VendorProvider, document, one_each

_JSON = {"content-type": "application/json"}
_ONE, _MANY = "/v2/email/outbound-emails", "/v2/email/outbound-bulk-emails"


@dataclass(frozen=True, slots=True)
class SesApi:
    """clock: seconds since the epoch, for the message's date."""

    signer: Signer
    sender: Mailbox
    composer: Composer
    configuration_set: str
    batch: bool
    clock: Callable[[], float]

    def prepare(self, message: Message) -> bulk.Item | Permanent | Transient:
        letter = read_letter(message)
        return bulk.Item(letter) if isinstance(letter, Letter) else letter

    def groups(self, items: Sequence[bulk.Item]) -> Sequence[Sequence[int]]:
        alone = not self.batch or len(items) == 1
        return one_each(items) if alone else bulk.groups(items)

    def call(self, items: Sequence[bulk.Item]) -> Call:
        if len(items) > 1:
            body = bulk.body(items, self.sender, self.configuration_set)
            return self.signer.call("POST", _MANY, _JSON, body)
        body = orjson.dumps(self._email(items[0].letter))
        return self.signer.call("POST", _ONE, _JSON, body)

    def read(
        self, items: Sequence[bulk.Item], answer: Answer, now: float
    ) -> Sequence[Outcome | None]:
        found = document(answer)
        said: dict[str, Any] = found if isinstance(found, dict) else {}
        if answer.status == 200 and len(items) > 1:
            return bulk.results(said, len(items))
        if answer.status == 200:
            message_id = said.get("MessageId")
            if not isinstance(message_id, str):
                return [UNREADABLE]
            return [Accepted(message_id, detail="HTTP 200")]
        text = str(said.get("message") or said.get("Message") or "")
        code = error_type(answer, said)
        refusal = TABLE.refusal(answer.status, code, text, retry_after(answer, now))
        if len(items) > 1 and (isinstance(refusal, Permanent) or bulk.refused_as_many(code)):
            return [None] * len(items)
        return [refusal] * len(items)

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
        email = {
            "FromEmailAddress": sender.address,
            # Names are in the header fields, which are ours.
            "Destination": destination(letter, attrgetter("address")),
            "Content": {"Raw": {"Data": b64encode(raw).decode("ascii")}},
            "EmailTags": tags(letter),
        }
        if self.configuration_set:
            email["ConfigurationSetName"] = self.configuration_set
        return email


def ses_provider(
    account: Account, http: Http, clock: Callable[[], float]
) -> VendorProvider[bulk.Item]:
    """Raises SettingsError for a region, key or sender that cannot be used."""
    sender = read_sender(account)
    endpoint = endpoint_of(account, "email")
    api = SesApi(
        signer=Signer(account, "ses", endpoint),
        sender=sender,
        composer=Composer(sender, bulk.SHARED_HEADERS),
        configuration_set=account.text("configuration_set"),
        batch=account.flag("batch"),
        clock=clock,
    )
    return VendorProvider(account, api, http, clock, endpoint)


def error_type(answer: Answer, said: dict[str, Any]) -> str:
    """The name of an error: the part before a colon, and after a # (Smithy, AWS restJson1)."""
    given = answer.header("x-amzn-errortype") or said.get("__type") or said.get("code") or ""
    return str(given).partition(":")[0].rpartition("#")[2]
