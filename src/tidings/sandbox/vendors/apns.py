"""Apple Push Notification service: provider tokens, topics and the documented reasons.

https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns
https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns
"""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import uuid4

import jwt
import orjson
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tidings.domain.channels import Channel
from tidings.sandbox.calls import Call, Reply, Taken, json_reply, route, text_reply
from tidings.sandbox.credentials import private_key
from tidings.sandbox.magic import Fate, fate_of_token
from tidings.sandbox.messages import Content, Sent
from tidings.sandbox.vendor import Place, Vendor

NAME = "apns"
TEAM_ID, KEY_ID, TOPIC = "TIDINGSBOX", "SANDBOXKEY", "com.example.sandbox"
_MOST = 4096
_OLDEST = 3600
_TYPES = frozenset(
    {
        "",
        "alert",
        "background",
        "complication",
        "controls",
        "fileprovider",
        "liveactivity",
        "location",
        "mdm",
        "pushtotalk",
        "voip",
        "widgets",
    }
)


def _error(status: int, reason: str, **more: Any) -> Reply:
    return json_reply(status, {"reason": reason, **more})


def signing_key() -> str:
    """What Apple gives as a .p8 file."""
    pem = private_key(NAME).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


def _check(call: Call) -> Reply | None:
    kind, _, token = call.header("authorization").partition(" ")
    if kind.lower() != "bearer" or not token:
        return _error(403, "MissingProviderToken")
    try:
        named = jwt.get_unverified_header(token)
        claims = jwt.decode(token, private_key(NAME).public_key(), algorithms=["ES256"])
    except jwt.InvalidTokenError:
        return _error(403, "InvalidProviderToken")
    if (claims.get("iss"), named.get("kid")) != (TEAM_ID, KEY_ID):
        return _error(403, "InvalidProviderToken")
    if not -60 < time.time() - float(claims.get("iat") or 0) < _OLDEST:
        return _error(403, "ExpiredProviderToken")
    return None


_REFUSED = {
    Fate.INVALID: _error(400, "BadDeviceToken"),
    Fate.SUPPRESSED: _error(400, "DeviceTokenNotForTopic"),
}


def _push(call: Call) -> Reply | Taken:
    fate = fate_of_token(call.parts["token"])
    if fate is Fate.BOUNCE:
        return _error(410, "Unregistered", timestamp=int(time.time() * 1000))
    if fate in _REFUSED:
        return _REFUSED[fate]
    wrong = _wrong(call)
    if wrong:
        return _error(413 if wrong == "PayloadTooLarge" else 400, wrong)
    message_id = call.header("apns-id") or str(uuid4()).upper()
    names = ("apns-push-type", "apns-priority", "apns-expiration", "apns-collapse-id")
    sent = Sent(
        vendor=NAME,
        channel=Channel.PUSH,
        sender=TOPIC,
        recipients=(call.parts["token"],),
        message_id=message_id,
        source=call.body,
        read=partial(_content, call.document, {n: call.header(n) for n in names if call.header(n)}),
        fates=(fate,),
    )
    return Taken(Reply(200, b"", [(b"apns-id", message_id.encode())]), [sent])


def _wrong(call: Call) -> str:
    """A reason; empty where all is well."""
    if not call.header("apns-topic"):
        return "MissingTopic"
    if call.header("apns-topic") != TOPIC:
        return "TopicDisallowed"
    if not isinstance(call.document, dict) or "aps" not in call.document:
        return "PayloadEmpty"
    checks = {
        "BadPriority": call.header("apns-priority") in ("", "1", "5", "10"),
        "BadExpirationDate": (call.header("apns-expiration") or "0").isdigit(),
        "BadCollapseId": len(call.header("apns-collapse-id")) <= 64,
        "InvalidPushType": call.header("apns-push-type") in _TYPES,
        "PayloadTooLarge": len(call.body) <= _MOST,
    }
    return next((reason for reason, well in checks.items() if not well), "")


def _content(payload: Mapping[str, Any], shown: Mapping[str, str]) -> Content:
    alert = payload["aps"].get("alert")
    if not alert:  # nobody sees it
        return Content(text=orjson.dumps(payload).decode(), shown=shown)
    if isinstance(alert, str):
        return Content(text=alert, shown=shown)
    return Content(subject=alert.get("title") or "", text=alert.get("body") or "", shown=shown)


def _give_key(_: Call) -> Reply:
    return text_reply(200, signing_key())


def _account(place: Place) -> Mapping[str, str]:
    return {
        "signing_key": signing_key(),
        "key_id": KEY_ID,
        "team_id": TEAM_ID,
        "topic": TOPIC,
        "endpoint": place.at(NAME),
    }


APNS = Vendor(
    name=NAME,
    title="Apple Push Notification service",
    channel=Channel.PUSH,
    docs_url="https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns",
    account=_account,
    check=_check,
    routes=(
        route("POST", "/3/device/(?P<token>[^/]+)", _push),
        route("GET", rf"/AuthKey_{KEY_ID}\.p8", _give_key, open=True),
    ),
    throttled=_error(429, "TooManyRequests"),
    failed=_error(503, "ServiceUnavailable"),
    malformed=_error(400, "PayloadEmpty"),
    unknown=_error(404, "BadPath"),
)
