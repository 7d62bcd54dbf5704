"""Firebase Cloud Messaging, its HTTP v1 API; and the token endpoint that its service accounts sign in at.

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages/send
https://developers.google.com/identity/protocols/oauth2/service-account#httprest
"""

import hmac
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import jwt
import orjson

from tidings.domain.channels import Channel
from tidings.sandbox.calls import Call, Reply, Taken, json_reply, route
from tidings.sandbox.credentials import credential, digits
from tidings.sandbox.magic import Fate, fate_of_token
from tidings.sandbox.messages import Content, Sent
from tidings.sandbox.primes import rsa_key, rsa_pem
from tidings.sandbox.vendor import Place, Vendor

NAME = "fcm"
PROJECT = "tidings-sandbox"
EMAIL = f"sandbox@{PROJECT}.iam.gserviceaccount.com"
SCOPES = frozenset(
    {
        "https://www.googleapis.com/auth/firebase.messaging",
        "https://www.googleapis.com/auth/cloud-platform",
    }
)
_LASTS = 3600
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_MOST = 4096
_TARGETS = ("token", "topic", "condition")


def _error(status: int, word: str, message: str, code: str = "", **headers: str) -> Reply:
    error: dict[str, Any] = {"code": status, "message": message, "status": word}
    if code:
        kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
        error["details"] = [{"@type": kind, "errorCode": code}]
    return json_reply(status, {"error": error}, **headers)


def _check(call: Call) -> Reply | None:
    kind, _, token = call.header("authorization").partition(" ")
    expires, _, signature = token.removeprefix("ya29.").partition(".")
    right = kind == "Bearer" and hmac.compare_digest(signature, _signed(expires))
    if right and int(expires) > time.time():
        return None
    return _error(
        401,
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or "
        "other valid authentication credential.",
    )


def _signed(expires: str) -> str:
    return hmac.digest(credential(NAME).encode(), expires.encode(), "sha256").hex()


def _grant(call: Call) -> Reply:
    """An access token, for an assertion that the service account has signed."""
    if call.form.get("grant_type") != _GRANT:
        return _no_grant("unsupported_grant_type", "Invalid grant_type")
    key = rsa_key(NAME).public_key()
    try:
        claims = jwt.decode(
            call.form.get("assertion", ""),
            key,
            algorithms=["RS256"],
            options={"verify_aud": False, "require": ["exp", "iat", "iss", "aud"]},
        )
    except jwt.InvalidTokenError:
        return _no_grant("invalid_grant", "Invalid JWT Signature.")
    if claims["iss"] != EMAIL or not SCOPES & set(str(claims.get("scope")).split()):
        return _no_grant("invalid_grant", "Invalid grant: account not found")
    expires = str(int(time.time()) + _LASTS)
    token = f"ya29.{expires}.{_signed(expires)}"
    return json_reply(200, {"access_token": token, "expires_in": _LASTS, "token_type": "Bearer"})


def _no_grant(error: str, description: str) -> Reply:
    return json_reply(400, {"error": error, "error_description": description})


def _invalid(message: str) -> Reply:
    return _error(400, "INVALID_ARGUMENT", message, "INVALID_ARGUMENT")


_GONE = _error(404, "NOT_FOUND", "Requested entity was not found.", "UNREGISTERED")
_REFUSED = {
    Fate.INVALID: _invalid("The registration token is not a valid FCM registration token"),
    Fate.BOUNCE: _GONE,
    Fate.SUPPRESSED: _error(403, "PERMISSION_DENIED", "SenderId mismatch", "SENDER_ID_MISMATCH"),
}


def _send(call: Call) -> Reply | Taken:
    message = call.document["message"]
    targets = [message[name] for name in _TARGETS if message.get(name)]
    wrong = next(_problems(call, message, targets), None)
    if wrong is not None:
        return wrong
    fate = fate_of_token(targets[0])
    if fate in _REFUSED:
        return _REFUSED[fate]
    number = f"0:{time.time_ns() // 1000}%{secrets.token_hex(8)}"
    name = f"projects/{PROJECT}/messages/{number}"
    reply = json_reply(200, {"name": name})
    if call.document.get("validate_only"):
        return reply
    sent = Sent(
        vendor=NAME,
        channel=Channel.PUSH,
        sender=PROJECT,
        recipients=(targets[0],),
        message_id=name,
        source=call.body,
        read=partial(_content, message),
        fates=(fate,),
        reference=message.get("data") or {},
    )
    return Taken(reply, [sent])


def _problems(call: Call, message: Mapping[str, Any], targets: Sequence[str]) -> Iterator[Reply]:
    if call.parts["project"] != PROJECT:
        yield _error(403, "PERMISSION_DENIED", "Permission denied on the project.")
    if len(targets) != 1:
        yield _invalid("Recipient of the message is not set.")
    if any(not isinstance(value, str) for value in (message.get("data") or {}).values()):
        yield _invalid("Invalid value at 'message.data' (TYPE_STRING)")
    if len(call.body) > _MOST + 1024:
        yield _invalid("Message is too big")


def _content(message: Mapping[str, Any]) -> Content:
    """What a person sees: said for all platforms, or for one of them."""
    shown = message.get("notification") or {}
    for platform in ("android", "webpush"):
        shown = shown or (message.get(platform) or {}).get("notification") or {}
    alert = (((message.get("apns") or {}).get("payload") or {}).get("aps") or {}).get("alert")
    shown = shown or (alert if isinstance(alert, dict) else {})
    return Content(subject=shown.get("title") or "", text=shown.get("body") or "")


def service_account(token_uri: str) -> Mapping[str, str]:
    """What Google gives as a file."""
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": digits(NAME),
        "private_key": rsa_pem(NAME),
        "client_email": EMAIL,
        "client_id": "100000000000000000001",
        "token_uri": token_uri,
    }


def _give_account(call: Call) -> Reply:
    return json_reply(200, service_account(f"http://{call.header('host')}/{NAME}/token"))


def _account(place: Place) -> Mapping[str, Any]:
    key = orjson.dumps(service_account(f"{place.at(NAME)}/token")).decode()
    return {"service_account": key, "endpoint": place.at(NAME)}


FCM = Vendor(
    name=NAME,
    title="Firebase Cloud Messaging",
    channel=Channel.PUSH,
    docs_url="https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages/send",
    account=_account,
    check=_check,
    routes=(
        route("POST", "/token", _grant, open=True),
        route("GET", r"/service-account\.json", _give_account, open=True),
        route("POST", r"/v1/projects/(?P<project>[^/]+)/messages:send", _send),
    ),
    throttled=_error(
        429, "RESOURCE_EXHAUSTED", "Quota exceeded.", "QUOTA_EXCEEDED", retry_after="1"
    ),
    failed=_error(503, "UNAVAILABLE", "The service is currently unavailable.", "UNAVAILABLE"),
    malformed=_invalid("Invalid JSON payload received."),
    unknown=_error(404, "NOT_FOUND", "Requested entity was not found."),
)
