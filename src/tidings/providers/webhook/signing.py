"""Signatures of Standard Webhooks.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hmac
from collections.abc import Sequence

_PREFIX = "whsec_"


Key = hmac.HMAC
"""Keyed once and copied for each message. hmac.digest would be as short, but lets go of the interpreter's
lock each time, and then waits for the HTTP client's thread to give it back."""


def read_secret(text: str) -> Key:
    """The key in a secret: base64 of 24 to 64 bytes, with or without "whsec_". Raises ValueError."""
    try:
        key = base64.b64decode(text.strip().removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    if not 24 <= len(key) <= 64:
        raise ValueError(f"{len(key)} bytes")
    return hmac.new(key, digestmod="sha256")


def sign(keys: Sequence[Key], message_id: str, timestamp: int, body: bytes) -> str:
    """The value of webhook-signature: one "v1" signature per key, in their order."""
    content = b"%b.%d.%b" % (message_id.encode("ascii"), timestamp, body)
    return " ".join(f"v1,{_signature(key, content)}" for key in keys)


def _signature(key: Key, content: bytes) -> str:
    keyed = key.copy()
    keyed.update(content)
    return base64.b64encode(keyed.digest()).decode("ascii")
