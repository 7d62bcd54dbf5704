"""Vonage: the SMS API, delivery receipts and inbound messages, with signed webhooks (a JWT).

https://developer.vonage.com/en/api/sms
https://developer.vonage.com/en/getting-started/concepts/webhooks#decoding-signed-webhooks
"""

import hashlib
import hmac
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import orjson

from tidings.domain.channels import Channel
from tidings.domain.segments import segments
from tidings.sandbox.calls import Call, Reply, Taken, json_reply, route
from tidings.sandbox.credentials import credential, digits
from tidings.sandbox.magic import Fate, fate_of_number
from tidings.sandbox.messages import Content, Event, Happening, Sent
from tidings.sandbox.texts import is_number
from tidings.sandbox.vendor import Callback, Place, Reported, Tells, Vendor

NAME = "vonage"
KEY, SECRET = "5a4db0cc", credential(NAME)
SIGNATURE_SECRET = digits(f"{NAME} signature")
SENDER = "SANDBOX"


def _refused(status: str, text: str) -> Reply:
    return json_reply(
        200, {"message-count": "1", "messages": [{"status": status, "error-text": text}]}
    )


def _fields(call: Call) -> Mapping[str, Any]:
    """Of either form that the API takes."""
    if call.header("content-type").startswith("application/json"):
        return call.document if isinstance(call.document, dict) else {}
    return call.form


def _check(_: Call) -> Reply | None:
    """Each route has its own way to sign in."""
    return None


def _send(call: Call) -> Reply | Taken:
    said = _fields(call)
    signed_in = (said.get("api_key"), said.get("api_secret")) == (KEY, SECRET)
    if not signed_in and call.header("authorization") != _AUTHORIZATION:
        return _refused("4", "Bad Credentials")
    for name in ("to", "from", "text"):
        if not said.get(name):
            return _refused("2", f"Missing {name} param")
    number, text = str(said["to"]), str(said["text"])
    fate = fate_of_number(number)
    if not is_number(number) or fate is Fate.INVALID:
        return (
            _refused("3", "Invalid `to` param")
            if not is_number(number)
            else _refused("6", "The message was rejected: the number's prefix is not known")
        )
    if fate is Fate.SUPPRESSED:
        return _refused("7", "Number barred")
    sent = Sent(
        vendor=NAME,
        channel=Channel.SMS,
        sender=str(said["from"]),
        recipients=(number,),
        message_id=str(uuid4()),
        source=call.body,
        read=partial(Content, text=text),
        fates=(fate,),
        reference={"client-ref": said["client-ref"]} if said.get("client-ref") else {},
        callback=str(said.get("callback") or ""),
    )
    return Taken(json_reply(200, _answer(sent, segments(text).parts)), [sent])


def _answer(sent: Sent, parts: int) -> Mapping[str, Any]:
    part = {
        "to": sent.recipients[0],
        "status": "0",
        "remaining-balance": "3.14",
        "message-price": "0.03",
        "network": "12345",
        **sent.reference,
    }
    ids = [sent.message_id, *(str(uuid4()) for _ in range(parts - 1))]
    messages = [{**part, "message-id": message_id} for message_id in ids]
    return {"message-count": str(parts), "messages": messages}


_STATUSES: Mapping[Happening, tuple[str, str]] = {
    Happening.DELIVERED: ("delivered", "0"),
    Happening.DEFERRED: ("buffered", "0"),
    Happening.BOUNCED: ("failed", "9"),
    Happening.SOFT_BOUNCED: ("failed", "2"),
    Happening.DROPPED: ("rejected", "5"),
}


def _callbacks(reported: Sequence[Reported], place: Place, now: float) -> Iterator[Callback]:
    for sent, event in reported:
        inbound = event.happening is Happening.REPLIED
        url = (not inbound and sent.callback) or place.callback(NAME)
        if not url:
            continue
        body = orjson.dumps(_reply(sent, event) if inbound else _receipt(sent, event))
        headers = {
            "content-type": "application/json",
            "user-agent": "Nexmo/MessagingHUB/v1.0",
            "authorization": f"Bearer {_token(body, now)}",
        }
        yield Callback(url, body, headers, [event])


def _token(body: bytes, now: float) -> str:
    claims = {
        "iss": "Vonage",
        "iat": int(now),
        "jti": str(uuid4()),
        "api_key": KEY,
        "payload_hash": hashlib.sha256(body).hexdigest(),
    }
    signed = f"{_base64({'alg': 'HS256', 'typ': 'JWT'})}.{_base64(claims)}"
    signature = hmac.digest(SIGNATURE_SECRET.encode(), signed.encode(), "sha256")
    return f"{signed}.{urlsafe_b64encode(signature).decode().rstrip('=')}"


def _base64(document: Mapping[str, Any]) -> str:
    return urlsafe_b64encode(orjson.dumps(document)).decode().rstrip("=")


def _receipt(sent: Sent, event: Event) -> Mapping[str, Any]:
    status, code = _STATUSES[event.happening]
    at = datetime.fromtimestamp(event.at, UTC)
    return {
        "msisdn": event.recipient,
        "to": sent.sender,
        "network-code": "12345",
        "messageId": sent.message_id,
        "price": "0.03",
        "status": status,
        "scts": f"{at:%y%m%d%H%M}",
        "err-code": code,
        "api-key": KEY,
        "message-timestamp": f"{at:%Y-%m-%d %H:%M:%S}",
        **sent.reference,
    }


def _reply(sent: Sent, event: Event) -> Mapping[str, Any]:
    at = datetime.fromtimestamp(event.at, UTC)
    return {
        "api-key": KEY,
        "msisdn": event.recipient,
        "to": sent.sender,
        "messageId": event.event_id.replace("-", "")[:16].upper(),
        "text": event.text,
        "type": "text",
        "keyword": event.text.split(" ")[0].upper(),
        "message-timestamp": f"{at:%Y-%m-%d %H:%M:%S}",
        "timestamp": str(int(event.at)),
        "nonce": event.event_id,
    }


_AUTHORIZATION = "Basic " + b64encode(f"{KEY}:{SECRET}".encode()).decode()


def _balance(call: Call) -> Reply:
    if call.header("authorization") != _AUTHORIZATION:
        return json_reply(401, {"error-code": "401", "error-code-label": "authentication failed"})
    return json_reply(200, {"value": 10.28, "autoReload": False})


def _account(place: Place) -> Mapping[str, Any]:
    return {
        "api_key": KEY,
        "api_secret": SECRET,
        "from": [SENDER],
        "signature_secrets": [SIGNATURE_SECRET],
        "endpoint": place.at(NAME),
    }


VONAGE = Vendor(
    name=NAME,
    title="Vonage SMS",
    channel=Channel.SMS,
    docs_url="https://developer.vonage.com/en/api/sms",
    account=_account,
    check=_check,
    routes=(
        route("POST", "/sms/json", _send),
        route("GET", "/account/get-balance", _balance),
    ),
    throttled=_refused("1", "Throughput Rate Exceeded - please wait [ 1000 ] and retry"),
    failed=_refused("5", "Internal Error"),
    malformed=_refused("3", "Invalid message params"),
    unknown=json_reply(404, {"error-code": "404", "error-code-label": "not found"}),
    tells=Tells(_callbacks),
)
