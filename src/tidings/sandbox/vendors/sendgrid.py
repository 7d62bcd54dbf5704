"""Twilio SendGrid: Mail Send, and the signed Event Webhook.

https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
"""

import secrets
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from tidings.domain.channels import Channel
from tidings.sandbox.calls import Call, Reply, Taken, json_reply, route
from tidings.sandbox.credentials import credential, private_key, public_key
from tidings.sandbox.magic import Fate, fate_of_address
from tidings.sandbox.mails import SENDER, attached, first_link, shown_address
from tidings.sandbox.messages import Content, Event, Happening, Sent
from tidings.sandbox.vendor import Callback, Place, Reported, Tells, Vendor

NAME = "sendgrid"
KEY = f"SG.{credential(NAME)}"
_MOST = 1000  # personalizations, and recipients, of one call


def _error(status: int, message: str, field: str | None = None, **headers: str) -> Reply:
    errors = [{"message": message, "field": field, "help": None}]
    return json_reply(status, {"errors": errors}, **headers)


def _check(call: Call) -> Reply | None:
    if call.header("authorization") == f"Bearer {KEY}":
        return None
    return _error(401, "The provided authorization grant is invalid, expired, or revoked")


def _send(call: Call) -> Reply | Taken:
    mail = call.document
    if not isinstance(mail, dict):
        return _error(400, "Bad Request")
    wrong = next(_problems(mail), None)
    if wrong is not None:
        return _error(400, *wrong)
    if ((mail.get("mail_settings") or {}).get("sandbox_mode") or {}).get("enable"):
        return Reply(200)
    message_id = secrets.token_urlsafe(16)
    sent = [
        _sent(mail, one, f"{message_id}.{number}", call.body)
        for number, one in enumerate(mail["personalizations"])
    ]
    return Taken(Reply(202, b"", [(b"x-message-id", message_id.encode())]), sent)


def _problems(mail: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with a mail, the field beside it."""
    each = mail.get("personalizations")
    if not isinstance(each, list) or not each:
        text = "The personalizations field is required and must have at least one personalization."
        yield text, "personalizations"
        return
    if len(each) > _MOST or sum(map(_count, each)) > _MOST:
        yield "The total number of recipients must be 1000 or fewer.", "personalizations"
    if not _is_address(mail.get("from")):
        yield "The from object must be provided for every email send.", "from.email"
    for number, one in enumerate(each):
        yield from _problems_of_one(mail, one, f"personalizations.{number}")
    yield from _problems_of_content(mail.get("content"))


def _problems_of_one(
    mail: Mapping[str, Any], one: Mapping[str, Any], place: str
) -> Iterator[tuple[str, str]]:
    if not one.get("to"):
        yield "The to array is required for all personalization objects.", f"{place}.to"
    if not (one.get("subject") or mail.get("subject")):
        yield "The subject is required.", "subject"
    for kind in ("to", "cc", "bcc"):
        for position, address in enumerate(one.get(kind) or ()):
            if not _is_address(address) or fate_of_address(address["email"]) is Fate.INVALID:
                yield "Does not contain a valid address.", f"{place}.{kind}.{position}.email"


def _problems_of_content(content: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(content, list) or not content:
        text = "Unless a valid template_id is provided, the content parameter is required."
        yield text, "content"
        return
    for number, part in enumerate(content):
        if not part.get("value"):
            text = "The content value must be a string at least one character in length."
            yield text, f"content.{number}.value"


def _count(personalization: Any) -> int:
    return sum(len(personalization.get(kind) or ()) for kind in ("to", "cc", "bcc"))


def _is_address(one: Any) -> bool:
    if not isinstance(one, dict) or not isinstance(one.get("email"), str):
        return False
    local, at, domain = one["email"].rpartition("@")
    return bool(local and at and domain)


def _sent(mail: Mapping[str, Any], one: Mapping[str, Any], message_id: str, body: bytes) -> Sent:
    recipients = tuple(address["email"] for address in one["to"])
    return Sent(
        vendor=NAME,
        channel=Channel.EMAIL,
        sender=shown_address(one.get("from") or mail["from"]),
        recipients=recipients,
        message_id=message_id,
        source=body,
        read=partial(_content, mail, one),
        fates=tuple(map(fate_of_address, recipients)),
        copies=tuple(address["email"] for kind in ("cc", "bcc") for address in one.get(kind) or ()),
        reference={
            **(mail.get("custom_args") or {}),
            **(one.get("custom_args") or {}),
            **({"category": mail["categories"]} if mail.get("categories") else {}),
        },
    )


def _content(mail: Mapping[str, Any], one: Mapping[str, Any]) -> Content:
    def filled(text: str) -> str:
        for tag, value in (one.get("substitutions") or {}).items():
            text = text.replace(tag, value)
        return text

    parts = {part["type"]: filled(part["value"]) for part in mail["content"]}
    headers = {**(mail.get("headers") or {}), **(one.get("headers") or {})}
    if mail.get("reply_to"):
        headers["Reply-To"] = shown_address(mail["reply_to"])
    return Content(
        subject=filled(one.get("subject") or mail.get("subject") or ""),
        text=parts.get("text/plain", ""),
        html=parts.get("text/html", ""),
        files=[
            attached(
                file.get("filename", ""),
                file.get("type", ""),
                file.get("content", ""),
                file.get("content_id", ""),
            )
            for file in mail.get("attachments") or ()
        ],
        shown=headers,
    )


_EVENTS: Mapping[Happening, Mapping[str, Any]] = {
    Happening.DELIVERED: {"event": "delivered", "response": "250 OK"},
    Happening.DEFERRED: {
        "event": "deferred",
        "response": "451 4.7.1 try again later",
        "attempt": "1",
    },
    Happening.BOUNCED: {
        "event": "bounce",
        "type": "bounce",
        "bounce_classification": "Invalid Address",
        "status": "5.1.1",
        "reason": "550 5.1.1 The email account that you tried to reach does not exist.",
    },
    Happening.SOFT_BOUNCED: {
        "event": "bounce",
        "type": "blocked",
        "bounce_classification": "Mailbox Unavailable",
        "status": "4.2.2",
        "reason": "452 4.2.2 The mailbox is over quota.",
    },
    Happening.DROPPED: {"event": "dropped", "status": "5.0.0", "reason": "Bounced Address"},
    Happening.COMPLAINED: {"event": "spamreport"},
    Happening.UNSUBSCRIBED: {"event": "unsubscribe"},
    Happening.OPENED: {"event": "open", "sg_machine_open": False},
    Happening.CLICKED: {"event": "click"},
}


def _callbacks(reported: Sequence[Reported], place: Place, now: float) -> Iterator[Callback]:
    body = orjson.dumps([_event(sent, event) for sent, event in reported])
    timestamp = str(int(now))
    signature = private_key(NAME).sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
    yield Callback(
        place.callback(NAME),
        body,
        {
            "content-type": "application/json",
            "user-agent": "SendGrid Event API",
            "x-twilio-email-event-webhook-signature": b64encode(signature).decode(),
            "x-twilio-email-event-webhook-timestamp": timestamp,
        },
        [event for _, event in reported],
    )


def _event(sent: Sent, event: Event) -> Mapping[str, Any]:
    told = {
        **sent.reference,
        "email": event.recipient,
        "timestamp": int(event.at),
        "smtp-id": f"<{sent.message_id}@{SENDER}>",
        "sg_event_id": event.event_id,
        "sg_message_id": f"{sent.message_id}.recvd-sandbox",
        **_EVENTS[event.happening],
    }
    if event.happening in (Happening.OPENED, Happening.CLICKED):
        told |= {"useragent": "Mozilla/5.0 (sandbox)", "ip": "192.0.2.1"}
    if event.happening is Happening.CLICKED:
        told["url"] = first_link(sent.content)
    return told


def _scopes(_: Call) -> Reply:
    return json_reply(200, {"scopes": ["mail.send"]})


def _account(place: Place) -> Mapping[str, Any]:
    return {
        "api_key": KEY,
        "from": SENDER,
        "webhook_keys": [public_key(NAME)],
        "endpoint": place.at(NAME),
    }


SENDGRID = Vendor(
    name=NAME,
    title="Twilio SendGrid",
    channel=Channel.EMAIL,
    docs_url="https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send",
    account=_account,
    check=_check,
    routes=(
        route("POST", "/v3/mail/send", _send),
        route("GET", "/v3/scopes", _scopes),
    ),
    throttled=_error(429, "too many requests", retry_after="1"),
    failed=_error(500, "Internal Server Error"),
    malformed=_error(400, "Bad Request"),
    unknown=_error(404, "Resource not found"),
    tells=Tells(_callbacks),
)
