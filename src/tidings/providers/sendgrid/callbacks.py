"""What SendGrid calls back: its signed event webhook, in batches, and its inbound parse.

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/setting-up-the-inbound-parse-webhook
"""

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tidings.domain.callbacks import RawCallback, Refused, UnreadableCallback, Verified
from tidings.domain.provider import Account
from tidings.domain.receipts import Bounce, Receipt, ReceiptType
from tidings.providers.bounces import bounce_of
from tidings.providers.events import (
    code,
    content_type,
    digest,
    first_values,
    form_of,
    json_of,
    moment,
    objects,
    text,
    uuid_of,
)
from tidings.providers.verifying import MISSING, OLD, REPEATED_FOR, UNCONFIGURED, WRONG, timely
from tidings.settings import SettingsError

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"

EVENTS: Mapping[str, ReceiptType] = {
    "processed": ReceiptType.SENT,
    "delivered": ReceiptType.DELIVERED,
    "deferred": ReceiptType.DEFERRED,
    "bounce": ReceiptType.BOUNCED,
    "dropped": ReceiptType.DROPPED,
    "spamreport": ReceiptType.COMPLAINED,
    "unsubscribe": ReceiptType.UNSUBSCRIBED,
    "group_unsubscribe": ReceiptType.UNSUBSCRIBED,
    "open": ReceiptType.OPENED,
    "click": ReceiptType.CLICKED,
}

DROPS: Mapping[str, Bounce | None] = {
    "Bounced Address": Bounce.HARD,
    "Invalid": Bounce.HARD,
    "Unsubscribed Address": None,
    "Spam Reporting Address": None,
    "Spam Content (if Spam Checker app enabled)": None,
    "Recipient List over Package Quota": None,
}
"""Why it was not tried, and what that says of the address."""

CLASSES: Mapping[str, Bounce] = {
    "Invalid Address": Bounce.HARD,
    "Technical": Bounce.SOFT,
    "Content": Bounce.SOFT,
    "Reputation": Bounce.SOFT,
    "Frequency/Volume": Bounce.SOFT,
    "Frequency or Volume Too High": Bounce.SOFT,
    "Mailbox Unavailable": Bounce.SOFT,
}


class SendGridCallbacks:
    """Raises SettingsError for a key that is none."""

    def __init__(self, account: Account) -> None:
        self._keys = [_key(account, one) for one in account.listed("webhook_keys")]

    async def verify(self, raw: RawCallback) -> Verified | Refused:
        signature, timestamp = raw.headers.get(SIGNATURE, ""), raw.headers.get(TIMESTAMP, "")
        if not self._keys:
            return UNCONFIGURED
        if not signature or not timestamp:
            return MISSING
        signed = timestamp.encode() + raw.body
        if not any(_signed(key, signature, signed) for key in self._keys):
            return WRONG
        return Verified() if timely(timestamp, raw.received_at, REPEATED_FOR) else OLD

    def receipts(self, raw: RawCallback) -> Sequence[Receipt]:
        if content_type(raw) == "multipart/form-data":
            return [_inbound(raw)]
        found = json_of(raw)
        if not isinstance(found, list):
            raise UnreadableCallback("not a list of events")
        receipts = [_receipt(one, raw.received_at) for one in objects(found)]
        if len(receipts) < len(found):
            lost = len(found) - len(receipts)
            raise UnreadableCallback(f"{lost} of {len(found)} events are no objects", receipts)
        return receipts


def _receipt(event: dict[str, Any], received_at: float) -> Receipt:
    name = code(event, "event")
    kind = EVENTS.get(name, ReceiptType.OTHER)
    message_id = text(event, "sg_message_id")
    return Receipt(
        kind,
        moment(event.get("timestamp"), received_at),
        text(event, "sg_event_id")[:200] or _digest(event, name, message_id),
        delivery_id=uuid_of(text(event, "delivery_id")),
        provider_message_id=_SERVER.split(message_id, maxsplit=1)[0] or None,
        address=text(event, "email") or None,
        bounce=_bounce(kind, event),
        code=_code(kind, event) if kind is not ReceiptType.OTHER else name,
        detail="opened by a machine" if event.get("sg_machine_open") is True else "",
        url=text(event, "url") or None,
        user_agent=text(event, "useragent") or None,
        ip_address=text(event, "ip") or None if kind in _OF_PEOPLE else None,
    )


_SERVER = re.compile(r"\.(?:filter|recvd)")
"""Begins what follows, in `sg_message_id`, the id that the answer to the call named."""

_OF_PEOPLE = frozenset({ReceiptType.OPENED, ReceiptType.CLICKED})
"""Of other events, the IP address is that of SendGrid's own server."""


def _code(kind: ReceiptType, event: dict[str, Any]) -> str:
    if kind is ReceiptType.DROPPED:
        reason = text(event, "reason")
        return reason.partition(" (")[0] if reason in DROPS else ""
    return code(event, "status")


def _bounce(kind: ReceiptType, event: dict[str, Any]) -> Bounce | None:
    """`blocked` is a bounce for what the message or its sender is, not the address."""
    if kind is ReceiptType.DROPPED:
        return DROPS.get(text(event, "reason"))
    if kind is not ReceiptType.BOUNCED:
        return None
    if text(event, "type") == "blocked":
        return Bounce.SOFT
    found = CLASSES.get(text(event, "bounce_classification"))
    return found or bounce_of(text(event, "status"), Bounce.HARD)


def _digest(event: dict[str, Any], name: str, message_id: str) -> str:
    at, email, url = (text(event, one) for one in ("timestamp", "email", "url"))
    return digest(name, message_id, at, email, url)


def _inbound(raw: RawCallback) -> Receipt:
    """An email that came in; the form repeats only its own texts, so its id is that of the whole."""
    form = first_values(form_of(raw))
    if "envelope" not in form and "from" not in form:
        raise UnreadableCallback("not an email that came in")
    return Receipt(
        ReceiptType.INBOUND,
        moment(None, raw.received_at),
        digest(*(form.get(name, "") for name in ("headers", "email", "from", "to", "text"))),
        address=text(form, "from") or None,
        recipient=text(form, "to") or None,
        text=text(form, "text") or None,
    )


def _signed(key: EllipticCurvePublicKey, signature: str, signed: bytes) -> bool:
    try:
        key.verify(b64decode(signature, validate=True), signed, ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def _key(account: Account, given: str) -> EllipticCurvePublicKey:
    try:
        key = load_der_public_key(b64decode(given, validate=True))
    except ValueError:
        key = None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise SettingsError(
            f"accounts.{account.name}.webhook_keys: not a verification key as SendGrid shows it"
        )
    return key
