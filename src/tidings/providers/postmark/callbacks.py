"""What Postmark calls back. It signs nothing; it sends the credentials or the header that its webhook is set up with.

https://postmarkapp.com/developer/webhooks/webhooks-overview
https://postmarkapp.com/developer/api/bounce-api#bounce-types
"""

from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tidings.domain.callbacks import RawCallback, Refused, Verified
from tidings.domain.provider import Account
from tidings.domain.receipts import Bounce, Receipt, ReceiptType
from tidings.providers.events import code, digest, json_object, moment, text, uuid_of
from tidings.providers.verifying import MISSING, UNCONFIGURED, WRONG, any_equal, secrets_of

TOKEN = "x-tidings-token"  # noqa: S105 - the name of a header

RECORDS: Mapping[str, ReceiptType] = {
    "Delivery": ReceiptType.DELIVERED,
    "Bounce": ReceiptType.BOUNCED,
    "SpamComplaint": ReceiptType.COMPLAINED,
    "Open": ReceiptType.OPENED,
    "Click": ReceiptType.CLICKED,
    "SMTPApiError": ReceiptType.FAILED,
}

BOUNCES: Mapping[str, tuple[ReceiptType, Bounce | None]] = {
    "HardBounce": (ReceiptType.BOUNCED, Bounce.HARD),
    "BadEmailAddress": (ReceiptType.BOUNCED, Bounce.HARD),
    "ManuallyDeactivated": (ReceiptType.DROPPED, None),
    "Transient": (ReceiptType.DEFERRED, None),
    "SoftBounce": (ReceiptType.BOUNCED, Bounce.SOFT),
    "DnsError": (ReceiptType.BOUNCED, Bounce.SOFT),
    "SpamNotification": (ReceiptType.BOUNCED, Bounce.SOFT),
    "VirusNotification": (ReceiptType.BOUNCED, Bounce.SOFT),
    "Blocked": (ReceiptType.BOUNCED, Bounce.SOFT),
    "DMARCPolicy": (ReceiptType.BOUNCED, Bounce.SOFT),
    "Undeliverable": (ReceiptType.BOUNCED, Bounce.SOFT),
    "Unknown": (ReceiptType.BOUNCED, Bounce.SOFT),
    "SpamComplaint": (ReceiptType.COMPLAINED, None),
    "Unsubscribe": (ReceiptType.UNSUBSCRIBED, None),
    "SMTPApiError": (ReceiptType.FAILED, None),
    "TemplateRenderingFailed": (ReceiptType.FAILED, None),
    # An answer to the email, not a word on whether it arrived.
    "AutoResponder": (ReceiptType.OTHER, None),
    "ChallengeVerification": (ReceiptType.OTHER, None),
    "Subscribe": (ReceiptType.OTHER, None),
    "AddressChange": (ReceiptType.OTHER, None),
    "OpenRelayTest": (ReceiptType.OTHER, None),
    "InboundError": (ReceiptType.OTHER, None),
    "Unconfirmed": (ReceiptType.OTHER, None),
}

SUBSCRIPTIONS: Mapping[str, tuple[ReceiptType, Bounce | None]] = {
    "HardBounce": (ReceiptType.BOUNCED, Bounce.HARD),
    "SpamComplaint": (ReceiptType.COMPLAINED, None),
    "ManualSuppression": (ReceiptType.UNSUBSCRIBED, None),
}
"""Why a stream no longer sends to the address."""

_MOMENTS = ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt")


class PostmarkCallbacks:
    def __init__(self, account: Account) -> None:
        self._tokens = secrets_of(account, "webhook_tokens")

    async def verify(self, raw: RawCallback) -> Verified | Refused:
        if not self._tokens:
            return UNCONFIGURED
        given = raw.headers.get(TOKEN) or _password(raw.headers.get("authorization", ""))
        if not given:
            return MISSING
        return Verified() if any_equal(given, self._tokens) else WRONG

    def receipts(self, raw: RawCallback) -> Sequence[Receipt]:
        found = json_object(raw)
        read = _inbound if "RecordType" not in found and "From" in found else _receipt
        return [read(found, raw.received_at)]


def _password(authorization: str) -> str:
    """Of Basic authentication, whoever the user is; empty where there is none."""
    scheme, _, pair = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(pair.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _receipt(found: dict[str, Any], received_at: float) -> Receipt:
    record = code(found, "RecordType")
    kind, bounce, said = _verdict(found, record)
    when = next((found[name] for name in _MOMENTS if found.get(name)), None)
    address = next(filter(None, (text(found, one) for one in ("Recipient", "Email"))), None)
    message_id = text(found, "MessageID")
    link = text(found, "OriginalLink")
    own = text(found, "ID") if record in ("Bounce", "SpamComplaint") else ""
    return Receipt(
        kind,
        moment(when, received_at),
        digest(record, own) if own else digest(record, message_id, when, address, link, said),
        delivery_id=uuid_of(text(found, "Metadata", "delivery_id")),
        provider_message_id=message_id or None,
        address=address,
        bounce=bounce,
        code=said,
        url=link or None,
        user_agent=text(found, "UserAgent") or None,
        ip_address=text(found, "Geo", "IP") or None,
    )


def _verdict(found: dict[str, Any], record: str) -> tuple[ReceiptType, Bounce | None, str]:
    """What it is, what it says of the address, and the vendor's word for it."""
    reader = _READERS.get(record)
    if reader is not None:
        return reader(found)
    kind = RECORDS.get(record, ReceiptType.OTHER)
    return kind, None, record if kind is ReceiptType.OTHER else ""


def _bounced(found: dict[str, Any]) -> tuple[ReceiptType, Bounce | None, str]:
    said = code(found, "Type")
    return (*BOUNCES.get(said, (ReceiptType.BOUNCED, Bounce.SOFT)), said)


def _changed(found: dict[str, Any]) -> tuple[ReceiptType, Bounce | None, str]:
    said = code(found, "SuppressionReason")
    if found.get("SuppressSending") is not True:
        return ReceiptType.OTHER, None, "SubscriptionChange"
    if said == "ManualSuppression" and text(found, "Origin") != "Recipient":
        # The account's owner did it, not the recipient.
        return ReceiptType.OTHER, None, said
    return (*SUBSCRIPTIONS.get(said, (ReceiptType.OTHER, None)), said or "SubscriptionChange")


_READERS: Mapping[str, Callable[[dict[str, Any]], tuple[ReceiptType, Bounce | None, str]]] = {
    "Bounce": _bounced,
    "SubscriptionChange": _changed,
}


def _inbound(found: dict[str, Any], received_at: float) -> Receipt:
    message_id = text(found, "MessageID")
    return Receipt(
        ReceiptType.INBOUND,
        # Its Date is the sender's word.
        moment(None, received_at),
        digest("Inbound", message_id or found),
        provider_message_id=message_id or None,
        address=text(found, "FromFull", "Email") or text(found, "From") or None,
        recipient=text(found, "OriginalRecipient") or text(found, "To") or None,
        text=text(found, "StrippedTextReply") or text(found, "TextBody") or None,
    )
