"""What the short URLs of a message say: which message, which of its links, and that it was us who made it.

27 bytes, 36 characters: the delivery's id (16), the link's number (2), a digest of where it leads (3), and a keyed MAC
over these (6). No part of it says anything of a person. Where the link leads is not in it but stored, so a token can be
forged neither to lead elsewhere nor, but by guessing one of 2^48, to count at all.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from uuid import UUID

from tidings.domain.records import record
from tidings.store.keyring import KeyRing

_MAC = 6
_DIGEST = 3
_SIZE = 16 + 2 + _DIGEST + _MAC
LENGTH = 36
_PERSON = b"tidings.link"  # so that it is no MAC of anything else under the same key


@record
class TrackingToken:
    """link: its number, PIXEL for the pixel. digest: of where it leads; empty bytes for the pixel."""

    delivery_id: UUID
    link: int
    digest: bytes


NewToken = Callable[[UUID, int, str], str]
"""Of a delivery's link (or PIXEL), and where it leads."""


def token_of(delivery_id: UUID, link: int, target: str, keyring: KeyRing) -> str:
    """As text for a URL."""
    said = delivery_id.bytes + link.to_bytes(2, "big") + digest_of(delivery_id, target, keyring)
    return base64.urlsafe_b64encode(said + _mac(said, keyring)).decode()


def read_token(token: str, keyring: KeyRing) -> TrackingToken | None:
    """None for what was not made by token_of() with this key ring."""
    if len(token) != LENGTH:
        return None
    try:
        raw = base64.b64decode(token, b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    said, mac = raw[:-_MAC], raw[-_MAC:]
    if len(raw) != _SIZE or not hmac.compare_digest(mac, _mac(said, keyring)):
        return None
    return TrackingToken(UUID(bytes=raw[:16]), int.from_bytes(raw[16:18], "big"), raw[18:21])


def leads_to(token: TrackingToken, target: str, keyring: KeyRing) -> bool:
    """Whether this is where the token's link led when it was made."""
    return token.digest == digest_of(token.delivery_id, target, keyring)


def digest_of(delivery_id: UUID, target: str, keyring: KeyRing) -> bytes:
    """Keyed, and another one for each delivery: it does not tell who was sent the same link."""
    if not target:
        return bytes(_DIGEST)
    return _keyed(delivery_id.bytes + target.encode(), _DIGEST, keyring)


def _mac(said: bytes, keyring: KeyRing) -> bytes:
    return _keyed(said, _MAC, keyring)


def _keyed(data: bytes, size: int, keyring: KeyRing) -> bytes:
    # The hash key is never rotated, so what is in people's mailboxes stays good.
    key = keyring.keys.hash_key
    return hashlib.blake2b(data, key=key, digest_size=size, person=_PERSON).digest()
