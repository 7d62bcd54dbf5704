"""Tokens with which a user's own browser or app reads and changes that user's feed, and nothing else.

The application's backend asks for one when the user is signed in; it is sealed by the key ring, so none can be made or
changed without the keys, and it holds no user id in the open.
"""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from tidings.store.keyring import KeyRing, KeyRingError

PREFIX = "tdu_"
_BOUND_TO = b"inbox token"
_LONGEST = 2_048  # characters


@dataclass(frozen=True, slots=True)
class UserToken:
    user_id: str
    expires_at: datetime


def seal_token(token: UserToken, keyring: KeyRing) -> str:
    """As text for a header, a URL or a WebSocket's subprotocol."""
    document = [token.user_id, int(token.expires_at.timestamp())]
    sealed = keyring.seal(orjson.dumps(document), _BOUND_TO)
    return PREFIX + base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def open_token(text: str, keyring: KeyRing) -> UserToken | None:
    """None for what is forged or broken; whether it has expired is left to the caller."""
    if not text.startswith(PREFIX) or len(text) > _LONGEST:
        return None
    encoded = text.removeprefix(PREFIX)
    try:
        sealed = base64.b64decode(encoded + "=" * (-len(encoded) % 4), b"-_", validate=True)
        user_id, expires = orjson.loads(keyring.open(sealed, _BOUND_TO))
    except (binascii.Error, ValueError, KeyRingError):
        return None
    return UserToken(user_id, datetime.fromtimestamp(expires, UTC))
