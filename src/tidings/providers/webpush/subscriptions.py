"""A browser's subscription: where to post, and for whom to encrypt."""

from binascii import a2b_base64
from dataclasses import dataclass, field

import orjson
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from pyreqwest.http import Url

from tidings.providers.http import parse_url
from tidings.providers.vendor import is_loopback
from tidings.providers.webpush.encryption import point_of

_ALPHABET = bytes.maketrans(b"-_+/", b"+/**")
"""From base64url to base64, whose own two are in no alphabet then."""
_AUTH_BYTES = 16
_POINT_BYTES = 65
_CURVE = SECP256R1()


@dataclass(frozen=True, slots=True)
class Subscription:
    """endpoint: a URL. origin: of it, as RFC 6454 writes it. key, auth: of the browser (RFC 8291, 2); point: the key
    as 65 bytes."""

    endpoint: str = field(repr=False)
    origin: str = field(repr=False)
    key: EllipticCurvePublicKey = field(repr=False)
    point: bytes = field(repr=False)
    auth: bytes = field(repr=False)


def read_subscription(address: str) -> Subscription | None:
    """None for what is no subscription."""
    try:
        said = orjson.loads(address)
        endpoint, keys = said["endpoint"], said["keys"]
        point, auth = from_base64(keys["p256dh"]), from_base64(keys["auth"])
        key = EllipticCurvePublicKey.from_encoded_point(_CURVE, point)
    except (ValueError, TypeError, KeyError):
        return None
    origin = _origin(endpoint) if isinstance(endpoint, str) else None
    if origin is None or len(auth) != _AUTH_BYTES:
        return None
    if len(point) != _POINT_BYTES:  # compressed, which no browser does
        point = point_of(key)
    return Subscription(endpoint, origin, key, point, auth)


def from_base64(text: str) -> bytes:
    """base64url, with or without its padding. Raises ValueError, TypeError for what is no text."""
    if not isinstance(text, str):
        raise TypeError("not a text")
    bare = text.rstrip("=")
    if len(text) - len(bare) > 2:
        raise ValueError("not base64url")
    padded = bare.encode("ascii").translate(_ALPHABET) + b"=" * (-len(bare) % 4)
    return a2b_base64(padded, strict_mode=True)


def _origin(endpoint: str) -> str | None:
    """https; http only for this machine, where a stand-in may be."""
    url = parse_url(endpoint)
    if not isinstance(url, Url) or url.username or url.password:
        return None
    host = url.host_str or ""
    if url.scheme != "https" and not is_loopback(host):
        return None
    return f"{url.scheme}://{host}" + (f":{url.port}" if url.port is not None else "")
