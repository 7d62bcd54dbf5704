"""Amazon SES, version 2 of its API: SendEmail, raw or simple, and SendBulkEmail; its events come by way of a topic of SNS.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
"""

import secrets
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson

from tidings.domain.channels import Channel
from tidings.sandbox import sigv4, topic
from tidings.sandbox.calls import Call, Confirmed, Reply, Taken, json_reply, route, text_reply
from tidings.sandbox.magic import Fate, fate_of_address
from tidings.sandbox.mails import SENDER, addresses, content_of, first_link, is_address
from tidings.sandbox.messages import Content, Event, Happening, Sent
from tidings.sandbox.vendor import Callback, Place, Reported, Tells, Vendor
from tidings.sandbox.vendors import ses_bulk as bulk

NAME = "ses"
_REFUSALS = {
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "IncompleteSignature": "IncompleteSignatureException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
}


def _error(status: int, kind: str, message: str, **headers: str) -> Reply:
    return json_reply(status, {"message": message}, **{"x-amzn-errortype": kind}, **headers)


def _check(call: Call) -> Reply | None:
    wrong = sigv4.problem(call)
    return None if wrong is None else _error(403, _REFUSALS[wrong[0]], wrong[1])


def _send(call: Call) -> Reply | Taken:
    mail = call.document
    if not isinstance(mail, dict):
        return _error(400, "SerializationException", "The body is not JSON.")
    content = mail.get("Content") or {}
    raw = b64decode((content.get("Raw") or {}).get("Data") or "")
    if not raw and not content.get("Simple"):
        return _error(400, "BadRequestException", "Content is required: Simple, Raw or Template.")
    recipients, copies = _recipients(mail)
    wrong = _problem(recipients, copies)
    if wrong is not None:
        return _error(400, "BadRequestException", wrong)
    message_id = _message_id()
    sent = Sent(
        vendor=NAME,
        channel=Channel.EMAIL,
        sender=mail.get("FromEmailAddress") or "",
        recipients=recipients,
        message_id=message_id,
        source=raw or call.body,
        read=partial(content_of, raw) if raw else partial(_simple, content["Simple"]),
        fates=tuple(map(fate_of_address, recipients)),
        copies=copies,
        reference={one["Name"]: [one["Value"]] for one in mail.get("EmailTags") or ()},
    )
    return Taken(json_reply(200, {"MessageId": message_id}), [sent])


def _send_bulk(call: Call) -> Reply | Taken:
    mail = call.document
    if not isinstance(mail, dict):
        return _error(400, "SerializationException", "The body is not JSON.")
    try:
        template = bulk.checked(mail, call.body)
        read = [_entry(mail, template, entry) for entry in mail["BulkEmailEntries"]]
    except bulk.BadCallError as error:
        return _error(error.status, error.kind, error.message)
    results = {"BulkEmailEntryResults": [result for result, _ in read]}
    return Taken(json_reply(200, results), [sent for _, sent in read if sent is not None])


def _entry(
    mail: Mapping[str, Any], template: Mapping[str, Any], entry: Mapping[str, Any]
) -> tuple[Mapping[str, str], Sent | None]:
    """What is said to one entry, and its email when it is sent."""
    recipients, copies = _recipients(entry)
    wrong = _problem(recipients, copies)
    if wrong is not None:
        return {"Status": "INVALID_PARAMETER", "Error": wrong}, None
    message_id = _message_id()
    result = {"Status": "SUCCESS", "MessageId": message_id}
    filled = bulk.filled(template, entry)
    if filled is None:
        return result, None
    tags = [*(mail.get("DefaultEmailTags") or ()), *(entry.get("ReplacementTags") or ())]
    return result, Sent(
        vendor=NAME,
        channel=Channel.EMAIL,
        sender=mail.get("FromEmailAddress") or "",
        recipients=recipients,
        message_id=message_id,
        source=orjson.dumps(entry),
        read=partial(_with_replies, filled, mail.get("ReplyToAddresses") or ()),
        fates=tuple(map(fate_of_address, recipients)),
        copies=copies,
        reference={one["Name"]: [one["Value"]] for one in tags},
    )


def _with_replies(filled: bulk.Filled, reply_to: Sequence[str]) -> Content:
    content = filled.content()
    replies = {"Reply-To": ", ".join(reply_to)} if reply_to else {}
    return replace(content, shown={**content.shown, **replies})


def _recipients(mail: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those it goes to, and those with copies."""
    destination = mail.get("Destination") or {}
    copies = (*(destination.get("CcAddresses") or ()), *(destination.get("BccAddresses") or ()))
    return addresses(*destination.get("ToAddresses") or ()), addresses(*copies)


def _message_id() -> str:
    return f"0102{secrets.token_hex(6)}-{secrets.token_hex(16)}-000000"


def _problem(recipients: Sequence[str], copies: Sequence[str]) -> str | None:
    if not 0 < len(recipients) + len(copies) <= bulk.MOST:
        return f"Recipient count is not from 1 to {bulk.MOST}."
    for one in recipients:
        if not is_address(one) or fate_of_address(one) is Fate.INVALID:
            return "Illegal address"
    return None


def _simple(said: Mapping[str, Any]) -> Content:
    body = said.get("Body") or {}
    return Content(
        subject=(said.get("Subject") or {}).get("Data") or "",
        text=(body.get("Text") or {}).get("Data") or "",
        html=(body.get("Html") or {}).get("Data") or "",
        shown={one["Name"]: one["Value"] for one in said.get("Headers") or ()},
    )


_EVENTS: Mapping[Happening, tuple[str, str]] = {
    Happening.DELIVERED: ("Delivery", "delivery"),
    Happening.DEFERRED: ("DeliveryDelay", "deliveryDelay"),
    Happening.BOUNCED: ("Bounce", "bounce"),
    Happening.SOFT_BOUNCED: ("Bounce", "bounce"),
    Happening.DROPPED: ("Bounce", "bounce"),
    Happening.COMPLAINED: ("Complaint", "complaint"),
    Happening.UNSUBSCRIBED: ("Subscription", "subscription"),
    Happening.OPENED: ("Open", "open"),
    Happening.CLICKED: ("Click", "click"),
}
_BOUNCES: Mapping[Happening, tuple[str, str, str]] = {
    Happening.BOUNCED: ("Permanent", "General", "smtp; 550 5.1.1 user unknown"),
    Happening.SOFT_BOUNCED: ("Transient", "MailboxFull", "smtp; 452 4.2.2 over quota"),
    Happening.DROPPED: (
        "Permanent",
        "OnAccountSuppressionList",
        "Amazon SES did not send the message",
    ),
}


def _callbacks(reported: Sequence[Reported], place: Place, now: float) -> Iterator[Callback]:
    for sent, event in reported:
        message = orjson.dumps(_event(sent, event)).decode()
        yield topic.notification(place.callback(NAME), message, now, [event])


def _opening(place: Place, now: float) -> Callback:
    return topic.confirmation(place.callback(NAME), now)


def _event(sent: Sent, event: Event) -> Mapping[str, Any]:
    kind, name = _EVENTS[event.happening]
    return {
        "eventType": kind,
        "mail": {
            "timestamp": _time(sent.at),
            "source": sent.sender,
            "messageId": sent.message_id,
            "destination": [*sent.recipients, *sent.copies],
            "tags": dict(sent.reference),
        },
        name: _details(sent, event),
    }


def _details(sent: Sent, event: Event) -> Mapping[str, Any]:
    at, to, happening = _time(event.at), {"emailAddress": event.recipient}, event.happening
    if happening in _BOUNCES:
        kind, under, diagnostic = _BOUNCES[happening]
        more: Mapping[str, Any] = {
            "bounceType": kind,
            "bounceSubType": under,
            "bouncedRecipients": [{**to, "action": "failed", "diagnosticCode": diagnostic}],
            "feedbackId": event.event_id,
        }
    elif happening is Happening.COMPLAINED:
        more = {
            "complainedRecipients": [to],
            "feedbackId": event.event_id,
            "complaintFeedbackType": "abuse",
        }
    elif happening is Happening.DELIVERED:
        more = {
            "recipients": [event.recipient],
            "processingTimeMillis": 300,
            "smtpResponse": "250 2.0.0 OK",
        }
    elif happening is Happening.DEFERRED:
        said = {**to, "status": "4.4.1", "diagnosticCode": "smtp; 451 4.7.1 try again later"}
        more = {"delayType": "TransientCommunicationFailure", "delayedRecipients": [said]}
    elif happening is Happening.UNSUBSCRIBED:
        more = {"contactList": "default", "source": "UnsubscribeHeader"}
    else:
        more = {"ipAddress": "192.0.2.1", "userAgent": "Mozilla/5.0 (sandbox)"}
        if happening is Happening.CLICKED:
            more = {**more, "link": first_link(sent.content)}
    return {"timestamp": at, **more}


def _time(seconds: float) -> str:
    return (
        datetime.fromtimestamp(seconds, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def _certificate(_: Call) -> Reply:
    return text_reply(200, topic.certificate().decode(), "application/x-pem-file")


def _confirm(_: Call) -> Confirmed:
    return Confirmed(
        text_reply(
            200,
            '<ConfirmSubscriptionResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">'
            f"<ConfirmSubscriptionResult><SubscriptionArn>{topic.ARN}:sandbox</SubscriptionArn>"
            "</ConfirmSubscriptionResult></ConfirmSubscriptionResponse>",
            "text/xml",
        )
    )


def _quota(_: Call) -> Reply:
    return json_reply(
        200,
        {
            "SendingEnabled": True,
            "ProductionAccessEnabled": True,
            "SendQuota": {"Max24HourSend": 50_000, "MaxSendRate": 14, "SentLast24Hours": 0},
        },
    )


def _account(place: Place) -> Mapping[str, Any]:
    return {
        "region": sigv4.REGION,
        "access_key_id": sigv4.ACCESS_KEY_ID,
        "secret_access_key": sigv4.SECRET_ACCESS_KEY,
        "from": SENDER,
        "topics": [topic.ARN],
        "sns_endpoint": place.url,
        "endpoint": place.at(NAME),
    }


SES = Vendor(
    name=NAME,
    title="Amazon SES",
    channel=Channel.EMAIL,
    docs_url="https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html",
    account=_account,
    check=_check,
    routes=(
        route("POST", "/v2/email/outbound-emails", _send),
        route("POST", "/v2/email/outbound-bulk-emails", _send_bulk),
        route("GET", "/v2/email/account", _quota),
        route("GET", topic.CERTIFICATE, _certificate, open=True),
        route("GET", "/", _confirm, open=True),
    ),
    throttled=_error(
        429, "TooManyRequestsException", "Maximum sending rate exceeded.", retry_after="1"
    ),
    failed=_error(500, "InternalServiceError", "Internal service error"),
    malformed=_error(400, "SerializationException", "A field is not of its type."),
    unknown=_error(404, "UnknownOperationException", "There is no such operation."),
    tells=Tells(_callbacks, _opening),
    extra=("aws", "botocore"),
)
