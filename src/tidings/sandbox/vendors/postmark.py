"""Postmark: one email or a batch, and its webhooks, which sign in with a user name and password.

https://postmarkapp.com/developer/api/email-api
https://postmarkapp.com/developer/webhooks/webhooks-overview
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import orjson

from tidings.domain.channels import Channel
from tidings.sandbox.calls import Call, Reply, Taken, json_reply, route
from tidings.sandbox.credentials import credential
from tidings.sandbox.magic import Fate, fate_of_address
from tidings.sandbox.mails import SENDER, addresses, attached, first_link, is_address
from tidings.sandbox.messages import Content, Event, Happening, Sent
from tidings.sandbox.vendor import Callback, Place, Reported, Tells, Vendor

NAME = "postmark"
TOKEN = credential(NAME)
WEBHOOK_USER, WEBHOOK_PASSWORD = "postmark", credential(f"{NAME}-webhook")
_MOST = 500
_MOST_RECIPIENTS = 50
_SERVER = 1


def _error(status: int, code: int, message: str, **headers: str) -> Reply:
    return json_reply(status, _said(code, message), **headers)


def _said(code: int, message: str) -> Mapping[str, Any]:
    return {"ErrorCode": code, "Message": message}


def _check(call: Call) -> Reply | None:
    if call.header("x-postmark-server-token") in (TOKEN, "POSTMARK_API_TEST"):
        return None
    return _error(401, 10, "Bad or missing API token.")


def _send(call: Call) -> Reply | Taken:
    if not isinstance(call.document, dict):
        return _error(422, 402, "Invalid JSON")
    said, sent = _read(call, call.document)
    return Taken(json_reply(422 if said["ErrorCode"] else 200, said), [sent] if sent else [])


def _send_batch(call: Call) -> Reply | Taken:
    mails = call.document
    if not isinstance(mails, list):
        return _error(422, 402, "Invalid JSON")
    if len(mails) > _MOST:
        return _error(422, 410, f"You can send up to {_MOST} messages in a batch.")
    read = [_read(call, mail) for mail in mails]
    return Taken(json_reply(200, [said for said, _ in read]), [sent for _, sent in read if sent])


def _read(call: Call, mail: Mapping[str, Any]) -> tuple[Mapping[str, Any], Sent | None]:
    """What is said to one email, and the email when it is taken."""
    recipients = addresses(mail.get("To") or "")
    copies = addresses(mail.get("Cc") or "", mail.get("Bcc") or "")
    wrong = next(_problems(mail, recipients, copies), None)
    if wrong is not None:
        return wrong, None
    message_id = str(uuid4())
    said = {
        "To": mail["To"],
        "SubmittedAt": datetime.now(UTC).isoformat(),
        "MessageID": message_id,
        **_said(0, "OK"),
    }
    if call.header("x-postmark-server-token") != TOKEN:
        return said | {"Message": "Test job accepted"}, None
    return said, Sent(
        vendor=NAME,
        channel=Channel.EMAIL,
        sender=mail["From"],
        recipients=recipients,
        message_id=message_id,
        source=orjson.dumps(mail) if call.path.endswith("/batch") else call.body,
        read=partial(_content, mail),
        fates=tuple(map(fate_of_address, recipients)),
        copies=copies,
        reference={
            "MessageStream": mail.get("MessageStream") or "outbound",
            "Metadata": mail.get("Metadata") or {},
            "Tag": mail.get("Tag") or "",
        },
    )


def _problems(
    mail: Mapping[str, Any], recipients: Sequence[str], copies: Sequence[str]
) -> Iterator[Mapping[str, Any]]:
    if not mail.get("From"):
        yield _said(300, "Invalid 'From' address: ''.")
    if not recipients:
        yield _said(300, "Zero recipients specified")
    if len(recipients) + len(copies) > _MOST_RECIPIENTS:
        yield _said(300, f"Message exceeds limit of {_MOST_RECIPIENTS} recipients.")
    for one in recipients:
        if not is_address(one) or fate_of_address(one) is Fate.INVALID:
            yield _said(300, f"Invalid 'To' address: '{one}'.")
    if not (mail.get("TextBody") or mail.get("HtmlBody")):
        yield _said(300, "Provide either email TextBody or HtmlBody or both.")
    # An email to several is sent to those that are active.
    if all(fate_of_address(one) is Fate.SUPPRESSED for one in recipients):
        yield _said(
            406,
            "You tried to send to recipient(s) that have been marked as inactive. Found inactive "
            f"addresses: {', '.join(recipients)}. Inactive recipients are ones that have generated a "
            "hard bounce, a spam complaint, or a manual suppression.",
        )


def _content(mail: Mapping[str, Any]) -> Content:
    headers = {one["Name"]: one["Value"] for one in mail.get("Headers") or ()}
    if mail.get("ReplyTo"):
        headers["Reply-To"] = mail["ReplyTo"]
    return Content(
        subject=mail.get("Subject") or "",
        text=mail.get("TextBody") or "",
        html=mail.get("HtmlBody") or "",
        files=[
            attached(one["Name"], one["ContentType"], one["Content"], one.get("ContentID"))
            for one in mail.get("Attachments") or ()
        ],
        shown=headers,
    )


_BOUNCES: Mapping[Happening, tuple[int, str, str]] = {
    Happening.BOUNCED: (1, "HardBounce", "smtp;550 5.1.1 no such user"),
    Happening.SOFT_BOUNCED: (4096, "SoftBounce", "smtp;452 4.2.2 over quota"),
    Happening.DEFERRED: (2, "Transient", "smtp;451 4.7.1 try again later"),
    Happening.DROPPED: (100000, "Blocked", "smtp;554 blocked"),
}


def _callbacks(reported: Sequence[Reported], place: Place, now: float) -> Iterator[Callback]:
    pair = b64encode(f"{WEBHOOK_USER}:{WEBHOOK_PASSWORD}".encode()).decode()
    headers = {
        "content-type": "application/json",
        "user-agent": "Postmark",
        "authorization": f"Basic {pair}",
    }
    for sent, event in reported:
        yield Callback(place.callback(NAME), orjson.dumps(_event(sent, event)), headers, [event])


def _event(sent: Sent, event: Event) -> Mapping[str, Any]:
    at = datetime.fromtimestamp(event.at, UTC).isoformat()
    told = {"ServerID": _SERVER, "MessageID": sent.message_id, **sent.reference}
    happening = event.happening
    if happening in _BOUNCES or happening is Happening.COMPLAINED:
        code, kind, description = _BOUNCES.get(happening, (512, "SpamComplaint", "Spam complaint"))
        return told | {
            "RecordType": "SpamComplaint" if kind == "SpamComplaint" else "Bounce",
            "ID": int(event.event_id[:8], 16),
            "Type": kind,
            "TypeCode": code,
            "Email": event.recipient,
            "From": sent.sender,
            "BouncedAt": at,
            "Details": description,
            "Description": description,
            "DumpAvailable": False,
            "Inactive": kind in ("HardBounce", "SpamComplaint"),
            "CanActivate": kind != "SpamComplaint",
            "Subject": sent.content.subject,
        }
    if happening is Happening.DELIVERED:
        return told | {
            "RecordType": "Delivery",
            "Recipient": event.recipient,
            "DeliveredAt": at,
            "Details": "Message accepted for delivery",
        }
    if happening is Happening.UNSUBSCRIBED:
        return told | {
            "RecordType": "SubscriptionChange",
            "Recipient": event.recipient,
            "ChangedAt": at,
            "Origin": "Recipient",
            "SuppressSending": True,
            "SuppressionReason": "ManualSuppression",
        }
    person = {
        "Recipient": event.recipient,
        "ReceivedAt": at,
        "UserAgent": "Mozilla/5.0 (sandbox)",
        "Platform": "Desktop",
        "Geo": {"IP": "192.0.2.1"},
    }
    if happening is Happening.CLICKED:
        link = first_link(sent.content)
        return (
            told
            | person
            | {
                "RecordType": "Click",
                "OriginalLink": link,
                "ClickLocation": "HTML" if sent.content.html else "Text",
            }
        )
    return told | person | {"RecordType": "Open", "FirstOpen": True}


def _server(_: Call) -> Reply:
    return json_reply(200, {"ID": _SERVER, "Name": "Sandbox", "DeliveryType": "Sandbox"})


def _account(place: Place) -> Mapping[str, Any]:
    return {
        "server_token": TOKEN,
        "from": SENDER,
        "webhook_tokens": [WEBHOOK_PASSWORD],
        "endpoint": place.at(NAME),
    }


POSTMARK = Vendor(
    name=NAME,
    title="Postmark",
    channel=Channel.EMAIL,
    docs_url="https://postmarkapp.com/developer/api/email-api",
    account=_account,
    check=_check,
    routes=(
        route("POST", "/email", _send),
        route("POST", "/email/batch", _send_batch),
        route("GET", "/server", _server),
    ),
    throttled=_error(429, 429, "Rate Limit Exceeded", retry_after="1"),
    failed=_error(500, 500, "Internal server error"),
    malformed=_error(422, 403, "Incompatible JSON"),
    unknown=_error(404, 404, "Not Found"),
    tells=Tells(_callbacks),
)
