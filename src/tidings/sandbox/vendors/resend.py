"""Resend: emails with idempotency keys, batches, and its webhooks, which Svix signs.

https://resend.com/docs/api-reference/emails/send-email
https://resend.com/docs/dashboard/webhooks/introduction
"""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import orjson

from tidings.domain.channels import Channel
from tidings.sandbox.calls import Call, Reply, Taken, json_reply, route
from tidings.sandbox.credentials import credential, signing_key, signing_secret
from tidings.sandbox.magic import Fate, fate_of_address
from tidings.sandbox.mails import SENDER, addresses, attached, first_link, is_address
from tidings.sandbox.messages import Content, Event, Happening, Sent
from tidings.sandbox.vendor import Callback, Place, Reported, Tells, Vendor

NAME = "resend"
KEY = f"re_{credential(NAME)}"
WEBHOOK_SECRET = signing_secret(NAME)
_MOST, _MOST_RECIPIENTS = 100, 50


def _error(status: int, name: str, message: str, **headers: str) -> Reply:
    return json_reply(status, {"statusCode": status, "name": name, "message": message}, **headers)


def _check(call: Call) -> Reply | None:
    if call.header("authorization") == f"Bearer {KEY}":
        return None
    if not call.header("authorization"):
        return _error(401, "missing_api_key", "Missing API key in the authorization header.")
    return _error(403, "invalid_api_key", "API key is invalid")


def _send(call: Call) -> Reply | Taken:
    mail = call.document
    if not isinstance(mail, dict):
        return _error(422, "validation_error", "The body is not JSON.")
    wrong = _wrong(mail)
    if wrong is not None:
        return wrong
    message_id = _message_id(call, 0)
    return Taken(json_reply(200, {"id": message_id}), [_sent(mail, message_id, call.body)])


def _send_batch(call: Call) -> Reply | Taken:
    mails = call.document
    if not isinstance(mails, list) or not 0 < len(mails) <= _MOST:
        return _error(422, "validation_error", f"A batch has 1 to {_MOST} emails.")
    wrong = next(filter(None, map(_wrong, mails)), None)
    if wrong is not None:
        return wrong
    sent = [
        _sent(mail, _message_id(call, number), orjson.dumps(mail))
        for number, mail in enumerate(mails)
    ]
    return Taken(json_reply(200, {"data": [{"id": one.message_id} for one in sent]}), sent)


def _message_id(call: Call, number: int) -> str:
    """The same for a key that was used before: what is known by it is not sent twice."""
    key = call.header("idempotency-key")
    if not key:
        return str(uuid4())
    return str(UUID(bytes=hashlib.sha256(f"{key}/{number}".encode()).digest()[:16]))


def _wrong(mail: Mapping[str, Any]) -> Reply | None:
    for name in ("to", "from", "subject"):
        if not mail.get(name):
            return _error(422, "missing_required_field", f"Missing `{name}` field.")
    to = _listed(mail["to"])
    wrong = [
        one for one in addresses(*to) if not is_address(one) or fate_of_address(one) is Fate.INVALID
    ]
    if wrong or len(to) > _MOST_RECIPIENTS:
        return _error(
            422,
            "validation_error",
            "Invalid `to` field. The email address needs to follow the `email@example.com` or `Name <email@example.com>` format.",
        )
    if not (mail.get("html") or mail.get("text") or mail.get("template")):
        return _error(422, "validation_error", "Missing `html` or `text` field.")
    return None


def _listed(value: Any) -> Sequence[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _sent(mail: Mapping[str, Any], message_id: str, source: bytes) -> Sent:
    recipients = addresses(*_listed(mail["to"]))
    return Sent(
        vendor=NAME,
        channel=Channel.EMAIL,
        sender=mail["from"],
        recipients=recipients,
        message_id=message_id,
        source=source,
        read=partial(_content, mail),
        fates=tuple(map(fate_of_address, recipients)),
        copies=addresses(*_listed(mail.get("cc")), *_listed(mail.get("bcc"))),
        once=True,
        reference={one["name"]: one["value"] for one in mail.get("tags") or ()},
    )


def _content(mail: Mapping[str, Any]) -> Content:
    headers = dict(mail.get("headers") or {})
    if mail.get("reply_to"):
        headers["Reply-To"] = ", ".join(_listed(mail["reply_to"]))
    return Content(
        subject=mail["subject"],
        text=mail.get("text") or "",
        html=mail.get("html") or "",
        files=[
            attached(
                one.get("filename") or "",
                one.get("content_type") or "",
                one.get("content") or "",
                one.get("content_id"),
            )
            for one in mail.get("attachments") or ()
        ],
        shown=headers,
    )


_EVENTS: Mapping[Happening, tuple[str, str, Mapping[str, Any]]] = {
    Happening.DELIVERED: ("email.delivered", "", {}),
    Happening.DEFERRED: ("email.delivery_delayed", "", {}),
    Happening.BOUNCED: (
        "email.bounced",
        "bounce",
        {"type": "Permanent", "subType": "General", "message": "550 5.1.1 no such user"},
    ),
    Happening.SOFT_BOUNCED: (
        "email.bounced",
        "bounce",
        {"type": "Transient", "subType": "MailboxFull", "message": "452 4.2.2 over quota"},
    ),
    Happening.DROPPED: (
        "email.suppressed",
        "suppressed",
        {"type": "OnAccountSuppressionList", "message": "The address is suppressed."},
    ),
    Happening.COMPLAINED: ("email.complained", "", {}),
    Happening.OPENED: (
        "email.opened",
        "open",
        {"ipAddress": "192.0.2.1", "userAgent": "Mozilla/5.0 (sandbox)"},
    ),
    Happening.CLICKED: (
        "email.clicked",
        "click",
        {"ipAddress": "192.0.2.1", "userAgent": "Mozilla/5.0 (sandbox)"},
    ),
}
"""Type, and what more there is: under which name, and what. That a single email unsubscribes is no event."""


def _callbacks(reported: Sequence[Reported], place: Place, now: float) -> Iterator[Callback]:
    for sent, event in reported:
        if event.happening not in _EVENTS:
            continue
        body = orjson.dumps(_event(sent, event))
        message_id, timestamp = f"msg_{event.event_id}", str(int(now))
        signed = f"{message_id}.{timestamp}.".encode() + body
        signature = b64encode(hmac.digest(signing_key(NAME), signed, "sha256")).decode()
        yield Callback(
            place.callback(NAME),
            body,
            {
                "content-type": "application/json",
                "user-agent": "Svix-Webhooks/1.0",
                "svix-id": message_id,
                "svix-timestamp": timestamp,
                "svix-signature": f"v1,{signature}",
            },
            [event],
        )


def _event(sent: Sent, event: Event) -> Mapping[str, Any]:
    kind, name, more = _EVENTS[event.happening]
    at = datetime.fromtimestamp(event.at, UTC).isoformat()
    data: dict[str, Any] = {
        "email_id": sent.message_id,
        "created_at": datetime.fromtimestamp(sent.at, UTC).isoformat(),
        "from": sent.sender,
        "to": [event.recipient],
        "subject": sent.content.subject,
        "tags": dict(sent.reference),
    }
    if name:
        data[name] = dict(more)
    if event.happening is Happening.CLICKED:
        data["click"] |= {"link": first_link(sent.content), "timestamp": at}
    elif event.happening is Happening.OPENED:
        data["open"] |= {"timestamp": at}
    return {"type": kind, "created_at": at, "data": data}


def _account(place: Place) -> Mapping[str, Any]:
    return {
        "api_key": KEY,
        "from": SENDER,
        "webhook_secrets": [WEBHOOK_SECRET],
        "endpoint": place.at(NAME),
    }


RESEND = Vendor(
    name=NAME,
    title="Resend",
    channel=Channel.EMAIL,
    docs_url="https://resend.com/docs/api-reference/emails/send-email",
    account=_account,
    check=_check,
    routes=(
        route("POST", "/emails", _send),
        route("POST", "/emails/batch", _send_batch),
    ),
    throttled=_error(
        429,
        "rate_limit_exceeded",
        "Too many requests. You can only make 2 requests per second.",
        retry_after="1",
    ),
    failed=_error(500, "internal_server_error", "An unexpected error occurred."),
    malformed=_error(422, "validation_error", "A field is not of its type."),
    unknown=_error(404, "not_found", "The requested endpoint does not exist"),
    tells=Tells(_callbacks),
)
