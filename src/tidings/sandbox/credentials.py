"""The sandbox's credentials and keys: the same on every machine and at every start, and worth nothing elsewhere.

So settings that name them stay as they are.
"""

import hashlib
from base64 import b64decode, b64encode
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def credential(of: str) -> str:
    """A key, token or password that the sandbox takes."""
    return f"sandbox-{of}"


def digits(of: str) -> str:
    """32 hexadecimal digits, for ids that look like ids."""
    return hashlib.md5(of.encode(), usedforsecurity=False).hexdigest()


def signing_secret(of: str) -> str:
    """In the form of Standard Webhooks: whsec_ and 32 bytes in base64."""
    return "whsec_" + b64encode(hashlib.sha256(of.encode()).digest()).decode()


def signing_key(of: str) -> bytes:
    """The bytes of a signing secret."""
    return b64decode(signing_secret(of).removeprefix("whsec_"))


@cache
def private_key(of: str) -> ec.EllipticCurvePrivateKey:
    """A key on the curve P-256."""
    number = int.from_bytes(hashlib.sha256(f"sandbox {of}".encode()).digest())
    return ec.derive_private_key(number, ec.SECP256R1())


def public_key(of: str) -> str:
    """As SubjectPublicKeyInfo in base64, without line breaks."""
    public = private_key(of).public_key()
    return b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
