"""Who sends, for push services: a token for each of them, signed with the account's key (RFC 8292)."""

import re
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tidings.domain.provider import Account
from tidings.providers.webpush.encryption import point_of
from tidings.providers.webpush.subscriptions import from_base64
from tidings.settings import SettingsError

_LASTS = 12 * 3600  # at most 24 hours (RFC 8292, 2); half of it leaves room for clocks that differ
_USED = 6 * 3600
_SERVICES = 200
_SUBJECT = re.compile(r"(mailto:[^\s@]+@[^\s@]+|https://[^\s/]\S*)", re.ASCII)


class Vapid:
    """clock: seconds since the epoch. Raises SettingsError."""

    def __init__(self, account: Account, clock: Callable[[], float]) -> None:
        self._key = _read_key(account)
        self._subject = account.text("subject").strip()
        if not _SUBJECT.fullmatch(self._subject):
            raise SettingsError(f"accounts.{account.name}.subject: it is mailto:… or https://…")
        self._clock = clock
        point = point_of(self._key.public_key())
        self.public_key = urlsafe_b64encode(point).rstrip(b"=").decode()
        self._made: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def authorization(self, origin: str) -> str:
        """The header for a push service. Recipients choose the services, so only the last used are kept."""
        now = self._clock()
        made = self._made.get(origin)
        if made is None or not 0 <= now - made[0] < _USED:
            made = now, self._signed(origin, int(now))
            self._made[origin] = made
        self._made.move_to_end(origin)
        if len(self._made) > _SERVICES:
            self._made.popitem(last=False)
        return made[1]

    def _signed(self, origin: str, now: int) -> str:
        claims = {"aud": origin, "exp": now + _LASTS, "sub": self._subject}
        return f"vapid t={jwt.encode(claims, self._key, 'ES256')}, k={self.public_key}"


def _read_key(account: Account) -> EllipticCurvePrivateKey:
    text = account.text("private_key").strip()
    try:
        key = (
            load_pem_private_key(text.encode(), None)
            if text.startswith("-----")
            else derive_private_key(int.from_bytes(_bytes(text), "big"), SECP256R1())
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise SettingsError(
            f"accounts.{account.name}.private_key: not a private key of the curve P-256, in PEM or as 32 bytes in "
            "base64url"
        )
    return key


def _bytes(text: str) -> bytes:
    found = from_base64(text)
    if len(found) != 32:
        raise ValueError("not 32 bytes")
    return found
