"""A push service of a browser, and the browser behind it: VAPID is checked, and what comes is decrypted.

RFC 8030 (the protocol), 8188 and 8291 (encryption), 8292 (VAPID). Whatever is asked for below
/webpush/subscriptions/ is a subscription, all of one browser.
"""

import hashlib
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from uuid_utils.compat import uuid4

from tidings.domain.channels import Channel
from tidings.sandbox.calls import Call, Reply, Taken, json_reply, route, text_reply
from tidings.sandbox.credentials import private_key
from tidings.sandbox.magic import Fate, fate_of_token
from tidings.sandbox.messages import Content, Sent
from tidings.sandbox.vendor import Place, Vendor

NAME = "webpush"
_SECRET = hashlib.sha256(b"webpush").digest()[:16]
_MOST = 4096
_DAY = 86_400
_LONGEST_TOPIC = 32
_URGENCIES = ("", "very-low", "low", "normal", "high")


def _error(status: int, number: int, message: str, **headers: str) -> Reply:
    """As Mozilla's service says it: https://mozilla-services.github.io/autopush-rs/errors.html"""
    return json_reply(status, {"code": status, "errno": number, "message": message}, **headers)


def _unpadded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _padded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _subscribe(call: Call) -> Reply:
    return json_reply(200, subscription(f"http://{call.header('host')}/{NAME}", call.parts["name"]))


def subscription(url: str, name: str) -> Mapping[str, Any]:
    """What a browser gives to a page. url: of this service."""
    keys = {"p256dh": _unpadded(_point(private_key(NAME).public_key())), "auth": _unpadded(_SECRET)}
    return {"endpoint": f"{url}/push/{name}", "expirationTime": None, "keys": keys}


def _check(call: Call) -> Reply | None:
    """RFC 8292, 3: `vapid t=…, k=…`."""
    kind, _, rest = call.header("authorization").partition(" ")
    said = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    if kind.lower() != "vapid" or "t" not in said or "k" not in said:
        return _error(401, 109, "Missing or invalid VAPID header")
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _padded(said["k"]))
        claims = jwt.decode(
            said["t"], key, algorithms=["ES256"], options={"verify_aud": False, "require": ["exp"]}
        )
    except (ValueError, jwt.InvalidTokenError):
        return _error(401, 109, "Invalid VAPID token")
    origin = urlsplit(str(claims.get("aud")))
    if origin.netloc != call.header("host") or claims["exp"] > time.time() + _DAY:
        return _error(403, 109, "VAPID token is for another audience, or lasts for too long")
    return None


_REFUSED = {
    Fate.INVALID: _error(404, 102, "Invalid URL endpoint"),
    Fate.BOUNCE: _error(410, 103, "Expired URL endpoint"),
    Fate.SUPPRESSED: _error(410, 106, "Endpoint has been unsubscribed"),
}


def _push(call: Call) -> Reply | Taken:
    fate = fate_of_token(call.parts["name"])
    if fate in _REFUSED:
        return _REFUSED[fate]
    if not call.header("ttl").isdigit():
        return _error(400, 111, "Missing TTL header")
    if len(call.header("topic")) > _LONGEST_TOPIC or call.header("urgency") not in _URGENCIES:
        return _error(400, 113, "Invalid Topic or Urgency header")
    if len(call.body) > _MOST:
        return _error(413, 104, "This message is too large")
    if call.body and call.header("content-encoding") != "aes128gcm":
        return _error(400, 110, "Invalid Content-Encoding")
    message_id = str(uuid4())
    names = ("ttl", "urgency", "topic")
    sent = Sent(
        vendor=NAME,
        channel=Channel.PUSH,
        sender="",
        recipients=(call.parts["name"],),
        message_id=message_id,
        source=call.body,
        read=partial(_content, call.body, {n: call.header(n) for n in names if call.header(n)}),
        fates=(fate,),
    )
    location = f"http://{call.header('host')}/{NAME}/messages/{message_id}"
    headers = [(b"location", location.encode()), (b"ttl", call.header("ttl").encode())]
    return Taken(Reply(201, b"", headers), [sent])


def _content(body: bytes, shown: dict[str, str]) -> Content:
    text = decrypted(body).decode()
    try:
        said: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        return Content(text=text, shown=shown)
    title, body_text = str(said.get("title") or ""), str(said.get("body") or "")
    return Content(subject=title, text=body_text or text, shown=shown)


def decrypted(body: bytes) -> bytes:
    """RFC 8188, 2 and RFC 8291, 3.4: one record, for the sandbox's own browser. Raises ValueError."""
    salt, length = body[:16], body[20]
    theirs, sealed = body[21 : 21 + length], body[21 + length :]
    sender = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs)
    shared = private_key(NAME).exchange(ec.ECDH(), sender)
    ours = _point(private_key(NAME).public_key())
    secret = _derived(shared, _SECRET, b"WebPush: info\0" + ours + theirs, 32)
    key = _derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(secret, salt, b"Content-Encoding: nonce\0", 12)
    return AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\0")[:-1]


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def _account(_: Place) -> Mapping[str, str]:
    """Who sends: any key will do."""
    number = private_key(f"{NAME} sender").private_numbers().private_value
    return {
        "private_key": _unpadded(number.to_bytes(32, "big")),
        "subject": "mailto:sandbox@example.com",
    }


WEBPUSH = Vendor(
    name=NAME,
    title="Web Push",
    channel=Channel.PUSH,
    docs_url="https://www.rfc-editor.org/rfc/rfc8030",
    account=_account,
    check=_check,
    routes=(
        route("GET", "/subscriptions/(?P<name>[^/]+)", _subscribe, open=True),
        route("POST", "/push/(?P<name>[^/]+)", _push),
    ),
    throttled=_error(429, 201, "Too many messages", retry_after="1"),
    failed=_error(503, 202, "Use exponential back-off for retries", retry_after="1"),
    malformed=_error(400, 110, "Invalid crypto headers"),
    unknown=text_reply(404, "Not Found"),
)
