"""What Vonage calls back: delivery receipts, and texts that come in; signed by JWT, or by the parameter `sig`.

https://developer.vonage.com/en/getting-started/concepts/webhooks#decoding-signed-webhooks
https://developer.vonage.com/en/getting-started/concepts/signing-messages
https://developer.vonage.com/en/messaging/sms/guides/delivery-receipts
https://developer.vonage.com/en/messaging/sms/guides/inbound-sms
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import md5, sha256
from typing import Any

import jwt
from jwt.types import Options

from tidings.domain.callbacks import RawCallback, Refused, UnreadableCallback, Verified
from tidings.domain.provider import Account
from tidings.domain.receipts import Bounce, Receipt, ReceiptType
from tidings.providers.events import (
    code,
    content_type,
    digest,
    first_values,
    form_of,
    json_object,
    moment,
    query_of,
    text,
    uuid_of,
)
from tidings.providers.verifying import (
    MISSING,
    OLD,
    REPEATED_FOR,
    UNCONFIGURED,
    WRONG,
    any_equal,
    equal,
    secrets_of,
    timely,
)

STATUSES: Mapping[str, ReceiptType] = {
    "accepted": ReceiptType.SENT,
    "buffered": ReceiptType.DEFERRED,
    "delivered": ReceiptType.DELIVERED,
    "expired": ReceiptType.FAILED,
    "failed": ReceiptType.FAILED,
    "rejected": ReceiptType.REJECTED,
    "deleted": ReceiptType.DROPPED,
}

ERRORS: Mapping[str, tuple[ReceiptType, Bounce | None]] = {
    "2": (ReceiptType.BOUNCED, Bounce.SOFT),  # absent for a while
    "3": (ReceiptType.BOUNCED, Bounce.HARD),  # absent for good
    "4": (ReceiptType.REJECTED, None),  # barred by the user
    "6": (ReceiptType.REJECTED, None),  # taken for spam
    "7": (ReceiptType.BOUNCED, Bounce.SOFT),  # the handset is busy
    "9": (ReceiptType.BOUNCED, Bounce.HARD),  # illegal number
    "12": (ReceiptType.BOUNCED, Bounce.HARD),  # destination cannot be routed
    "13": (ReceiptType.BOUNCED, Bounce.HARD),  # destination has no route
    "15": (ReceiptType.REJECTED, None),  # barred by age
    "16": (ReceiptType.REJECTED, None),  # barred by the carrier
}
"""err-code, for what was not delivered; others are faults of the network or the account."""


def _hmac(name: str) -> Callable[[bytes, bytes], str]:
    return lambda secret, signed: hmac.new(secret, signed, name).hexdigest()


METHODS: Mapping[str, Callable[[bytes, bytes], str]] = {
    "md5hash": lambda secret, signed: md5(signed + secret, usedforsecurity=False).hexdigest(),
    "md5": _hmac("md5"),
    "sha1": _hmac("sha1"),
    "sha256": _hmac("sha256"),
    "sha512": _hmac("sha512"),
}
"""How `sig` is made, as chosen in the account's settings with Vonage."""


class VonageCallbacks:
    def __init__(self, account: Account) -> None:
        self._secrets = secrets_of(account, "signature_secrets")
        self._sign = METHODS[account.text("signature_method") or "sha256"]

    async def verify(self, raw: RawCallback) -> Verified | Refused:
        if not self._secrets:
            return UNCONFIGURED
        scheme, _, token = raw.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return self._by_token(raw, token.strip())
        try:
            fields = dict(_fields(raw))
        except UnreadableCallback:
            return MISSING
        given = fields.pop("sig", "")
        return self._by_parameter(fields, given, raw.received_at) if given else MISSING

    def receipts(self, raw: RawCallback) -> Sequence[Receipt]:
        found = _fields(raw)
        if not text(found, "messageId"):
            raise UnreadableCallback("no messageId")
        read = _inbound if "text" in found or "data" in found else _receipt
        return [read(found, raw.received_at)]

    def _by_token(self, raw: RawCallback, token: str) -> Verified | Refused:
        claims = next(filter(None, (_claims(token, secret) for secret in self._secrets)), None)
        # Without a body there is nothing that the hash is of: parameters of the URL are not signed.
        if claims is None or not raw.body:
            return WRONG
        if not equal(str(claims.get("payload_hash", "")), sha256(raw.body).hexdigest()):
            return WRONG
        issued = str(claims.get("iat", ""))
        return Verified() if timely(issued, raw.received_at, REPEATED_FOR) else OLD

    def _by_parameter(
        self, fields: Mapping[str, str], given: str, received_at: float
    ) -> Verified | Refused:
        signed = "".join(
            f"&{name}={value.translate(_REPLACED)}" for name, value in sorted(fields.items())
        ).encode("utf-8", "replace")
        if not any_equal(given.lower(), [self._sign(secret, signed) for secret in self._secrets]):
            return WRONG
        return Verified() if timely(fields.get("timestamp", ""), received_at, REPEATED_FOR) else OLD


_REPLACED = str.maketrans("&=", "__")
_ALGORITHMS = ["HS256"]
# Tokens are judged by our own clock, at the moment the callback came in.
_CHECKS: Options = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
}


def _claims(token: str, secret: bytes) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = jwt.decode(token, secret, _ALGORITHMS, options=_CHECKS)
    except jwt.PyJWTError:
        return None
    return found


def _fields(raw: RawCallback) -> Mapping[str, str]:
    """However the account has it sent: GET, a form, or JSON. Raises UnreadableCallback."""
    if raw.method == "GET":
        return first_values(query_of(raw))
    if content_type(raw) == "application/json":
        return {name: text(value) for name, value in json_object(raw).items()}
    return first_values(form_of(raw))


def _receipt(found: Mapping[str, str], received_at: float) -> Receipt:
    status = text(found, "status").lower()
    message_id = text(found, "messageId")
    kind = STATUSES.get(status, ReceiptType.OTHER)
    error = code(found, "err-code")
    bounce = None
    if kind in (ReceiptType.FAILED, ReceiptType.REJECTED):
        kind, bounce = ERRORS.get(error, (kind, None))
    when = text(found, "scts")
    return Receipt(
        kind,
        _when(found, received_at),
        digest(message_id, status, error, when),
        delivery_id=uuid_of(text(found, "client-ref")),
        provider_message_id=message_id,
        address=_number(found, "msisdn"),
        bounce=bounce,
        code=code(found, "status") if kind is ReceiptType.OTHER else error,
    )


def _inbound(found: Mapping[str, str], received_at: float) -> Receipt:
    """A long text comes in parts, each with an id of its own."""
    message_id = text(found, "messageId")
    return Receipt(
        ReceiptType.INBOUND,
        _when(found, received_at),
        digest(message_id, "inbound"),
        provider_message_id=message_id,
        address=_number(found, "msisdn"),
        recipient=text(found, "to") or None,
        text=text(found, "text"),
    )


def _number(found: Mapping[str, str], name: str) -> str | None:
    """In E.164: Vonage leaves the + out."""
    number = text(found, name)
    return f"+{number}" if number.isascii() and number.isdigit() else number or None


def _when(found: Mapping[str, str], received_at: float) -> datetime:
    """scts, the carrier's moment, is in UTC: YYMMDDhhmm; message-timestamp is Vonage's, in UTC, too."""
    short = text(found, "scts")
    if len(short) >= 10 and short[:10].isascii() and short[:10].isdigit():
        year, month, day, hour, minute = (short[at : at + 2] for at in range(0, 10, 2))
        return moment(f"20{year}-{month}-{day}T{hour}:{minute}:00Z", received_at)
    return moment(text(found, "message-timestamp"), received_at)
