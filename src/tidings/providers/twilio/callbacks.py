"""What Twilio calls back: what became of a text, and texts that come in.

https://www.twilio.com/docs/usage/webhooks/webhooks-security
https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks
https://www.twilio.com/docs/messaging/guides/webhook-request

A signature names no moment, so an old callback cannot be told from a new one; it says nothing new, for its events
are known by their ids.
"""

import hmac
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from urllib.parse import urlsplit, urlunsplit

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
from tidings.providers.twilio.send import DELIVERY
from tidings.providers.verifying import MISSING, UNCONFIGURED, WRONG, any_equal, equal, secrets_of

STATUSES: Mapping[str, ReceiptType] = {
    "sent": ReceiptType.SENT,
    "delivered": ReceiptType.DELIVERED,
    "undelivered": ReceiptType.FAILED,
    "failed": ReceiptType.FAILED,
    "canceled": ReceiptType.DROPPED,
    "read": ReceiptType.OPENED,
    "received": ReceiptType.INBOUND,
}

ERRORS: Mapping[str, tuple[ReceiptType, Bounce | None]] = {
    "30003": (ReceiptType.BOUNCED, Bounce.SOFT),  # switched off, or out of reach
    "30004": (ReceiptType.REJECTED, None),  # blocked
    "30005": (ReceiptType.BOUNCED, Bounce.HARD),  # no such number
    "30006": (ReceiptType.BOUNCED, Bounce.HARD),  # a landline, or a carrier that takes no texts
    "30007": (ReceiptType.REJECTED, None),  # taken for spam
    "21610": (ReceiptType.DROPPED, None),  # the recipient replied STOP
    "21614": (ReceiptType.BOUNCED, Bounce.HARD),  # no mobile number
}
"""Why a text was not delivered: https://www.twilio.com/docs/api/errors"""

_HASHES = {"": "sha1", "HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_PORTS = {"https": 443, "http": 80}
_JSON = "application/json"


class TwilioCallbacks:
    def __init__(self, account: Account) -> None:
        self._tokens = secrets_of(account, "auth_token", "webhook_tokens")

    async def verify(self, raw: RawCallback) -> Verified | Refused:
        if not self._tokens:
            return UNCONFIGURED
        signature = raw.headers.get("x-twilio-signature", "")
        if not signature:
            return MISSING
        try:
            signed = _signed(raw)
        except UnreadableCallback:
            return WRONG
        name = _HASHES.get(_algorithm(raw.headers.get("x-twilio-webhooks-signature-settings", "")))
        if name is None:
            return Refused("signed in a way that is not known")
        expected = [
            b64encode(hmac.digest(token, one, name)) for token in self._tokens for one in signed
        ]
        return Verified() if any_equal(signature, expected) else WRONG

    def receipts(self, raw: RawCallback) -> Sequence[Receipt]:
        query = first_values(query_of(raw))
        if content_type(raw) == _JSON:
            found = {name: text(value) for name, value in json_object(raw).items()}
        else:
            found = dict(first_values(form_of(raw)))
        # Parameters of a GET are in the URL, where ours is in any case.
        return [_receipt({**query, **found}, query.get(DELIVERY, ""), raw.received_at)]


def _signed(raw: RawCallback) -> Sequence[bytes]:
    """What Twilio may have signed: the URL with and without its port, as it does not always tell."""
    fields = b""
    if content_type(raw) == _JSON:
        hashed = first_values(query_of(raw)).get("bodySHA256", "")
        if not equal(hashed.lower(), sha256(raw.body).hexdigest()):
            raise UnreadableCallback("not the body that was hashed")
    elif raw.method == "POST":
        pairs = sorted(set(form_of(raw)))
        fields = "".join(name + value for name, value in pairs).encode("utf-8", "replace")
    return [url.encode("utf-8", "replace") + fields for url in _urls(raw.url)]


def _urls(url: str) -> Iterator[str]:
    yield url
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        return
    host = f"[{host}]" if ":" in host else host
    default = _PORTS.get(parts.scheme)
    if port is None and default is not None:
        yield urlunsplit(parts._replace(netloc=f"{host}:{default}"))
    elif port is not None:
        yield urlunsplit(parts._replace(netloc=host))


def _algorithm(settings: str) -> str:
    """Named for callbacks that are signed with a key of their own; empty for the auth token's."""
    pairs = (part.strip().partition("=") for part in settings.split(","))
    return next((value.upper() for name, _, value in pairs if name == "algorithm"), "")


def _receipt(form: Mapping[str, str], delivery: str, received_at: float) -> Receipt:
    message_id = text(form, "MessageSid") or text(form, "SmsSid")
    status = (text(form, "MessageStatus") or text(form, "SmsStatus")).lower()
    if not message_id:
        raise UnreadableCallback("no MessageSid")
    kind = STATUSES.get(status, ReceiptType.OTHER)
    at = moment(None, received_at)  # it names none
    if kind is ReceiptType.INBOUND:
        return _inbound(form, message_id, received_at)
    error = code(form, "ErrorCode")
    bounce = None
    if kind is ReceiptType.FAILED:
        kind, bounce = ERRORS.get(error, (kind, None))
    return Receipt(
        kind,
        at,
        digest(message_id, status, error),
        delivery_id=uuid_of(delivery),
        provider_message_id=message_id,
        address=text(form, "To") or None,
        bounce=bounce,
        code=code(form, "MessageStatus") if kind is ReceiptType.OTHER else error,
    )


def _inbound(form: Mapping[str, str], message_id: str, received_at: float) -> Receipt:
    """code: STOP, START or HELP, where Twilio took it for such a word and answered it."""
    return Receipt(
        ReceiptType.INBOUND,
        moment(None, received_at),
        digest(message_id, "received"),
        provider_message_id=message_id,
        address=text(form, "From") or None,
        recipient=text(form, "To") or None,
        code=code(form, "OptOutType"),
        text=text(form, "Body"),
    )
