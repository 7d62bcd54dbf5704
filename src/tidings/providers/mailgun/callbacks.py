"""What Mailgun calls back: events, and emails that its routes forward.

https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhooks
https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/receive-http

The signature is over a moment and a token, not over the event: who has seen one callback could send another one
with it. So a token is good for one event, and for no longer than Mailgun itself would repeat it.
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from tidings.domain.callbacks import Once, RawCallback, Refused, UnreadableCallback, Verified
from tidings.domain.provider import Account
from tidings.domain.receipts import Bounce, Receipt, ReceiptType
from tidings.providers.bounces import bounce_of
from tidings.providers.events import (
    at,
    code,
    content_type,
    digest,
    first_values,
    form_of,
    json_object,
    moment,
    text,
    uuid_of,
)
from tidings.providers.verifying import (
    MISSING,
    OLD,
    UNCONFIGURED,
    WRONG,
    any_equal,
    secrets_of,
    timely,
)

_REPEATED_FOR = 9 * 3600.0
"""Seconds; a call that is not answered is repeated for about eight hours."""

EVENTS: Mapping[str, ReceiptType] = {
    "accepted": ReceiptType.SENT,
    "delivered": ReceiptType.DELIVERED,
    "failed": ReceiptType.BOUNCED,
    "rejected": ReceiptType.REJECTED,
    "opened": ReceiptType.OPENED,
    "clicked": ReceiptType.CLICKED,
    "unsubscribed": ReceiptType.UNSUBSCRIBED,
    "complained": ReceiptType.COMPLAINED,
}

FAILURES: Mapping[tuple[str, str], tuple[ReceiptType, Bounce | None]] = {
    ("permanent", "suppress-bounce"): (ReceiptType.DROPPED, Bounce.HARD),
    ("permanent", "suppress-unsubscribe"): (ReceiptType.DROPPED, None),
    ("permanent", "suppress-complaint"): (ReceiptType.DROPPED, None),
    ("permanent", "old"): (ReceiptType.BOUNCED, Bounce.SOFT),
    ("permanent", "espblock"): (ReceiptType.BOUNCED, Bounce.SOFT),
    ("permanent", "greylisted"): (ReceiptType.BOUNCED, Bounce.SOFT),
}
"""What severity and reason of `failed` say, where they say more than the codes of the receiving server."""


class MailgunCallbacks:
    def __init__(self, account: Account) -> None:
        self._keys = secrets_of(account, "webhook_signing_keys")

    async def verify(self, raw: RawCallback) -> Verified | Refused:
        if not self._keys:
            return UNCONFIGURED
        try:
            proof, said = _parts(raw)
        except UnreadableCallback:
            return MISSING
        timestamp, token, signature = (
            text(proof, name) for name in ("timestamp", "token", "signature")
        )
        if not (timestamp and token and signature):
            return MISSING
        signed = (timestamp + token).encode()
        if not any_equal(
            signature, [hmac.new(key, signed, "sha256").hexdigest() for key in self._keys]
        ):
            return WRONG
        if not timely(timestamp, raw.received_at, _REPEATED_FOR):
            return OLD
        return Verified(once=Once(float(timestamp), token, said))

    def receipts(self, raw: RawCallback) -> Sequence[Receipt]:
        if content_type(raw) == "application/json":
            event = at(json_object(raw), "event-data")
            if not isinstance(event, dict):
                raise UnreadableCallback("no event-data")
            return [_receipt(event, raw.received_at)]
        return [_inbound(first_values(form_of(raw)), raw.received_at)]


def _parts(raw: RawCallback) -> tuple[Any, bytes]:
    """The proof, and what stands for all that receipts() reads: a form that is sent again may have other boundaries."""
    if content_type(raw) == "application/json":
        return at(json_object(raw), "signature"), raw.body
    form = first_values(form_of(raw))
    return form, repr(sorted(form.items())).encode()


def _receipt(event: dict[str, Any], received_at: float) -> Receipt:
    name = code(event, "event")
    kind, bounce = _verdict(event, name)
    message_id = text(event, "message", "headers", "message-id").strip("<>")
    return Receipt(
        kind,
        moment(event.get("timestamp"), received_at),
        text(event, "id")[:200]
        or digest(name, message_id, event.get("timestamp"), text(event, "recipient")),
        delivery_id=uuid_of(text(event, "user-variables", "delivery_id")),
        provider_message_id=message_id or None,
        address=text(event, "recipient") or None,
        bounce=bounce,
        code=name if kind is ReceiptType.OTHER else _code(event),
        detail=code(event, "reason"),
        url=text(event, "url") or None,
        user_agent=text(event, "client-info", "user-agent") or None,
        ip_address=text(event, "ip") or None,
    )


def _verdict(event: dict[str, Any], name: str) -> tuple[ReceiptType, Bounce | None]:
    kind = EVENTS.get(name, ReceiptType.OTHER)
    if name != "failed":
        return kind, None
    severity = text(event, "severity")
    if severity == "temporary":  # Mailgun tries again
        return ReceiptType.DEFERRED, None
    found = FAILURES.get((severity, text(event, "reason")))
    return found or (kind, bounce_of(text(event, "delivery-status", "enhanced-code"), Bounce.HARD))


def _code(event: dict[str, Any]) -> str:
    status, enhanced = (code(event, "delivery-status", name) for name in ("code", "enhanced-code"))
    return f"{status} {enhanced}".strip()


def _inbound(form: Mapping[str, str], received_at: float) -> Receipt:
    if "sender" not in form and "from" not in form:
        raise UnreadableCallback("not an email that came in")
    message_id = text(form, "Message-Id").strip("<>")
    # A route may forward an email to several addresses of ours, each a callback of its own.
    identity = (message_id or form.get("token", ""), form.get("recipient", ""))
    return Receipt(
        ReceiptType.INBOUND,
        moment(form.get("timestamp"), received_at),
        digest(*identity),
        provider_message_id=message_id or None,
        address=text(form, "sender") or text(form, "from") or None,
        recipient=text(form, "recipient") or None,
        text=text(form, "stripped-text") or text(form, "body-plain") or None,
    )
