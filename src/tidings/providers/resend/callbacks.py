"""What Resend calls back, signed as Svix does.

https://resend.com/docs/dashboard/webhooks/event-types
https://docs.svix.com/receiving/verifying-payloads/how-manual
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from tidings.domain.callbacks import RawCallback, Refused, Verified
from tidings.domain.provider import Account
from tidings.domain.receipts import Bounce, Receipt, ReceiptType
from tidings.providers.events import at, code, digest, json_object, moment, objects, text, uuid_of
from tidings.providers.verifying import MISSING, OLD, UNCONFIGURED, WRONG, any_equal, timely
from tidings.settings import SettingsError

_WINDOW = 300.0
"""Seconds; each repetition is signed anew."""

EVENTS: Mapping[str, ReceiptType] = {
    "email.sent": ReceiptType.SENT,
    "email.delivered": ReceiptType.DELIVERED,
    "email.delivery_delayed": ReceiptType.DEFERRED,
    "email.bounced": ReceiptType.BOUNCED,
    "email.complained": ReceiptType.COMPLAINED,
    "email.opened": ReceiptType.OPENED,
    "email.clicked": ReceiptType.CLICKED,
    "email.failed": ReceiptType.FAILED,
    "email.suppressed": ReceiptType.DROPPED,
    "email.received": ReceiptType.INBOUND,
}

BOUNCES: Mapping[str, Bounce] = {
    "Permanent": Bounce.HARD,
    "Transient": Bounce.SOFT,
    "Undetermined": Bounce.SOFT,
}
"""https://resend.com/docs/dashboard/emails/email-bounces"""


class ResendCallbacks:
    """Raises SettingsError for a signing secret that is none."""

    def __init__(self, account: Account) -> None:
        self._secrets = [_secret(account, one) for one in account.listed("webhook_secrets")]

    async def verify(self, raw: RawCallback) -> Verified | Refused:
        if not self._secrets:
            return UNCONFIGURED
        event_id, timestamp, signatures = (
            raw.headers.get(f"svix-{name}", "") for name in ("id", "timestamp", "signature")
        )
        if not (event_id and timestamp and signatures):
            return MISSING
        signed = f"{event_id}.{timestamp}.".encode("utf-8", "replace") + raw.body
        expected = [b64encode(hmac.digest(secret, signed, "sha256")) for secret in self._secrets]
        given = [one[3:] for one in signatures.split() if one.startswith("v1,")]
        if not any(any_equal(one, expected) for one in given[:20]):
            return WRONG
        return Verified() if timely(timestamp, raw.received_at, _WINDOW) else OLD

    def receipts(self, raw: RawCallback) -> Sequence[Receipt]:
        found = json_object(raw)
        name = code(found, "type")
        kind = EVENTS.get(name, ReceiptType.OTHER)
        email_id = text(found, "data", "email_id")
        inbound = kind is ReceiptType.INBOUND
        to, sender = text(found, "data", "to", 0), text(found, "data", "from")
        return [
            Receipt(
                kind,
                moment(found.get("created_at"), raw.received_at),
                raw.headers.get("svix-id", "")[:200] or digest(raw.body.hex()),
                delivery_id=uuid_of(_tag(found, "delivery_id")),
                provider_message_id=email_id or None,
                address=(sender if inbound else to) or None,
                recipient=to or None if inbound else None,
                bounce=_bounce(kind, found),
                code=_code(kind, name, found),
                url=text(found, "data", "click", "link") or None,
                user_agent=_first(found, "userAgent"),
                ip_address=_first(found, "ipAddress"),
            )
        ]


def _bounce(kind: ReceiptType, found: dict[str, Any]) -> Bounce | None:
    if kind is not ReceiptType.BOUNCED:
        return None
    return BOUNCES.get(text(found, "data", "bounce", "type"), Bounce.SOFT)


def _code(kind: ReceiptType, name: str, found: dict[str, Any]) -> str:
    if kind is ReceiptType.OTHER:
        return name
    return code(found, "data", "bounce", "subType") or code(found, "data", "failed", "reason")


def _first(found: dict[str, Any], name: str) -> str | None:
    return text(found, "data", "click", name) or text(found, "data", "open", name) or None


def _tag(found: dict[str, Any], name: str) -> str:
    """As an object, or as the list of pairs that the email was sent with."""
    if isinstance(at(found, "data", "tags"), dict):
        return text(found, "data", "tags", name)
    pairs = objects(found, "data", "tags")
    return next((text(one, "value") for one in pairs if one.get("name") == name), "")


def _secret(account: Account, given: str) -> bytes:
    try:
        return b64decode(given.strip().removeprefix("whsec_"), validate=True)
    except ValueError:
        raise SettingsError(
            f"accounts.{account.name}.webhook_secrets: a signing secret is whsec_ and Base64"
        ) from None
