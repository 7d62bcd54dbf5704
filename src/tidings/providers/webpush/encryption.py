"""Message encryption for Web Push: RFC 8291, in one record of RFC 8188 (aes128gcm)."""

import hmac
import os

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RECORD = 4096
"""Bytes that every push service takes (RFC 8030, 7.2)."""

_HEADER = 16 + 4 + 1 + 65  # salt, record size, length of the key, the key
LONGEST = RECORD - _HEADER - 16 - 1
"""Bytes of a text: what is left beside the header, the tag and the delimiter."""

_LAST_RECORD = b"\x02"
_FIELDS = RECORD.to_bytes(4, "big") + b"\x41"  # record size, length of the key
_CURVE, _ECDH = SECP256R1(), ECDH()


def encrypt(text: bytes, key: EllipticCurvePublicKey, point: bytes, auth: bytes) -> bytes:
    """For the browser whose key, the same as 65 bytes, and secret these are, with a key of our own that is used once.

    What is derived is written as in RFC 8291, 3.4: HKDF (RFC 5869) for less than one block is two HMACs, and the second
    extraction serves two expansions.
    """
    ours = generate_private_key(_CURVE)
    public = point_of(ours.public_key())
    shared = _hmac(auth, ours.exchange(_ECDH, key))
    secret = _hmac(shared, b"WebPush: info\0" + point + public + b"\1")
    salt = os.urandom(16)
    extracted = _hmac(salt, secret)
    content_key = _hmac(extracted, b"Content-Encoding: aes128gcm\0\1")[:16]
    nonce = _hmac(extracted, b"Content-Encoding: nonce\0\1")[:12]
    sealed = AESGCM(content_key).encrypt(nonce, text + _LAST_RECORD, None)
    return salt + _FIELDS + public + sealed


def point_of(key: EllipticCurvePublicKey) -> bytes:
    """65 bytes."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")
