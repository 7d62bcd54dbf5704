"""Message encryption for Web Push: RFC 8291, in one record of RFC 8188 (aes128gcm)."""

import os

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RECORD = 4096
"""Bytes that every push service takes (RFC 8030, 7.2)."""

_HEADER = 16 + 4 + 1 + 65  # salt, record size, length of the key, the key
LONGEST = RECORD - _HEADER - 16 - 1
"""Bytes of a text: what is left beside the header, the tag and the delimiter."""

_LAST_RECORD = b"\x02"


def encrypt(text: bytes, key: EllipticCurvePublicKey, auth: bytes) -> bytes:
    """For the browser whose key and secret these are, with a key of our own that is used once."""
    ours = generate_private_key(SECP256R1())
    public, theirs = point_of(ours.public_key()), point_of(key)
    info = b"WebPush: info\0" + theirs + public
    secret = _derived(ours.exchange(ECDH(), key), auth, info, 32)
    salt = os.urandom(16)
    content_key = _derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(secret, salt, b"Content-Encoding: nonce\0", 12)
    header = salt + RECORD.to_bytes(4, "big") + bytes([len(public)]) + public
    return header + AESGCM(content_key).encrypt(nonce, text + _LAST_RECORD, None)


def point_of(key: EllipticCurvePublicKey) -> bytes:
    """65 bytes."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)
