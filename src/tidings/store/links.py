"""What a link in a message says: whose it is and what it is about, sealed by the key ring.

Nobody can make or change such a token without the keys, and none can be read: it holds no address in the open.
"""

import base64
import binascii
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

from tidings.domain.channels import Channel
from tidings.store.keyring import KeyRing, KeyRingError

_BOUND_TO = b"link"
_LONGEST = 8_192  # characters; addresses of push messages have up to 4,096


@dataclass(frozen=True, slots=True)
class Link:
    """user_id: None where only the address is known. category: of the message that holds the link."""

    user_id: str | None
    channel: Channel
    address: str = field(repr=False)
    category: str
    expires_at: datetime


def seal_link(link: Link, keyring: KeyRing) -> str:
    """As text for a URL."""
    who = ["", link.address] if link.user_id is None else [link.user_id, ""]
    document = [*who, link.channel, link.category, int(link.expires_at.timestamp())]
    sealed = keyring.seal(orjson.dumps(document), _BOUND_TO)
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def open_link(token: str, keyring: KeyRing, now: datetime) -> Link | None:
    """None for what is forged, broken or expired."""
    if len(token) > _LONGEST:
        return None
    try:
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
        document = orjson.loads(keyring.open(sealed, _BOUND_TO))
    except (binascii.Error, ValueError, KeyRingError):
        return None
    user_id, address, channel, category, expires = document
    link = Link(
        user_id=user_id or None,
        channel=Channel(channel),
        address=address,
        category=category,
        expires_at=datetime.fromtimestamp(expires, UTC),
    )
    return link if now < link.expires_at else None
