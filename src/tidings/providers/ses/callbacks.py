"""What Amazon SES reports through SNS: by event publishing, or by the notifications of an identity.

https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pyreqwest.http import Url

from tidings.domain.callbacks import RawCallback, Refused, UnreadableCallback, Verified
from tidings.domain.provider import Account
from tidings.domain.receipts import Bounce, Receipt, ReceiptType
from tidings.providers.events import at, code, digest, json_object, moment, objects, text, uuid_of
from tidings.providers.http import Http
from tidings.providers.ses.notices import Notices
from tidings.providers.vendor import is_loopback
from tidings.settings import SettingsError

EVENTS: Mapping[str, tuple[ReceiptType, str]] = {
    "Send": (ReceiptType.SENT, "send"),
    "Delivery": (ReceiptType.DELIVERED, "delivery"),
    "DeliveryDelay": (ReceiptType.DEFERRED, "deliveryDelay"),
    "Bounce": (ReceiptType.BOUNCED, "bounce"),
    "Complaint": (ReceiptType.COMPLAINED, "complaint"),
    "Reject": (ReceiptType.REJECTED, "reject"),
    "Rendering Failure": (ReceiptType.FAILED, "failure"),
    "RenderingFailure": (ReceiptType.FAILED, "failure"),
    "Open": (ReceiptType.OPENED, "open"),
    "Click": (ReceiptType.CLICKED, "click"),
    "Subscription": (ReceiptType.UNSUBSCRIBED, "subscription"),
    "Received": (ReceiptType.INBOUND, "receipt"),
}
"""By eventType or notificationType: what it is, and where its own facts are."""

RECIPIENTS: Mapping[str, str] = {
    "bounce": "bouncedRecipients",
    "complaint": "complainedRecipients",
    "deliveryDelay": "delayedRecipients",
}

SUPPRESSED = frozenset({"Suppressed", "OnAccountSuppressionList"})
"""Sub-types of bounces that SES makes without trying, for the address is on a list of its own."""


class SesCallbacks:
    """Raises SettingsError for a stand-in of SNS's that cannot be used."""

    def __init__(self, account: Account, http: Http) -> None:
        self._notices = Notices(account.listed("topics"), http, _stand_in(account))

    async def verify(self, raw: RawCallback) -> Verified | Refused:
        return await self._notices.verify(raw)

    def receipts(self, raw: RawCallback) -> Sequence[Receipt]:
        notice = json_object(raw)
        notice_id = text(notice, "MessageId")
        if text(notice, "Type") != "Notification":
            return []  # a subscription began or ended
        at_once = moment(notice.get("Timestamp"), raw.received_at).timestamp()
        return _receipts(_message(notice), notice_id, at_once)


def _message(notice: dict[str, Any]) -> Any:
    """What SES says. Raises UnreadableCallback for what is no JSON object."""
    try:
        found = orjson.loads(notice["Message"])
    except (KeyError, TypeError, orjson.JSONDecodeError):
        raise UnreadableCallback("not a message of SES") from None
    if not isinstance(found, dict):
        raise UnreadableCallback("not a message of SES")
    return found


def _receipts(event: dict[str, Any], notice_id: str, otherwise: float) -> Sequence[Receipt]:
    """One for each recipient that it speaks of."""
    name = code(event, "eventType") or code(event, "notificationType")
    kind, place = EVENTS.get(name, (ReceiptType.OTHER, ""))
    facts = at(event, place)
    addresses = _addresses(event, place, facts)
    return [
        _receipt(event, kind, name, facts, address, status, digest(notice_id, number), otherwise)
        for number, (address, status) in enumerate(addresses)
    ]


def _addresses(event: dict[str, Any], place: str, facts: Any) -> Sequence[tuple[str, str]]:
    """With the status of each, where one is given."""
    named = objects(facts, RECIPIENTS.get(place, ""))
    if named:
        return [(text(one, "emailAddress"), code(one, "status")) for one in named[:1000]]
    delivered = at(facts, "recipients") if place == "delivery" else None
    if isinstance(delivered, list) and delivered:
        return [(text(one), "") for one in delivered[:1000]]
    if place == "receipt":
        return [(text(event, "mail", "source"), "")]
    return [(text(event, "mail", "destination", 0), "")]


def _receipt(
    event: dict[str, Any],
    kind: ReceiptType,
    name: str,
    facts: Any,
    address: str,
    status: str,
    event_id: str,
    otherwise: float,
) -> Receipt:
    kind, bounce = _verdict(kind, facts)
    when = at(facts, "timestamp") or at(event, "mail", "timestamp")
    inbound = kind is ReceiptType.INBOUND
    return Receipt(
        kind,
        moment(when, otherwise),
        event_id,
        delivery_id=uuid_of(text(event, "mail", "tags", "delivery_id", 0)),
        provider_message_id=text(event, "mail", "messageId") or None,
        address=address or None,
        recipient=text(event, "mail", "destination", 0) or None if inbound else None,
        bounce=bounce,
        code=name if kind is ReceiptType.OTHER else status or _code(facts),
        detail=code(facts, "bounceSubType") or code(facts, "complaintSubType"),
        url=text(facts, "link") or None,
        user_agent=text(facts, "userAgent") or None,
        ip_address=text(facts, "ipAddress") or None,
    )


def _verdict(kind: ReceiptType, facts: Any) -> tuple[ReceiptType, Bounce | None]:
    if kind is ReceiptType.COMPLAINED and text(facts, "complaintSubType") in SUPPRESSED:
        return ReceiptType.DROPPED, None
    if kind is not ReceiptType.BOUNCED:
        return kind, None
    if text(facts, "bounceSubType") in SUPPRESSED:
        return ReceiptType.DROPPED, Bounce.HARD
    return kind, Bounce.HARD if text(facts, "bounceType") == "Permanent" else Bounce.SOFT


def _code(facts: Any) -> str:
    names = ("bounceType", "complaintFeedbackType", "delayType", "reason")
    return next(filter(None, (code(facts, name) for name in names)), "")


def _stand_in(account: Account) -> str:
    given = account.text("sns_endpoint")
    if given and not is_loopback(Url(given).host_str or ""):
        raise SettingsError(
            f"accounts.{account.name}.sns_endpoint: whoever answers there could sign for Amazon, so it is "
            "only for this machine (127.0.0.1, ::1, localhost)"
        )
    return given.rstrip("/")
