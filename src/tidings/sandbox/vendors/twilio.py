"""Twilio: the Messages resource, status callbacks and inbound messages, signed as X-Twilio-Signature.

https://www.twilio.com/docs/messaging/api/message-resource
https://www.twilio.com/docs/usage/security#validating-requests
"""

import hmac
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from tidings.domain.channels import Channel
from tidings.domain.segments import segments
from tidings.sandbox.calls import Call, Reply, Taken, json_reply, route
from tidings.sandbox.credentials import credential, digits
from tidings.sandbox.magic import Fate, fate_of_number
from tidings.sandbox.messages import Content, Event, Happening, Sent
from tidings.sandbox.texts import is_number
from tidings.sandbox.vendor import Callback, Place, Reported, Tells, Vendor

NAME = "twilio"
ACCOUNT_SID = f"AC{digits(NAME)}"
AUTH_TOKEN = credential(NAME)
API_KEY, API_KEY_SECRET = f"SK{digits(NAME)}", credential(f"{NAME}-key")
SENDER = "+15005550006"
_MOST = 1600


def _basic(name: str, secret: str) -> str:
    return "Basic " + b64encode(f"{name}:{secret}".encode()).decode()


_AUTHORIZATIONS = frozenset({_basic(ACCOUNT_SID, AUTH_TOKEN), _basic(API_KEY, API_KEY_SECRET)})

# https://www.twilio.com/docs/iam/test-credentials#test-sms-messages
_TEST_RECIPIENTS: Mapping[str, tuple[int, str]] = {
    "+15005550001": (21211, "Invalid 'To' Phone Number: +15005550001"),
    "+15005550002": (21612, "The message From/To pair violates a routing rule"),
    "+15005550003": (21408, "Permission to send an SMS has not been enabled for the region"),
    "+15005550004": (21610, "Attempt to send to unsubscribed recipient"),
    "+15005550009": (21614, "'To' number is not a valid mobile number"),
}
_TEST_SENDERS: Mapping[str, tuple[int, str]] = {
    "+15005550001": (21212, "Invalid From Number (caller ID): +15005550001"),
    "+15005550007": (21606, "The From phone number is not a valid, SMS-capable phone number"),
    "+15005550008": (21611, "This From number has exceeded the maximum number of queued messages"),
}


def _error(status: int, code: int, message: str, **headers: str) -> Reply:
    said = {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return json_reply(status, said, **headers)


def _check(call: Call) -> Reply | None:
    if call.header("authorization") in _AUTHORIZATIONS:
        return None
    return _error(401, 20003, "Authenticate")


def _send(call: Call) -> Reply | Taken:
    form = call.form
    number, sender, text = (form.get(name, "") for name in ("To", "From", "Body"))
    wrong = next(_problems(form, number, sender, text), None)
    if wrong is not None:
        return _error(400, *wrong)
    sent = Sent(
        vendor=NAME,
        channel=Channel.SMS,
        sender=sender or SENDER,
        recipients=(number,),
        message_id=f"SM{uuid4().hex}",
        source=call.body,
        read=partial(Content, text=text),
        fates=(fate_of_number(number),),
        callback=form.get("StatusCallback", ""),
    )
    return Taken(json_reply(201, _resource(sent, form, text)), [sent])


def _problems(
    form: Mapping[str, str], number: str, sender: str, text: str
) -> Iterator[tuple[int, str]]:
    fate = fate_of_number(number)
    if not number:
        yield 21604, "A 'To' phone number is required."
    if number in _TEST_RECIPIENTS:
        yield _TEST_RECIPIENTS[number]
    if not is_number(number) or fate is Fate.INVALID:
        yield 21211, f"Invalid 'To' Phone Number: {number[:-4]}XXXX"
    if fate is Fate.SUPPRESSED:
        yield 21610, "Attempt to send to unsubscribed recipient"
    if not sender and not form.get("MessagingServiceSid"):
        yield 21603, "A 'From' phone number is required."
    if sender in _TEST_SENDERS:
        yield _TEST_SENDERS[sender]
    if not text and not form.get("MediaUrl"):
        yield 21602, "Message body is required."
    if len(text) > _MOST:
        yield 21617, "The concatenated message body exceeds the 1600 character limit"
    callback = form.get("StatusCallback")
    if callback and not urlsplit(callback).hostname:
        yield 21609, "The StatusCallback URL is not a valid URL"


def _resource(sent: Sent, form: Mapping[str, str], text: str) -> Mapping[str, Any]:
    now = format_datetime(datetime.now(UTC))
    service = form.get("MessagingServiceSid") or None
    return {
        "sid": sent.message_id,
        "account_sid": ACCOUNT_SID,
        "api_version": "2010-04-01",
        "body": text,
        "date_created": now,
        "date_sent": None,
        "date_updated": now,
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": sent.sender if form.get("From") else None,
        "messaging_service_sid": service,
        "num_media": "0",
        "num_segments": str(segments(text).parts),
        "price": None,
        "price_unit": "USD",
        "status": "accepted" if service else "queued",
        "subresource_uris": {},
        "to": sent.recipients[0],
        "uri": f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{sent.message_id}.json",
    }


_STATUSES: Mapping[Happening, tuple[str, str]] = {
    Happening.DELIVERED: ("delivered", ""),
    Happening.DEFERRED: ("sent", ""),
    Happening.BOUNCED: ("undelivered", "30005"),
    Happening.SOFT_BOUNCED: ("undelivered", "30003"),
    Happening.DROPPED: ("failed", "21610"),
}


def _callbacks(reported: Sequence[Reported], place: Place, now: float) -> Iterator[Callback]:
    for sent, event in reported:
        inbound = event.happening is Happening.REPLIED
        url = place.callback(NAME) if inbound else sent.callback
        if not url:
            continue
        form = _reply(sent, event) if inbound else _status(sent, event)
        yield Callback(
            url,
            urlencode(form).encode(),
            {
                "content-type": "application/x-www-form-urlencoded; charset=utf-8",
                "user-agent": "TwilioProxy/1.1",
                "i-twilio-idempotency-token": event.event_id,
                "x-twilio-signature": signature(url, form),
            },
            [event],
        )


def signature(url: str, form: Mapping[str, str]) -> str:
    text = url + "".join(f"{name}{form[name]}" for name in sorted(form))
    return b64encode(hmac.digest(AUTH_TOKEN.encode(), text.encode(), "sha1")).decode()


def _status(sent: Sent, event: Event) -> Mapping[str, str]:
    status, code = _STATUSES[event.happening]
    form = {
        "MessageSid": sent.message_id,
        "SmsSid": sent.message_id,
        "MessageStatus": status,
        "SmsStatus": status,
        "To": event.recipient,
        "From": sent.sender,
        "AccountSid": ACCOUNT_SID,
        "ApiVersion": "2010-04-01",
    }
    return form | {"ErrorCode": code} if code else form


def _reply(sent: Sent, event: Event) -> Mapping[str, str]:
    sid = f"SM{event.event_id.replace('-', '')}"
    return {
        "ToCountry": "US",
        "SmsMessageSid": sid,
        "NumMedia": "0",
        "SmsSid": sid,
        "SmsStatus": "received",
        "Body": event.text,
        "To": sent.sender,
        "NumSegments": "1",
        "MessageSid": sid,
        "AccountSid": ACCOUNT_SID,
        "From": event.recipient,
        "ApiVersion": "2010-04-01",
    }


def _status_of_account(_: Call) -> Reply:
    return json_reply(200, {"sid": ACCOUNT_SID, "friendly_name": "Sandbox", "status": "active"})


def _account(place: Place) -> Mapping[str, Any]:
    fields = {
        "account_sid": ACCOUNT_SID,
        "auth_token": AUTH_TOKEN,
        "from": [SENDER],
        "endpoint": place.at(NAME),
    }
    callback = place.callback(NAME)
    return fields | {"status_callback": callback} if callback else fields


_ACCOUNT_PATH = f"/2010-04-01/Accounts/{ACCOUNT_SID}"

TWILIO = Vendor(
    name=NAME,
    title="Twilio",
    channel=Channel.SMS,
    docs_url="https://www.twilio.com/docs/messaging/api/message-resource",
    account=_account,
    check=_check,
    routes=(
        route("POST", rf"{_ACCOUNT_PATH}/Messages\.json", _send),
        route("GET", rf"{_ACCOUNT_PATH}\.json", _status_of_account),
    ),
    throttled=_error(429, 20429, "Too Many Requests", retry_after="1"),
    failed=_error(500, 20500, "Internal Server Error"),
    malformed=_error(400, 20001, "Invalid parameter"),
    unknown=_error(404, 20404, "The requested resource was not found"),
    tells=Tells(_callbacks),
)
